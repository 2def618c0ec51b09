//! `POST /v1/backups/{backend}/{id}/restore`

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use snapkeep_engine::{EngineError, ResourceKind, RestoreProblem, RestoreRequest};

use super::super::access;
use super::super::class::{capitalised, check_class_name};
use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{
    NOT_IN_BACKUP, NOT_RESTORABLE, NOTHING_LEFT, RENAME_INVALID, RESTORE_RUNNING, UNKNOWN_BACKEND,
    UNKNOWN_BACKUP, UNKNOWN_NODE, UNKNOWN_TENANT, UNREADABLE_BACKUP,
};
use super::create::{first, forbidden, visible};
use super::describe::{Backup, accepted, engine_error};
use super::location::Target;
use super::request::RestoreBody;
use crate::auth::Need;

const VERB: &str = "create_backups";
/// A restore takes at least this long: clients that start one and cancel it at once count on nothing of it being there.
const CANCEL_WINDOW: Duration = Duration::from_millis(200);

pub(super) async fn restore(request: WvRequest) -> WvResult {
    let asked = RestoreBody::parse(&request)?;
    let (state, id) = (&request.state, request.captured("id"));
    let backend = request.captured("backend");
    let place = asked.place.clone();
    let target = Target::find(state, backend, place, &UNKNOWN_BACKEND, false).await?;
    let path = target.path_of(id);
    let unknown = || UNKNOWN_BACKUP.error(&[("id", id), ("path", &path)]);
    let node = &state.config.node_name;
    let fail = |error: &EngineError| engine_error(node, &path, error, &UNREADABLE_BACKUP);
    let repository = target.repository(unknown)?;
    let found = state.engine.snapshot(repository, id).await;
    let backup = match found.map(|info| visible(&request, info)) {
        Ok(Some(backup)) => backup,
        Ok(None) | Err(EngineError::SnapshotMissing { .. }) => return Err(unknown()),
        Err(error) => return Err(fail(&error)),
    };
    asked.lists.check()?;
    if backup.status() != "SUCCESS" {
        return Err(NOT_RESTORABLE.error(&[("path", &path), ("status", backup.status())]));
    }
    let classes = classes(&backup, &asked)?;
    check_nodes(node, &asked.node_mapping)?;
    let rename = renamed(&classes, &asked.rename)?;
    let new_names: Vec<String> = classes
        .iter()
        .map(|class| rename.get(class).unwrap_or(class).clone())
        .collect();
    let need = Need::operate(VERB)
        .repository(repository)
        .resources(&new_names);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, VERB, &first(&new_names)))?;
    access::may_restore(&request, asked.with_users || asked.with_roles)?;
    let _one_at_a_time = state.restore_gate.lock().await;
    if let Some(running) = running(&request).await {
        return Err(RESTORE_RUNNING.error(&[("id", &running)]));
    }
    let wanted = RestoreRequest {
        collections: classes.clone(),
        collection_rename: rename,
        on_conflict: asked.on_conflict,
        tenants: asked.tenants.clone(),
        include_aliases: true,
        overwrite_aliases: asked.overwrite_alias,
        cancel_window: CANCEL_WINDOW,
        ..RestoreRequest::default()
    };
    match state.engine.restore(repository, id, wanted).await {
        Ok(_) => {
            let access = &backup.mark.access;
            access::restore(state, access, asked.with_users, asked.with_roles).await?;
            let answer: Value = accepted(&target, id, &classes).into();
            Ok(WvResponse::value(&answer))
        }
        Err(EngineError::TenantMissing {
            tenant,
            collections,
        }) => {
            let classes = collections.join(" ");
            Err(UNKNOWN_TENANT.error(&[("tenant", &tenant), ("classes", &classes)]))
        }
        Err(EngineError::Restore { problem, .. }) => Err(refused(&problem, unknown)),
        Err(error) => Err(fail(&error)),
    }
}

