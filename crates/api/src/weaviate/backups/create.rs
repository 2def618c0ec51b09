//! `POST /v1/backups/{backend}`

use serde_json::Value;
use snapkeep_engine::{CreateSnapshot, EngineError, NameRules};

use super::super::access;
use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{
    ALL_EXCLUDED, BASE_COMPRESSION, BASE_IS_ITSELF, BASE_MISSING, BASE_UNSUCCESSFUL,
    CREATE_RUNNING, FORBIDDEN, ID_TAKEN, ID_TOO_LONG, INVALID_BASE_ID, INVALID_ID, NO_CLASSES,
    NOTHING_PERMITTED, UNKNOWN_BACKEND, UNKNOWN_CLASS, UNKNOWN_USER, UNREADABLE_STATUS,
};
use super::describe::{Backup, Mark, accepted, engine_error};
use super::location::{Target, no_access};
use super::request::CreateRequest;
use crate::auth::{Denied, Need, Shortfall};

/// What a file name may have upstream, where an id is one.
const MAX_ID_BYTES: usize = 255;

/// Characters that an id may have.
pub(super) fn is_valid_id(id: &str) -> bool {
    let fits = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    !id.is_empty() && id.chars().all(fits)
}

/// 403 in the words of backups.
pub(super) fn forbidden(denied: &Denied, verb: &str, class: &str) -> WvError {
    let outside = match &denied.shortfall {
        Shortfall::Resources(names) => names.first().map(String::as_str),
        _ => None,
    };
    let class = outside.unwrap_or(class);
    FORBIDDEN.error(&[
        ("user", &denied.principal),
        ("verb", verb),
        ("class", class),
    ])
}

pub(super) async fn create(request: WvRequest) -> WvResult {
    let asked = CreateRequest::parse(&request)?;
    let state = &request.state;
    let backend = request.captured("backend");
    if !state.config.backends.knows(backend) {
        return Err(UNKNOWN_BACKEND.error(&[("backend", backend)]));
    }
    check_ids(&asked)?;
    asked.lists.check()?;
    let classes = classes(&request, &asked)?;
    let access = access::captured(state, &asked.users, &asked.roles)
        .await?
        .map_err(|user| UNKNOWN_USER.error(&[("user", &user)]))?;
    let place = asked.place.clone();
    let target = Target::find(state, backend, place, &UNKNOWN_BACKEND, true).await?;
    let repository = target.repository(WvError::not_found)?;
    let need = Need::operate("create_backups")
        .repository(repository)
        .resources(&classes);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, "create_backups", &first(&classes)))?;
    let path = target.path_of(&asked.id);
    if asked.id.len() > MAX_ID_BYTES {
        return Err(ID_TOO_LONG.error(&[("id", &asked.id), ("path", &path)]));
    }
    let _one_at_a_time = state.backup_gate.lock().await;
    refuse_taken(&request, &target, repository, &asked).await?;
    if let Some(base) = &asked.base {
        check_base(&request, &target, repository, base, asked.compression).await?;
    }
    if let Some(running) = running(&request).await {
        return Err(CREATE_RUNNING.error(&[("id", &running)]));
    }
    let mark = Mark {
        classes: classes.clone(),
        path: path.clone(),
        compression: asked.compression.to_owned(),
        base: asked.base.clone(),
        access,
    };
    let snapshot = CreateSnapshot {
        name: asked.id.clone(),
        collections: classes.clone(),
        metadata: Some(mark.into_metadata()),
        naming: NameRules::Free,
        ..CreateSnapshot::default()
    };
    match state.engine.create_snapshot(repository, snapshot).await {
        Ok(_) => {
            let answer: Value = accepted(&target, &asked.id, &classes).into();
            Ok(WvResponse::value(&answer))
        }
        Err(EngineError::SnapshotExists { .. }) => {
            Err(ID_TAKEN.error(&[("id", &asked.id), ("path", &path)]))
        }
        // Dropped since the list was made.
        Err(EngineError::CollectionMissing { collection }) => {
            Err(UNKNOWN_CLASS.error(&[("class", &collection)]))
        }
        Err(
            error @ (EngineError::RepositoryReadonly { .. }
            | EngineError::RepositoryUnavailable { .. }
            | EngineError::RepositoryMissing { .. }),
        ) => Err(no_access(&target.backend, &error)),
        Err(error) => {
            let node = &state.config.node_name;
            Err(engine_error(node, &path, &error, &UNREADABLE_STATUS))
        }
    }
}

pub(super) fn first(classes: &[String]) -> String {
    classes.first().cloned().unwrap_or_else(|| "*".to_owned())
}

