//! Automatic snapshots: the policy in this dialect's words.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapkeep_engine::{
    Expected, NameTemplate, OriginKind, Policy, PolicySpec, Retention, Schedule, ScheduleKind,
    Selection, WhenRunning,
};

use super::call::{Answer, Call, CssResult};
use super::errors::{CssError, Fault};
use super::fields::Fields;
use super::period::{DEFAULT_PERIOD, Frequency, Period};
use super::rules;
use super::setting::Setting;
use super::snapshots::Origin;
use super::state::HuaweiState;
use crate::auth::Need;
use crate::shared::policies;

const DAY_MS: i64 = 86_400_000;
const DEFAULT_PREFIX: &str = "snapshot";
const DEFAULT_KEEP_DAY: i64 = 7;
/// Expired snapshots go at this minute of each hour.
const SWEEP_MINUTE: u8 = 30;

/// The values of a policy, as they are given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    keepday: i64,
    period: String,
    frequency: String,
    prefix: String,
    indices: String,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            keepday: DEFAULT_KEEP_DAY,
            period: DEFAULT_PERIOD.to_owned(),
            frequency: Frequency::Day.word().to_owned(),
            prefix: DEFAULT_PREFIX.to_owned(),
            indices: "*".to_owned(),
        }
    }
}

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Automatic snapshots on these terms.
    On(Terms),
    /// None any more.
    Off {
        /// Whether those that are there are deleted too.
        delete: bool,
    },
}

impl Wanted {
    /// Reads the keys of a policy; the others are somebody else's.
    pub fn read(fields: &Fields) -> Result<Self, CssError> {
        let enable = fields.flag(&["enable"])?;
        let enable = enable.ok_or_else(|| Fault::invalid("enable", "it is required"))?;
        if enable {
            return Ok(Self::On(terms(fields, true)?));
        }
        let delete = fields.flag(&["deleteAuto", "delete_auto"])?;
        Ok(Self::Off {
            delete: delete.unwrap_or(false),
        })
    }
}

/// Reads and checks the terms. `period_needed`: the v1 call asks for a time of day unless snapshots are hourly.
fn terms(fields: &Fields, period_needed: bool) -> Result<Terms, CssError> {
    let prefix = fields
        .text(&["prefix"])?
        .ok_or_else(|| Fault::InvalidPrefix.because("prefix is required"))?;
    rules::prefix(prefix)?;
    let frequency = match fields.text(&["frequency"])? {
        None | Some("") => Frequency::Day,
        Some(word) => Frequency::parse(word)?,
    };
    let period = fields.text(&["period"])?.filter(|text| !text.is_empty());
    if period.is_none() && period_needed && frequency != Frequency::Hour {
        return Err(Fault::InvalidPeriod.because("period is required"));
    }
    let period = period.unwrap_or(DEFAULT_PERIOD);
    Period::parse(period)?;
    let keepday = fields
        .integer(&["keepday"])
        .filter(|days| (1..=90).contains(days));
    let keepday = keepday
        .ok_or_else(|| Fault::InvalidKeepDay.because("keepday is invalid: it must be 1 to 90"))?;
    let indices = fields.text(&["indices"])?.unwrap_or_default();
    rules::indices(indices)?;
    Ok(Terms {
        keepday,
        period: period.to_owned(),
        frequency: frequency.word().to_owned(),
        prefix: prefix.to_owned(),
        indices: match indices {
            "" => "*".to_owned(),
            given => given.to_owned(),
        },
    })
}

impl Terms {
    /// The policy of the engine. `keepday` is days for daily snapshots and a number of snapshots for all others.
    fn spec(&self, bucket: &str) -> Result<(Frequency, PolicySpec), CssError> {
        let frequency = Frequency::parse(&self.frequency)?;
        let period = Period::parse(&self.period)?;
        let origin = Origin {
            automatic: true,
            indices: Some(self.indices.clone()),
            frequency: Some(self.frequency.clone()),
            keep_day: Some(self.keepday),
            period: Some(self.period.clone()),
            ..Origin::default()
        };
        let template = NameTemplate::EpochMillis {
            prefix: self.prefix.clone(),
        };
        let retention = match frequency {
            Frequency::Day => Retention {
                max_age_ms: Some(self.keepday * DAY_MS),
                ..Retention::default()
            },
            Frequency::Hour | Frequency::Week(_) => Retention {
                max_count: u32::try_from(self.keepday).ok(),
                ..Retention::default()
            },
        };
        let spec = PolicySpec {
            selection: Selection {
                indices: vec![self.indices.clone()],
                ignore_unavailable: true,
                partial: true,
                ..Selection::default()
            },
            schedule: Some(period.schedule(frequency)),
            metadata: Some(origin.metadata()),
            retention,
            retention_schedule: Some(Schedule {
                kind: ScheduleKind::Hourly {
                    minute: SWEEP_MINUTE,
                },
                time_zone: "UTC".to_owned(),
            }),
            when_running: WhenRunning::SkipWhenBusy,
            extra: serde_json::to_value(self).unwrap_or_default(),
            ..PolicySpec::new(bucket, template)
        };
        Ok((frequency, spec))
    }

