//! `DELETE /_snapshot/{repository}/{snapshot}`.

use snapkeep_engine::{EngineError, InUse, SnapshotInfo};

use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::{from_engine, snapshot_missing};
use crate::elasticsearch::params::split_list;
use crate::elasticsearch::pattern::{has_wildcard, matches};
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::routes::EsResult;

/// Deletes snapshots; running ones are cancelled.
pub async fn delete(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let waits = request.params.bool("wait_for_completion", true)?;
    let shape = request.shape();
    let repository = request.captured("repository").to_owned();
    let engine = request.state.engine.clone();
    let all = engine
        .snapshots(&repository)
        .await
        .map_err(|error| from_engine(error, shape))?;
    let names = select(&repository, &all, request.captured("snapshot"))?;
    if names.is_empty() {
        return Ok(EsResponse::acknowledged());
    }
    // Said at once, also when nobody waits for the end.
    if let Some(locked) = first_locked(&all, &names) {
        return Err(from_engine(locked, shape));
    }
    let deletion = async move { engine.delete_snapshots(&repository, &names).await };
    if waits {
        if let Err(error) = deletion.await {
            return Err(refused(&request, error).await);
        }
    } else {
        tokio::spawn(async move {
            if let Err(error) = deletion.await {
                tracing::warn!(error = %error, "a deletion that nobody waited for failed");
            }
        });
    }
    Ok(EsResponse::acknowledged())
}

/// Why the first of these snapshots that is locked cannot be deleted.
fn first_locked(all: &[SnapshotInfo], names: &[String]) -> Option<EngineError> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    all.iter().find_map(|info| {
        let until_ms = info.locked_until_ms.filter(|until_ms| *until_ms > now_ms)?;
        names
            .contains(&info.name)
            .then(|| EngineError::SnapshotLocked {
                repository: info.repository.clone(),
                snapshot: info.name.clone(),
                until_ms,
            })
    })
}

/// Says why a deletion was refused; where a restore is the reason, with the restore's own id as real servers do.
async fn refused(request: &EsRequest, error: EngineError) -> EsError {
    let EngineError::SnapshotInUse {
        repository,
        snapshot,
        uuid,
        by: InUse::Restore,
    } = &error
    else {
        return from_engine(error, request.shape());
    };
    let recoveries = request.state.engine.recoveries().await.unwrap_or_default();
    let restore = recoveries.iter().find(|recovery| {
        let source = &recovery.source;
        recovery.is_active() && source.repository == *repository && source.snapshot == *snapshot
    });
    let Some(restore) = restore else {
        return from_engine(error, request.shape());
    };
    let (id, of) = (
        &restore.source.restore_uuid,
        format!("{repository}:{snapshot}/{uuid}"),
    );
    ErrorKind::ConcurrentSnapshot.error(format!(
        "[{of}] cannot delete snapshot during a restore in progress in [RestoreInProgress[{{{id}}}{{{of}}}]]"
    ))
}

/// Names and patterns; a missing name is an error before anything is deleted, a pattern without a match is none.
fn select(
    repository: &str,
    all: &[SnapshotInfo],
    expression: &str,
) -> Result<Vec<String>, EsError> {
    let mut chosen: Vec<String> = Vec::new();
    for item in split_list(expression) {
        let found: Vec<&SnapshotInfo> = all
            .iter()
            .filter(|info| matches(&item, &info.name))
            .collect();
        if found.is_empty() && !has_wildcard(&item) {
            return Err(snapshot_missing(repository, &item));
        }
        for info in found {
            if !chosen.contains(&info.name) {
                chosen.push(info.name.clone());
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::sample;
    use super::*;

    #[test]
    fn names_and_patterns_are_each_taken_once() {
        let all = [
            sample("r", "s1", 1),
            sample("r", "s2", 2),
            sample("r", "t", 3),
        ];
        assert_eq!(select("r", &all, "t,s*,s1").unwrap(), ["t", "s1", "s2"]);
        assert!(select("r", &all, "zzz*").unwrap().is_empty());
    }

    #[test]
    fn a_locked_one_is_refused_until_its_lock_is_over() {
        let mut all = [sample("r", "s1", 1), sample("r", "s2", 2)];
        all[1].locked_until_ms = Some(i64::MAX);
        let refused = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            first_locked(&all, &names).is_some()
        };
        assert!(refused(&["s1", "s2"]) && !refused(&["s1"]));
        all[1].locked_until_ms = Some(1);
        assert!(first_locked(&all, &["s2".to_owned()]).is_none());
    }

    #[test]
    fn a_missing_name_stops_everything_and_all_is_a_name() {
        let all = [sample("r", "s1", 1)];
        assert_eq!(
            select("r", &all, "s1,nope").unwrap_err(),
            snapshot_missing("r", "nope")
        );
        assert_eq!(
            select("r", &all, "_all").unwrap_err(),
            snapshot_missing("r", "_all")
        );
    }
}
