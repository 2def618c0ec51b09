//! Reference repositories: what another instance's automatic snapshots lie in, read-only, as `aliyun_snapshot_from_<source>`.
//!
//! Servers that share the first repository root find each other's repositories there. One that was encrypted with another password
//! is refused until this server's has been added to it (`snapkeep key add`).

use serde_json::{Value, json};
use snapkeep_engine::{EngineError, RepositorySpec};

use super::call::{AlibabaResult, Answer, Call, is_instance};
use super::errors::{AlibabaError, Fault};
use super::state::{AlibabaState, FOLDER};
use crate::auth::Need;

const PREFIX: &str = "aliyun_snapshot_from_";

fn warehouse(source: &str) -> String {
    format!("{PREFIX}{source}")
}

/// `POST …/snapshot-repos`.
pub async fn add(call: Call, instance: &str) -> AlibabaResult {
    let need = Need::administer("AddSnapshotRepo");
    call.authorise(instance, need)?;
    let body = call.object()?;
    let source = source(body.get("repoPath").and_then(Value::as_str))?;
    let name = warehouse(&source);
    call.authorise(instance, need.repository(&name))?;
    if source == instance {
        return Err(
            Fault::InvalidParameter.because("The parameter repoPath must name another instance.")
        );
    }
    let state = &call.state;
    let _turn = state.turn.lock().await;
    match state.engine.repository(&name).await {
        Ok(_) => {
            return Err(Fault::RepositoryExists
                .because(format!("The snapshot repository {name} already exists.")));
        }
        Err(EngineError::RepositoryMissing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let there = state.engine.repository_folders(FOLDER).await?;
    if !there.contains(&source) {
        return Err(AlibabaError::no_instance());
    }
    let settings = json!({ "location": format!("{FOLDER}/{source}"), "readonly": "true" });
    let spec = RepositorySpec {
        kind: "fs".to_owned(),
        settings: settings.as_object().cloned().unwrap_or_default(),
    };
    state.engine.put_repository(&name, spec, false).await?;
    Ok(Answer::Capital(json!(true)))
}

/// `GET …/snapshot-repos`.
pub async fn list(call: Call, instance: &str) -> AlibabaResult {
    call.authorise(instance, Need::read("ListSnapshotReposByInstanceId"))?;
    let state = &call.state;
    let mut repos = Vec::new();
    for source in registered(state).await? {
        let name = warehouse(&source);
        if !call.caller.sees_repository(&name) {
            continue;
        }
        let readable = state.engine.snapshots(&name).await.is_ok();
        repos.push(json!({
            "instanceId": instance,
            "repoPath": source,
            "snapWarehouse": name,
            "status": if readable { "available" } else { "unavailable" },
        }));
    }
    Ok(Answer::Capital(repos.into()))
}

/// `DELETE …/snapshot-repos`: the registration goes, nothing else.
pub async fn delete(call: Call, instance: &str) -> AlibabaResult {
    let need = Need::administer("DeleteSnapshotRepo");
    call.authorise(instance, need)?;
    let source = source(call.parameter("repoPath").as_deref())?;
    let name = warehouse(&source);
    call.authorise(instance, need.repository(&name))?;
    call.state.engine.remove_repository(&name).await?;
    Ok(Answer::Capital(json!(true)))
}

/// `GET …/alternative-snapshot-repos`: what could be added; with `alreadySetItems` (the default) also what has been.
pub async fn alternatives(call: Call, instance: &str) -> AlibabaResult {
    call.authorise(instance, Need::read("ListAlternativeSnapshotRepos"))?;
    // The Python SDK writes `False`.
    let given = call.parameter("alreadySetItems");
    let with_set = match given.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => {
            return Err(Fault::InvalidParameter
                .because("The parameter alreadySetItems must be true or false."));
        }
    };
    let set = registered(&call.state).await?;
    let there = call.state.engine.repository_folders(FOLDER).await?;
    let items: Vec<Value> = there
        .into_iter()
        .filter(|source| source != instance && is_instance(source))
        .filter(|source| with_set || !set.contains(source))
        .map(|source| json!({ "instanceId": source, "repoPath": source }))
        .collect();
    Ok(Answer::Capital(items.into()))
}

/// Sources of the reference repositories that are registered.
async fn registered(state: &AlibabaState) -> Result<Vec<String>, AlibabaError> {
    let repositories = state.engine.repositories().await?;
    let sources = repositories
        .iter()
        .filter_map(|info| info.name.strip_prefix(PREFIX));
    Ok(sources.map(str::to_owned).collect())
}

fn source(given: Option<&str>) -> Result<String, AlibabaError> {
    match given {
        Some(source) if is_instance(source) => Ok(source.to_owned()),
        Some(_) => Err(AlibabaError::no_instance()),
        None => Err(Fault::InvalidParameter.because("The parameter repoPath is required.")),
    }
}
