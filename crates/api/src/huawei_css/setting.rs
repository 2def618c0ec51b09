//! The snapshot function: bucket, rates, on and off.
//!
//! The bucket is a repository of the same name. One that is registered is used as it is; one that is not is made below the first
//! repository root, in `<bucket>/<base path>`. Switching the function off keeps all data and hides it until it is on again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapkeep_engine::{EngineError, OriginKind, RepositoryInfo, RepositorySpec};

use super::call::{Answer, Call, CssResult};
use super::errors::{CssError, Fault};
use super::fields::Fields;
use super::state::HuaweiState;
use super::{policy, rules};
use crate::auth::Need;

/// Where the engine keeps it.
const DIALECT: &str = "huawei_css";
const NAME: &str = "setting";
const DEFAULT_AGENCY: &str = "css_obs_agency";
const DEFAULT_SNAPSHOT_RATE: &str = "40mb";
const DEFAULT_RESTORE_RATE: &str = "0mb";
/// Ids of the cluster that are remembered, so that lists show it under the ids that clients use.
const MAX_IDS: usize = 32;

/// What holds for the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Whether the function is on.
    pub enabled: bool,
    /// The bucket: name of the repository.
    pub bucket: String,
    /// Kept and given back; nothing here needs it.
    pub agency: String,
    /// Folder in the bucket.
    pub base_path: String,
    /// As given, with a unit.
    pub max_snapshot_rate: String,
    /// As given, with a unit.
    pub max_restore_rate: String,
    /// Kept and given back.
    pub snapshot_cmk_id: Option<String>,
    /// Ids under which clients have changed something, oldest first.
    #[serde(default)]
    pub cluster_ids: Vec<String>,
}

impl Setting {
    /// What holds until somebody says otherwise: the function is on.
    fn initial(state: &HuaweiState) -> Self {
        Self {
            enabled: true,
            bucket: state.config.bucket.clone(),
            agency: DEFAULT_AGENCY.to_owned(),
            base_path: format!("css_repository/{}", state.config.cluster_name),
            max_snapshot_rate: DEFAULT_SNAPSHOT_RATE.to_owned(),
            max_restore_rate: DEFAULT_RESTORE_RATE.to_owned(),
            snapshot_cmk_id: None,
            cluster_ids: Vec::new(),
        }
    }

    /// What was kept, or what holds at first.
    pub async fn load(state: &HuaweiState) -> Result<Self, CssError> {
        match state.engine.dialect_setting(DIALECT, NAME).await? {
            None => Ok(Self::initial(state)),
            Some(value) => serde_json::from_value(value)
                .map_err(|error| Fault::Internal.because(format!("setting: {error}"))),
        }
    }

    /// The same, if the function is on.
    pub async fn load_enabled(state: &HuaweiState) -> Result<Self, CssError> {
        let setting = Self::load(state).await?;
        if setting.enabled {
            Ok(setting)
        } else {
            Err(Fault::Disabled.because("the snapshot function is disabled; enable it first"))
        }
    }

    async fn keep(&self, state: &HuaweiState) -> Result<(), CssError> {
        let value = serde_json::to_value(self)
            .map_err(|error| Fault::Internal.because(format!("setting: {error}")))?;
        state
            .engine
            .put_dialect_setting(DIALECT, NAME, &value)
            .await?;
        Ok(())
    }

    /// Remembers an id that a client uses for the cluster. Nothing to do where ids are configured.
    pub async fn remember(&mut self, state: &HuaweiState, cluster: &str) -> Result<(), CssError> {
        let known = self.cluster_ids.iter().any(|id| id == cluster);
        if known || !state.config.clusters.is_empty() {
            return Ok(());
        }
        if self.cluster_ids.len() >= MAX_IDS {
            self.cluster_ids.remove(0);
        }
        self.cluster_ids.push(cluster.to_owned());
        self.keep(state).await
    }

    fn location(&self) -> String {
        format!("{}/{}", self.bucket, self.base_path)
    }