    fn of(policy: &Policy) -> Self {
        serde_json::from_value(policy.spec.extra.clone()).unwrap_or_default()
    }
}

/// The policy of the cluster: there is at most one.
async fn current(state: &HuaweiState) -> Result<Option<Policy>, CssError> {
    let policies = state.engine.policies(Some(OriginKind::HuaweiCss)).await?;
    let newest = policies.into_iter().max_by_key(|policy| policy.modified_ms);
    Ok(newest)
}

/// Puts a policy, or switches it off.
pub async fn apply(call: &Call, setting: &Setting, wanted: Wanted) -> Result<(), CssError> {
    let state = &call.state;
    match wanted {
        Wanted::On(terms) => {
            let bucket = setting.repository(state).await?.name;
            let (frequency, mut spec) = terms.spec(&bucket)?;
            spec.selection.include_global_state = !call.caller.has_resource_limits();
            let need = Need::administer("css:cluster:createAutoCreatePolicy");
            policies::authorise(&call.caller, need.project(call.project()), &spec)?;
            let key = state.policy_key(frequency);
            state
                .engine
                .put_policy(&key, spec, Expected::Anything)
                .await?;
            // Snapshots of another frequency are no longer touched.
            for other in state.engine.policies(Some(OriginKind::HuaweiCss)).await? {
                if other.key != key {
                    state.engine.remove_policy(&other.key).await?;
                }
            }
        }
        Wanted::Off { delete } => {
            if let Some(policy) = current(state).await? {
                state.engine.set_policy_enabled(&policy.key, false).await?;
            }
            if delete {
                delete_automatic(state, setting).await?;
            }
        }
    }
    Ok(())
}

/// The policy goes on with another bucket.
pub async fn follow_bucket(state: &HuaweiState, setting: &Setting) -> Result<(), CssError> {
    if let Some(policy) = current(state).await? {
        let spec = PolicySpec {
            repository: setting.bucket.clone(),
            ..policy.spec
        };
        state
            .engine
            .put_policy(&policy.key, spec, Expected::Anything)
            .await?;
    }
    Ok(())
}

/// Deletes all automatic snapshots, of whatever frequency, that are complete.
async fn delete_automatic(state: &HuaweiState, setting: &Setting) -> Result<(), CssError> {
    let bucket = setting.repository(state).await?.name;
    let snapshots = state.engine.snapshots(&bucket).await?;
    let names: Vec<String> = snapshots
        .iter()
        .filter(|info| Origin::of(info).automatic && !info.is_running())
        .map(|info| info.name.clone())
        .collect();
    if !names.is_empty() {
        state.engine.delete_snapshots(&bucket, &names).await?;
    }
    Ok(())
}

/// `POST …/index_snapshot/policy`.
pub async fn put(call: Call) -> CssResult {
    let wanted = |fields: &Fields| Wanted::read(fields);
    change(call, "css:cluster:createAutoCreatePolicy", wanted).await
}

/// `POST /v2.0/…/snapshots/policy/open`: the same without `enable`.
pub async fn open(call: Call) -> CssResult {
    let wanted = |fields: &Fields| Ok(Wanted::On(terms(fields, false)?));
    change(call, "css:cluster:startAutoCreateSnapshots", wanted).await
}

/// `PUT /v2.0/…/snapshots/policy/close`.
pub async fn close(call: Call) -> CssResult {
    let need = Need::administer("css:cluster:stopAutoCreateSnapshots");
    call.cluster()?;
    call.authorise(need)?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let setting = Setting::load_enabled(state).await?;
    call.authorise(need.repository(&setting.bucket))?;
    apply(&call, &setting, Wanted::Off { delete: false }).await?;
    Ok(Answer::empty())
}

async fn change(
    call: Call,
    what: &str,
    read: impl Fn(&Fields) -> Result<Wanted, CssError>,
) -> CssResult {
    let cluster = call.cluster()?;
    call.authorise(Need::administer(what))?;
    let wanted = read(&call.fields()?)?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let mut setting = Setting::load_enabled(state).await?;
    call.authorise(Need::administer(what).repository(&setting.bucket))?;
    apply(&call, &setting, wanted).await?;
    setting.remember(state, &cluster).await?;
    Ok(Answer::empty())
}