fn check_ids(asked: &CreateRequest) -> Result<(), WvError> {
    if !is_valid_id(&asked.id) {
        return Err(INVALID_ID.error(&[("id", &asked.id)]));
    }
    match &asked.base {
        Some(base) if *base == asked.id => Err(BASE_IS_ITSELF.error(&[("id", base)])),
        Some(base) if !is_valid_id(base) => Err(INVALID_BASE_ID.error(&[("id", base)])),
        _ => Ok(()),
    }
}

/// The classes to back up. Without `include`, those that the caller may see.
fn classes(request: &WvRequest, asked: &CreateRequest) -> Result<Vec<String>, WvError> {
    let all = request.state.store.collections();
    let available: Vec<String> = all.iter().map(|meta| meta.name.clone()).collect();
    if available.is_empty() {
        return Err(NO_CLASSES.error(&[]));
    }
    let selected = asked.lists.select(&available).map_err(|unknown| {
        let lines: Vec<String> = unknown
            .iter()
            .map(|class| UNKNOWN_CLASS.fill(&[("class", class)]))
            .collect();
        WvError::application(UNKNOWN_CLASS.status, lines.join("\n"))
    })?;
    if selected.is_empty() {
        return Err(ALL_EXCLUDED.error(&[("classes", &available.join(" "))]));
    }
    if !asked.lists.include.is_empty() {
        return Ok(selected);
    }
    let permitted: Vec<String> = selected
        .iter()
        .filter(|class| request.caller.sees_resource(class))
        .cloned()
        .collect();
    if permitted.is_empty() {
        let user = request.caller.name();
        let class = first(&selected);
        return Err(NOTHING_PERMITTED.error(&[("user", user), ("class", &class)]));
    }
    Ok(permitted)
}

async fn refuse_taken(
    request: &WvRequest,
    target: &Target,
    repository: &str,
    asked: &CreateRequest,
) -> Result<(), WvError> {
    let path = target.path_of(&asked.id);
    match request.state.engine.snapshot(repository, &asked.id).await {
        Ok(info) if info.cancelled => Ok(()),
        Ok(_) => Err(ID_TAKEN.error(&[("id", &asked.id), ("path", &path)])),
        Err(EngineError::SnapshotMissing { .. }) => Ok(()),
        Err(error) => Err(no_access(&target.backend, &error)),
    }
}

/// Nothing depends on a base here, as every backup takes over what the repository has. A request that upstream refuses is
/// refused all the same: it is a mistake in a script.
async fn check_base(
    request: &WvRequest,
    target: &Target,
    repository: &str,
    base: &str,
    compression: &str,
) -> Result<(), WvError> {
    let found = request.state.engine.snapshot(repository, base).await;
    let backup = match found.map(Backup::of) {
        Ok(Some(backup)) => backup,
        Ok(None) | Err(EngineError::SnapshotMissing { .. }) => {
            return Err(BASE_MISSING.error(&[("path", &target.path_of(base))]));
        }
        Err(error) => return Err(no_access(&target.backend, &error)),
    };
    if backup.status() != "SUCCESS" {
        let values = [("id", base), ("status", backup.status())];
        return Err(BASE_UNSUCCESSFUL.error(&values));
    }
    if backup.mark.compression != compression {
        let has = backup.mark.compression.as_str();
        let values = [("id", base), ("has", has), ("expected", compression)];
        return Err(BASE_COMPRESSION.error(&values));
    }
    Ok(())
}

/// The backup that is being created now, wherever it goes.
async fn running(request: &WvRequest) -> Option<String> {
    let all = request.state.engine.running_snapshots(None).await;
    all.into_iter()
        .find(|status| Mark::of(&status.info).is_some())
        .map(|status| status.info.name)
}

/// What a backup of this dialect says of itself while it runs; for a status that names no path.
pub(super) async fn find_running(request: &WvRequest, id: &str) -> Option<Backup> {
    let all = request.state.engine.running_snapshots(None).await;
    all.into_iter()
        .map(|status| status.info)
        .find(|info| info.name == id && Mark::of(info).is_some())
        .and_then(Backup::of)
}

/// The part of an error that names a file which is not there.
pub(super) fn unknown_status(target: &Target, id: &str, file: &str) -> WvError {
    let path = target.path_of(id);
    super::conditions::UNKNOWN_STATUS.error(&[("path", &path), ("file", file)])
}

/// For callers that may not know of a backup it does not exist.
pub(super) fn visible(request: &WvRequest, info: snapkeep_engine::SnapshotInfo) -> Option<Backup> {
    Backup::of(info).filter(|backup| backup.is_visible(&request.caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_few_characters() {
        for id in ["a", "0-9_z"] {
            assert!(is_valid_id(id), "{id}");
        }
        for id in ["", "A", "a/b", "..", "ü", "a\nb", "a%2fb", "a b"] {
            assert!(!is_valid_id(id), "{id:?}");
        }
    }
}
