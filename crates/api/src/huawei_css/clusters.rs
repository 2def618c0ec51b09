//! `GET …/clusters` and `GET …/clusters/{cluster}`: what clients look at around snapshots.

use serde_json::{Value, json};

use super::call::{Answer, Call, CssResult};
use super::errors::CssError;
use super::policy;
use super::setting::Setting;
use super::snapshots::in_bucket;
use super::state::HuaweiState;
use crate::auth::Need;

/// Status of a cluster that can be used.
const AVAILABLE: &str = "200";

/// The embedded cluster, under every id that is configured or that clients have used.
pub async fn list(call: Call) -> CssResult {
    call.authorise(Need::read("css:cluster:list"))?;
    let state = &call.state;
    let setting = Setting::load(state).await?;
    let mut ids = vec![state.cluster_id()];
    let others = state.config.clusters.iter().chain(&setting.cluster_ids);
    for id in others {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    let total = ids.len();
    let number = |name: &str, default: usize| {
        let given = call.parameter(name);
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let start = number("start", 1).max(1);
    let page = ids.iter().skip(start - 1).take(number("limit", total));
    let shown = describe(state, &setting).await?;
    let clusters: Vec<Value> = page.map(|id| with_id(&shown, id)).collect();
    Ok(Answer::ok(
        json!({ "clusters": clusters, "totalSize": total }),
    ))
}

/// One of them.
pub async fn get(call: Call) -> CssResult {
    let cluster = call.cluster()?;
    call.authorise(Need::read("css:cluster:get"))?;
    let setting = Setting::load(&call.state).await?;
    let shown = describe(&call.state, &setting).await?;
    Ok(Answer::ok(with_id(&shown, &cluster)))
}

fn with_id(cluster: &Value, id: &str) -> Value {
    let mut cluster = cluster.clone();
    cluster["id"] = id.into();
    cluster
}

async fn describe(state: &HuaweiState, setting: &Setting) -> Result<Value, CssError> {
    let config = &state.config;
    let running = in_bucket(state, setting).await?;
    let mut actions = Vec::new();
    if running.iter().any(|info| info.is_running()) {
        actions.push("SNAPSHOTTING");
    }
    if !state.engine.running_restores(None).await.is_empty() {
        actions.push("RESTORING");
    }
    Ok(json!({
        "id": "",
        "name": config.cluster_name,
        "status": AVAILABLE,
        "datastore": {
            "type": config.datastore.kind,
            "version": config.datastore.version,
            "supportSecuritymode": false,
        },
        "endpoint": config.address,
        "backupAvailable": setting.enabled,
        "snapshotPolicy": policy::summary(state).await?,
        "actions": actions,
        "instances": [{
            "id": state.cluster_id(),
            "name": format!("{}-ess-esn-1-1", config.cluster_name),
            "type": "ess",
            "status": AVAILABLE,
        }],
        "httpsEnable": false,
        "authorityEnable": false,
        "tags": [],
    }))
}