    /// The repository behind the bucket, made if there is none.
    pub async fn repository(&self, state: &HuaweiState) -> Result<RepositoryInfo, CssError> {
        let spec = RepositorySpec {
            kind: "fs".to_owned(),
            settings: self.repository_settings(),
        };
        let made = state.engine.ensure_repository(&self.bucket, spec).await;
        made.map_err(bucket_unusable)
    }

    fn repository_settings(&self) -> serde_json::Map<String, Value> {
        let settings = json!({
            "location": self.location(),
            "max_snapshot_bytes_per_sec": self.max_snapshot_rate,
            "max_restore_bytes_per_sec": self.max_restore_rate,
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    /// Gives the repository the rates, and the folder if it was made for a bucket and the function was off.
    async fn apply(&self, state: &HuaweiState, before: &Self) -> Result<(), CssError> {
        let registered = self.repository(state).await?;
        let mut settings = registered.settings.clone();
        let rates = self.repository_settings();
        let made_here =
            settings.get("location").and_then(Value::as_str) == Some(&before.location());
        for (name, value) in rates {
            if name != "location" || (made_here && before.bucket == self.bucket) {
                settings.insert(name, value);
            }
        }
        if settings != registered.settings {
            let spec = RepositorySpec {
                kind: registered.kind.clone(),
                settings,
            };
            let put = state.engine.put_repository(&self.bucket, spec, false);
            put.await.map_err(bucket_unusable)?;
        }
        Ok(())
    }

    /// The bucket may change only while nothing is in it, or while the function is off.
    async fn refuse_move(&self, state: &HuaweiState, to: &Self) -> Result<(), CssError> {
        let stays = self.bucket == to.bucket && self.base_path == to.base_path;
        if stays || !self.enabled {
            return Ok(());
        }
        match state.engine.snapshots(&self.bucket).await {
            Err(EngineError::RepositoryMissing { .. }) => Ok(()),
            Ok(snapshots) if snapshots.is_empty() => Ok(()),
            Ok(snapshots) => Err(Fault::BucketInUse.because(format!(
                "bucket {} holds {} snapshots; disable the snapshot function first",
                self.bucket,
                snapshots.len()
            ))),
            Err(error) => Err(error.into()),
        }
    }
}

fn bucket_unusable(error: EngineError) -> CssError {
    match error {
        EngineError::RepositoryUnavailable { .. } => {
            Fault::BucketMissing.because(error.to_string())
        }
        other => other.into(),
    }
}

/// `POST …/index_snapshot/setting`: bucket, agency and path; rates; and, if it is there, the whole policy. Switches the function on.
pub async fn put(call: Call) -> CssResult {
    let cluster = call.cluster()?;
    let what = "css:cluster:updateSnapshotSetting";
    call.authorise(Need::administer(what))?;
    let fields = call.fields()?;
    let state = &call.state;
    let turn = state.turn.lock().await;
    let before = Setting::load(state).await?;
    let mut after = read(&fields, &before)?;
    call.authorise(Need::administer(what).repository(&after.bucket))?;
    let wanted_policy = match fields.has(&["enable"]) {
        true => Some(policy::Wanted::read(&fields)?),
        false => None,
    };
    before.refuse_move(state, &after).await?;
    after.apply(state, &before).await?;
    after.keep(state).await?;
    after.remember(state, &cluster).await?;
    drop(turn);
    if let Some(wanted) = wanted_policy {
        policy::apply(&call, &after, wanted).await?;
    } else if before.bucket != after.bucket {
        policy::follow_bucket(state, &after).await?;
    }
    Ok(Answer::empty())
}

fn read(fields: &Fields, before: &Setting) -> Result<Setting, CssError> {
    let bucket = fields
        .text(&["bucket"])?
        .ok_or_else(|| Fault::invalid("bucket", "it is required"))?;
    rules::bucket(bucket)?;
    let agency = fields
        .text(&["agency"])?
        .ok_or_else(|| Fault::InvalidAgency.because("agency is required"))?;
    rules::agency(agency)?;
    let base_path = fields
        .text(&["basePath", "base_path"])?
        .ok_or_else(|| Fault::InvalidParameter.because("base path is empty"))?;
    rules::base_path(base_path)?;
    let rate = |camel: &str, snake: &str, default: &str| -> Result<String, CssError> {
        let given = fields.text_or_number(&[camel, snake])?;
        let text = given.unwrap_or_else(|| default.to_owned());
        rules::rate(camel, &text)?;
        Ok(text)
    };
    let cmk = fields.text(&["snapshotCmkId", "snapshot_cmk_id"])?;
    Ok(Setting {
        enabled: true,
        bucket: bucket.to_owned(),
        agency: agency.to_owned(),
        base_path: base_path.to_owned(),
        max_snapshot_rate: rate(
            "maxSnapshotBytesPerSeconds",
            "max_snapshot_bytes_per_seconds",
            DEFAULT_SNAPSHOT_RATE,
        )?,
        max_restore_rate: rate(
            "maxRestoreBytesPerSeconds",
            "max_restore_bytes_per_seconds",
            DEFAULT_RESTORE_RATE,
        )?,
        snapshot_cmk_id: cmk.map(str::to_owned),
        cluster_ids: before.cluster_ids.clone(),
    })
}

/// `POST …/index_snapshot/auto_setting`: bucket and agency are chosen by the server. Switches the function on.
pub async fn automatic(call: Call) -> CssResult {
    let cluster = call.cluster()?;
    call.authorise(Need::administer("css:cluster:autoSnapshotSetting"))?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let mut setting = Setting::load(state).await?;
    setting.enabled = true;
    setting.repository(state).await?;
    setting.keep(state).await?;
    setting.remember(state, &cluster).await?;
    Ok(Answer::empty())
}

/// `DELETE …/index_snapshots`: switches the function off, automatic snapshots included. Everything stays where it is.
pub async fn stop(call: Call) -> CssResult {
    call.cluster()?;
    call.authorise(Need::administer("css:cluster:stopSnapshot"))?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let mut setting = Setting::load_enabled(state).await?;
    for policy in state.engine.policies(Some(OriginKind::HuaweiCss)).await? {
        state.engine.set_policy_enabled(&policy.key, false).await?;
    }
    setting.enabled = false;
    setting.keep(state).await?;
    Ok(Answer::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &str) -> Result<Setting, CssError> {
        let before = Setting {
            enabled: false,
            bucket: "css-backup".into(),
            agency: DEFAULT_AGENCY.into(),
            base_path: "a".into(),
            max_snapshot_rate: DEFAULT_SNAPSHOT_RATE.into(),
            max_restore_rate: DEFAULT_RESTORE_RATE.into(),
            snapshot_cmk_id: None,
            cluster_ids: vec!["c".into()],
        };
        read(&Fields::parse(body.as_bytes()).unwrap(), &before)
    }

    #[test]
    fn what_the_sdk_sends_is_read() {
        let setting = read_text(
            r#"{"bucket":"es-backup","agency":"usearch","base_path":"css_repository/Es-name",
                "max_snapshot_bytes_per_seconds":"40mb","max_restore_bytes_per_seconds":0}"#,
        )
        .unwrap();
        assert!(setting.enabled);
        assert_eq!(setting.location(), "es-backup/css_repository/Es-name");
        assert_eq!(setting.max_restore_rate, "0");
        assert_eq!(setting.cluster_ids, ["c"]);
    }

    #[test]
    fn what_is_missing_is_named_with_its_code() {
        let fault = |body: &str| read_text(body).unwrap_err();
        assert_eq!(
            fault(r#"{"agency":"a","base_path":"b"}"#).fault,
            Fault::InvalidParameter
        );
        assert_eq!(
            fault(r#"{"bucket":"abc","base_path":"b"}"#).fault,
            Fault::InvalidAgency
        );
        assert_eq!(
            fault(r#"{"bucket":"abc","agency":"a"}"#).to_string(),
            "CSS.0001 : Incorrect parameters. (base path is empty)"
        );
    }
}