/// `GET …/index_snapshot/policy`: the policy and the setting in one.
pub async fn get(call: Call) -> CssResult {
    call.cluster()?;
    call.authorise(Need::read("css:cluster:showAutoCreatePolicy"))?;
    let state = &call.state;
    let setting = Setting::load(state).await?;
    let policy = current(state).await?;
    Ok(Answer::ok(show(&setting, policy.as_ref())))
}

fn show(setting: &Setting, policy: Option<&Policy>) -> Value {
    let terms = policy.map(Terms::of).unwrap_or_default();
    let enabled = policy.is_some_and(|policy| policy.spec.enabled) && setting.enabled;
    json!({
        "keepday": terms.keepday,
        "period": terms.period,
        "frequency": terms.frequency,
        "prefix": terms.prefix,
        "bucket": setting.bucket,
        "basePath": setting.base_path,
        "agency": setting.agency,
        "enable": enabled.to_string(),
        "indices": terms.indices,
        "snapshotCmkId": setting.snapshot_cmk_id,
        "maxSnapshotBytesPerSeconds": setting.max_snapshot_rate,
        "maxRestoreBytesPerSeconds": setting.max_restore_rate,
    })
}

/// The same as `GET …/clusters/{id}` shows it.
pub async fn summary(state: &HuaweiState) -> Result<Value, CssError> {
    let policy = current(state).await?;
    let terms = policy.as_ref().map(Terms::of).unwrap_or_default();
    Ok(json!({
        "backupEnable": policy.is_some_and(|policy| policy.spec.enabled),
        "bakPeriod": terms.period,
        "bakFrequency": terms.frequency,
        "bakKeepDay": terms.keepday,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(body: &str) -> Result<Wanted, CssError> {
        Wanted::read(&Fields::parse(body.as_bytes()).unwrap())
    }

    fn fault(body: &str) -> Fault {
        wanted(body).unwrap_err().fault
    }

    #[test]
    fn what_the_sdk_sends_becomes_a_policy() {
        let body = r#"{"indices":"*","prefix":"snapshot","period":"16:00 GMT+08:00","keepday":7,"enable":"true",
            "delete_auto":"false","frequency":"DAY"}"#;
        let Wanted::On(terms) = wanted(body).unwrap() else {
            panic!("it was enabled")
        };
        let (frequency, spec) = terms.spec("css-backup").unwrap();
        assert_eq!(frequency, Frequency::Day);
        assert_eq!(spec.retention.max_age_ms, Some(7 * DAY_MS));
        assert_eq!(spec.retention.max_count, None);
        assert_eq!(spec.schedule.unwrap().time_zone, "+08:00");
        assert_eq!(
            spec.name_template,
            NameTemplate::EpochMillis {
                prefix: "snapshot".into()
            }
        );
    }

    #[test]
    fn keepday_counts_snapshots_unless_they_are_daily() {
        let body = r#"{"prefix":"a","keepday":"3","enable":true,"frequency":"HOUR"}"#;
        let Wanted::On(terms) = wanted(body).unwrap() else {
            panic!("it was enabled")
        };
        let (_, spec) = terms.spec("b").unwrap();
        assert_eq!(
            (spec.retention.max_count, spec.retention.max_age_ms),
            (Some(3), None)
        );
    }

    #[test]
    fn each_value_is_refused_with_its_code() {
        assert_eq!(fault(r#"{"prefix":"a"}"#), Fault::InvalidParameter);
        assert_eq!(fault(r#"{"enable":"yes"}"#), Fault::InvalidParameter);
        assert_eq!(
            fault(r#"{"enable":"true","keepday":7,"period":"16:00 GMT+08:00"}"#),
            Fault::InvalidPrefix
        );
        assert_eq!(
            fault(r#"{"enable":"true","keepday":7,"prefix":"a"}"#),
            Fault::InvalidPeriod
        );
        for keepday in ["0", "91", "null", "\"x\"", "1.5"] {
            let body = format!(
                r#"{{"enable":"true","prefix":"a","period":"16:00 GMT+08:00","keepday":{keepday}}}"#
            );
            assert_eq!(fault(&body), Fault::InvalidKeepDay, "{keepday}");
        }
        assert_eq!(
            fault(r#"{"enable":"true","prefix":"a","period":"16:00 CET","keepday":7}"#),
            Fault::InvalidTimeZone
        );
    }

    #[test]
    fn switched_off_nothing_else_is_needed() {
        assert_eq!(
            wanted(r#"{"enable":"false"}"#).unwrap(),
            Wanted::Off { delete: false }
        );
        assert_eq!(
            wanted(r#"{"enable":false,"delete_auto":"true"}"#).unwrap(),
            Wanted::Off { delete: true }
        );
    }
}