/// The classes to restore, of those that the backup has.
fn classes(backup: &Backup, asked: &RestoreBody) -> Result<Vec<String>, WvError> {
    let available = backup.info.collection_names();
    let all = available.join(" ");
    let selected = asked.lists.select(&available).map_err(|unknown| {
        let unknown = unknown.first().cloned().unwrap_or_default();
        NOT_IN_BACKUP.error(&[("class", &unknown), ("classes", &all)])
    })?;
    match selected.is_empty() {
        true => Err(NOTHING_LEFT.error(&[("classes", &all)])),
        false => Ok(selected),
    }
}

/// Backups do not depend on nodes, so a mapping changes nothing; one that leads nowhere is a mistake.
fn check_nodes(node: &str, mapping: &[(String, String)]) -> Result<(), WvError> {
    let Some((_, ghost)) = mapping.iter().find(|(_, new)| new != node) else {
        return Ok(());
    };
    let shown: Vec<String> = mapping
        .iter()
        .map(|(old, new)| format!("{old}:{new}"))
        .collect();
    let shown = shown.join(" ");
    Err(UNKNOWN_NODE.error(&[("node", ghost), ("nodes", node), ("mapping", &shown)]))
}

/// New names by old ones, spelt as names of classes are.
fn renamed(
    classes: &[String],
    asked: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, WvError> {
    let mut rename = BTreeMap::new();
    for (class, new) in asked {
        if !classes.contains(class) {
            let all = classes.join(" ");
            return Err(NOT_IN_BACKUP.error(&[("class", class), ("classes", &all)]));
        }
        let new = capitalised(new);
        check_class_name(&new)
            .map_err(|reason| RENAME_INVALID.error(&[("class", class), ("reason", &reason)]))?;
        rename.insert(class.clone(), new);
    }
    let targets: Vec<&String> = classes
        .iter()
        .map(|class| rename.get(class).unwrap_or(class))
        .collect();
    for (position, class) in classes.iter().enumerate() {
        let target = targets[position];
        if targets[..position].contains(&target) {
            let reason = format!("another class of the restore is named {target}");
            return Err(RENAME_INVALID.error(&[("class", class), ("reason", &reason)]));
        }
    }
    Ok(rename)
}

fn refused(problem: &RestoreProblem, unknown: impl Fn() -> WvError) -> WvError {
    match problem {
        RestoreProblem::SnapshotMissing => unknown(),
        other => WvError::unprocessable(other.to_string()),
    }
}

/// The backup that is being restored now, wherever it comes from.
async fn running(request: &WvRequest) -> Option<String> {
    let all = request.state.engine.running_restores(None).await;
    all.into_iter()
        .find(|run| {
            run.resources
                .iter()
                .any(|it| it.kind == ResourceKind::Collection)
        })
        .map(|run| run.snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |&(a, b): &(&str, &str)| (a.to_owned(), b.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_new_name_is_spelt_as_a_class() {
        let rename = renamed(&names(&["A", "B"]), &map(&[("A", "copy")])).unwrap();
        assert_eq!(rename, map(&[("A", "Copy")]));
    }

    #[test]
    fn two_classes_cannot_become_one() {
        assert!(renamed(&names(&["A", "B"]), &map(&[("A", "B")])).is_err());
        assert!(renamed(&names(&["A", "B"]), &map(&[("A", "B"), ("B", "A")])).is_ok());
        assert!(renamed(&names(&["A"]), &map(&[("X", "Y")])).is_err());
    }

    #[test]
    fn a_mapping_to_this_node_is_fine_whatever_it_was_called() {
        let to = |new: &str| [("old".to_owned(), new.to_owned())];
        assert!(check_nodes("here", &to("here")).is_ok());
        let error = check_nodes("here", &to("ghost")).unwrap_err();
        assert_eq!(
            error.message(),
            "cannot resolve hostname for \"ghost\", nodes=map[here], nodeMapping=map[old:ghost]"
        );
    }
}
