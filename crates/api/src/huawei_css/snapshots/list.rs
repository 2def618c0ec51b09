//! `GET …/index_snapshots`, and finding one by its id.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snapkeep_engine::{EngineError, SnapshotInfo};

use super::backup::{Surroundings, show};
use crate::auth::Need;
use crate::huawei_css::call::{Answer, Call, CssResult};
use crate::huawei_css::errors::{CssError, Fault};
use crate::huawei_css::ids;
use crate::huawei_css::setting::Setting;
use crate::huawei_css::state::HuaweiState;

/// All snapshots in the bucket, newest first; none while the function is disabled.
pub async fn list(call: Call) -> CssResult {
    let cluster = call.cluster()?;
    let what = "css:snapshot:list";
    call.authorise(Need::read(what))?;
    let state = &call.state;
    let setting = Setting::load(state).await?;
    call.authorise(Need::read(what).repository(&setting.bucket))?;
    let snapshots = match setting.enabled {
        true => in_bucket(state, &setting).await?,
        false => Vec::new(),
    };
    let restores = match snapshots.is_empty() {
        true => BTreeMap::new(),
        false => state.engine.latest_restores(&setting.bucket).await?,
    };
    let around = |info: &SnapshotInfo| Surroundings {
        config: &state.config,
        cluster: &cluster,
        restore: restores.get(&info.uuid),
    };
    let newest_first = snapshots.iter().rev();
    let backups: Vec<Value> = newest_first.map(|info| show(info, around(info))).collect();
    Ok(Answer::ok(json!({ "backups": backups })))
}

/// What is in the bucket; nothing as long as there is no bucket.
pub async fn in_bucket(
    state: &HuaweiState,
    setting: &Setting,
) -> Result<Vec<SnapshotInfo>, CssError> {
    match state.engine.snapshots(&setting.bucket).await {
        Err(EngineError::RepositoryMissing { .. }) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// The snapshot with an id.
pub async fn find(
    state: &HuaweiState,
    setting: &Setting,
    id: &str,
) -> Result<SnapshotInfo, CssError> {
    let wanted = id.to_ascii_lowercase();
    let snapshots = in_bucket(state, setting).await?;
    let mut found = snapshots
        .into_iter()
        .filter(|info| ids::uuid_of(&info.uuid) == wanted);
    found
        .next()
        .ok_or_else(|| Fault::SnapshotUnknown.because(format!("no snapshot {id}")))
}
