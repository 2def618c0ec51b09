//! The work of a restore, on a thread of its own, and its end.

use std::sync::Arc;
use std::time::Instant;

use snapkeep_drivers::Restoration;
use snapkeep_vault::Node;

use super::collections::{self, CollectionWork};
use super::load::Loading;
use super::running::RunningRestore;
use crate::engine::Inner;
use crate::error::{EngineError, InUse};
use crate::jobs::Outcome;
use crate::layout::GlobalState;
use crate::model::{OnConflict, RecoveryStage, ResourceKind, RestoreInfo, RestoreState};

/// An index to load.
pub(super) struct IndexWork {
    /// Directories of its shards in order; none for a shard that the snapshot misses.
    pub(super) shards: Vec<Option<Node>>,
}

/// All that is to be loaded, in the order of the planned indices.
pub(super) struct RestoreWork {
    pub(super) restore_uuid: String,
    pub(super) snapshot_uuid: String,
    pub(super) indices: Vec<(IndexWork, Box<dyn Restoration>)>,
    /// In the order of the planned collections.
    pub(super) collections: Vec<CollectionWork>,
    pub(super) on_conflict: OnConflict,
    /// Collections do not appear before.
    pub(super) not_before: Instant,
    pub(super) global_state: Option<GlobalState>,
}

/// Begins the work.
pub(super) fn spawn(inner: &Arc<Inner>, running: Arc<RunningRestore>, work: RestoreWork) {
    let of_work = Arc::clone(&running);
    let restore_uuid = work.restore_uuid.clone();
    let snapshot_uuid = work.snapshot_uuid.clone();
    inner.spawn_job(
        "restore",
        move |inner| Ok(run(inner, &of_work, work)),
        move |inner, result| {
            let info = result.unwrap_or_else(|error| failed(inner, &running, &error));
            inner.block_on(end(inner, &running, info, &restore_uuid, &snapshot_uuid));
        },
    );
}

/// A restore that ended by a defect: everything that is not done has failed.
fn failed(inner: &Inner, running: &RunningRestore, error: &EngineError) -> RestoreInfo {
    let now_ms = inner.config.clock.now_ms();
    collections::finish_figures(running, Some(&error.to_string()), now_ms);
    for shard in running.shards.iter().flatten() {
        shard.finish(Some(&error.to_string()), now_ms);
    }
    summary(running, Some(error.to_string()))
}

fn run(inner: &Arc<Inner>, running: &RunningRestore, work: RestoreWork) -> RestoreInfo {
    let mut errors = Vec::new();
    let repository = running.vault.for_job(&running.job.cancel);
    let turn = inner.wait_turn(&running.job, &running.vault.restore_turns);
    running.begin_transfer();
    for ((index, restoration), figures) in work.indices.into_iter().zip(&running.shards) {
        let restored = turn.as_ref().map_err(ToString::to_string).and_then(|_| {
            // Dropping the restoration on the way out undoes everything.
            let loading = Loading {
                repository: &repository,
                kind: ResourceKind::Index,
                figures,
                cancel: &running.job.cancel,
                load: &|shard, documents| restoration.load(shard, documents),
            };
            let proofs = loading
                .run(&index.shards)
                .map_err(|error| error.to_string())?;
            if running.job.cancel.is_cancelled() {
                return Err("cancelled".to_owned());
            }
            restoration
                .finish(proofs)
                .map_err(|error| error.to_string())
        });
        let now_ms = inner.config.clock.now_ms();
        let failure = restored
            .err()
            .map(|error| running.job.cancel_reason().unwrap_or(error));
        for shard in figures {
            shard.finish(failure.as_deref(), now_ms);
        }
        errors.extend(failure);
    }
    if !work.collections.is_empty() {
        let restored = match (&turn, errors.is_empty()) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(_), false) => {
                Err("not begun, because indices of the same restore failed".to_owned())
            }
            (Ok(_), true) => {
                let works = work.collections;
                let options = (work.on_conflict, work.not_before);
                collections::restore(inner, running, &repository, works, options)
            }
        };
        let failure = restored
            .err()
            .map(|error| running.job.cancel_reason().unwrap_or(error));
        collections::finish_figures(running, failure.as_deref(), inner.config.clock.now_ms());
        errors.extend(failure);
    }
    if let Some(global_state) = work.global_state
        && errors.is_empty()
        && let Err(error) = inner.driver.restore_global_state(&global_state.state)
    {
        errors.push(format!("global state: {error}"));
    }
    errors.dedup();
    summary(running, (!errors.is_empty()).then(|| errors.join("; ")))
}

/// What became of it, counted by shards.
fn summary(running: &RunningRestore, error: Option<String>) -> RestoreInfo {
    let recoveries = running.recoveries();
    let collections = running.collection_recoveries();
    let successful = recoveries
        .iter()
        .chain(&collections)
        .flatten()
        .filter(|shard| shard.stage == RecoveryStage::Done)
        .count();
    let successful = u32::try_from(successful).unwrap_or(u32::MAX);
    RestoreInfo {
        shards_successful: successful,
        shards_failed: running.planned.shards_total - successful,
        error,
        ..running.planned.clone()
    }
}

/// Notes what became of it.
async fn end(
    inner: &Arc<Inner>,
    running: &RunningRestore,
    info: RestoreInfo,
    restore_uuid: &str,
    snapshot_uuid: &str,
) {
    let outcome = match (&info.error, running.job.cancel_reason()) {
        (None, _) => Outcome::success(serde_json::to_value(&info).ok()),
        (Some(_), Some(reason)) => Outcome::cancelled(reason),
        (Some(error), None) => {
            tracing::warn!(snapshot = info.snapshot, error, "a restore failed");
            Outcome::failure(error.clone())
        }
    };
    let state = match (&info.error, running.job.cancel_reason()) {
        (None, _) => RestoreState::Success,
        (Some(_), Some(_)) => RestoreState::Cancelled,
        (Some(_), None) => RestoreState::Failed,
    };
    let run = running.end_run(state, info.error.clone(), inner.config.clock.now_ms());
    running.set_result(info);
    let noted = async {
        let mut write = inner.catalogue.write().await?;
        write.update_restore(&run).await?;
        write.commit().await
    }
    .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "the end of a restore could not be noted");
    }
    if let Err(error) = inner.catalogue.put_recoveries(&running.recoveries()).await {
        tracing::warn!(%error, "recoveries could not be noted");
    }
    let (vault, restore_uuid, snapshot_uuid) = (
        running.vault.id.clone(),
        restore_uuid.to_owned(),
        snapshot_uuid.to_owned(),
    );
    inner
        .end_job(&running.job, outcome, move |activity| {
            activity.restores.remove(&restore_uuid);
            activity.remove_reader(&vault, &snapshot_uuid, InUse::Restore);
        })
        .await;
}
