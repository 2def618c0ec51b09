//! The work of a snapshot, on a thread of its own, and its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Map;
use snapkeep_drivers::Capture;
use snapkeep_vault::format::SnapshotSummary;
use snapkeep_vault::{Backup, BackupOptions, BlobId, SnapshotFile, Time, VaultError};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::content::{ContentError, ContentWriter, Written};
use super::running::RunningSnapshot;
use crate::catalogue::SnapshotRow;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::jobs::{CANCELLED_ON_REQUEST, Outcome, RunningJob};
use crate::layout::{Manifest, ShardResult};
use crate::model::{ResourceKind, ShardFailure, SnapshotInfo, SnapshotState};
use crate::repositories::{NAME_TAG, RESOURCE_TAG, TAG};

/// Shards of a collection that a failed snapshot names one by one.
const MAX_TOLD_FAILURES: usize = 100;
/// How often a job that waits for its turn looks whether it was cancelled.
const TURN_POLL: Duration = Duration::from_millis(50);

/// A snapshot that is in the repository.
pub(crate) struct Stored {
    pub(crate) manifest: Manifest,
    restic_id: String,
    tree_id: String,
}

impl Stored {
    /// How the catalogue knows it.
    pub(crate) fn row(&self, vault: &str, repository: &str) -> SnapshotRow {
        let restic_id = Some(self.restic_id.clone());
        SnapshotRow {
            vault: vault.to_owned(),
            tree_id: Some(self.tree_id.clone()),
            info: self.manifest.to_info(repository, restic_id),
        }
    }
}

/// Completes a backup, whose tree is `root`, as the snapshot that the manifest describes.
pub(crate) fn complete(
    backup: Backup,
    mut manifest: Manifest,
    root: BlobId,
    time: Time,
    running: &RunningSnapshot,
) -> Result<Stored, VaultError> {
    let (restic_id, summary) = backup.finish(describe(&manifest, root, time))?;
    // The description had to be written before the last packs were; what they took is known only now.
    manifest.end_ms = manifest.end_ms.max(milliseconds(summary.ended));
    manifest.throttled_ns = running.throttled_ns();
    manifest.stored_bytes = summary.data_added_packed;
    Ok(Stored {
        manifest,
        restic_id: restic_id.to_string(),
        tree_id: root.to_string(),
    })
}

impl Inner {
    /// Waits for a turn to read and write a lot; an error when the job is cancelled first. Blocks.
    pub(crate) fn wait_turn<'a>(
        &self,
        job: &RunningJob,
        turns: &'a Semaphore,
    ) -> Result<SemaphorePermit<'a>, EngineError> {
        self.block_on(async {
            loop {
                if job.cancel.is_cancelled() {
                    return Err(EngineError::Internal("cancelled".to_owned()));
                }
                if let Ok(permit) = tokio::time::timeout(TURN_POLL, turns.acquire()).await {
                    return permit.map_err(|error| EngineError::Internal(error.to_string()));
                }
            }
        })
    }
}

/// Begins the work.
pub(super) fn spawn(inner: &Arc<Inner>, running: Arc<RunningSnapshot>, capture: Box<dyn Capture>) {
    let of_work = Arc::clone(&running);
    inner.spawn_job(
        "snapshot",
        move |inner| work(inner, &of_work, capture.as_ref()),
        move |inner, result| inner.block_on(end(inner, &running, result)),
    );
}

fn work(
    inner: &Arc<Inner>,
    running: &RunningSnapshot,
    capture: &dyn Capture,
) -> Result<Stored, EngineError> {
    let _turn = inner.wait_turn(&running.job, &running.vault.snapshot_turns)?;
    running.start();
    store(inner, running, capture).map_err(|error| match error {
        ContentError::Vault(error) => EngineError::RepositoryUnavailable {
            repository: running.accepted.repository.clone(),
            reason: error.to_string(),
        },
        ContentError::Engine(error) => error,
        ContentError::Shards(reason) => EngineError::ShardsFailed(reason),
    })
}

fn store(
    inner: &Arc<Inner>,
    running: &RunningSnapshot,
    capture: &dyn Capture,
) -> Result<Stored, ContentError> {
    let options = BackupOptions {
        cancel: running.job.cancel.clone(),
        progress: Arc::clone(&running.progress),
        ..BackupOptions::default()
    };
    let backup = running
        .vault
        .for_counted_job(&running.job.cancel, &running.sent)
        .backup(options)?;
    let start_ms = running.accepted.start_ms;
    let millisecond = u32::try_from(start_ms.rem_euclid(1000)).unwrap_or_default();
    let time = Time::from_unix(start_ms.div_euclid(1000), millisecond * 1_000_000);
    let writer = ContentWriter {
        inner,
        running,
        backup: &backup,
        capture,
        time,
    };
    let Written { root, manifest } = writer.write()?;
    // The last moment at which a cancellation leaves nothing behind.
    if running.job.cancel.is_cancelled() {
        return Err(VaultError::Cancelled.into());
    }
    Ok(complete(backup, manifest, root, time, running)?)
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: Time) -> i64 {
    time.unix_seconds() * 1000 + i64::from(time.nanoseconds() / 1_000_000)
}

/// The restic snapshot. Nothing depends on its fields: stock tools rewrite them.
pub(crate) fn describe(manifest: &Manifest, root: BlobId, time: Time) -> SnapshotFile {
    let mut file = SnapshotFile::new(root);
    file.time = time;
    file.paths = vec!["/".to_owned()];
    file.hostname = "snapkeep".to_owned();
    file.username = "snapkeep".to_owned();
    file.tags = vec![TAG.to_owned(), format!("{NAME_TAG}{}", manifest.name)];
    if let Some(point) = &manifest.point {
        file.tags
            .push(format!("{RESOURCE_TAG}{}", point.resource.id));
    }
    file.program_version = format!("snapkeep {}", manifest.written_by);
    file.summary = Some(summary(manifest, time));
    file
}

/// Figures for people who list snapshots with restic; those of blobs are filled in by the vault.
fn summary(manifest: &Manifest, time: Time) -> SnapshotSummary {
    let mut files = 1;
    for resource in manifest.indices.iter().chain(&manifest.collections) {
        files += 1;
        for shard in &resource.shards {
            if let ShardResult::Captured { total, .. } = &shard.result {
                files += total.files;
            }
        }
    }
    files += manifest.volumes.len() as u64;
    SnapshotSummary {
        backup_start: time,
        backup_end: time,
        files_new: 0,
        files_changed: 0,
        files_unmodified: 0,
        dirs_new: 0,
        dirs_changed: 0,
        dirs_unmodified: 0,
        data_blobs: 0,
        tree_blobs: 0,
        data_added: 0,
        data_added_packed: 0,
        total_files_processed: files,
        total_bytes_processed: 0,
        other: Map::new(),
    }
}

/// Notes what became of it.
async fn end(inner: &Arc<Inner>, running: &RunningSnapshot, result: Result<Stored, EngineError>) {
    let deleted = running.deleted.load(Ordering::Acquire);
    let accepted = &running.accepted;
    let (row, manifest, outcome) = match result {
        Ok(stored) => {
            let row = stored.row(&running.vault.id, &accepted.repository);
            (Some(row), Some(stored.manifest), Outcome::success(None))
        }
        Err(_) if deleted => (None, None, Outcome::cancelled("the snapshot was deleted")),
        Err(error) => {
            let (reason, outcome) = match running.job.cancel_reason() {
                Some(reason) => (reason.clone(), Outcome::cancelled(reason)),
                None => (error.to_string(), Outcome::failure(error.to_string())),
            };
            tracing::warn!(
                repository = accepted.repository,
                snapshot = accepted.name,
                reason,
                "a snapshot failed"
            );
            let mut info = failed(accepted.clone(), &reason, inner.config.clock.now_ms());
            info.cancelled = reason == CANCELLED_ON_REQUEST;
            (
                Some(SnapshotRow {
                    vault: running.vault.id.clone(),
                    tree_id: None,
                    info,
                }),
                None,
                outcome,
            )
        }
    };
    let info = inner.ended_info(&running.job, outcome);
    let noted = async {
        let mut write = inner.catalogue.write().await?;
        if let Some(row) = &row {
            write.put_snapshot(row, manifest.as_ref()).await?;
        }
        inner.note_job_end(&mut write, &info).await?;
        write.commit().await
    }
    .await;
    if let Err(error) = noted {
        // The snapshot itself is safe in its repository and found there at the next start.
        tracing::error!(snapshot = accepted.name, %error, "the end of a snapshot could not be noted");
    }
    // Only now: whoever reads of its success may restore it at once, and restores look into the catalogue.
    if let Some(row) = row {
        running.set_result(row.info);
    }
    let key = (running.vault.id.clone(), accepted.name.clone());
    inner.retire_job(&running.job, info, |activity| {
        activity.snapshots.remove(&key);
    });
}

/// A snapshot that failed: nothing of it is in the repository.
pub(crate) fn failed(mut info: SnapshotInfo, reason: &str, now_ms: i64) -> SnapshotInfo {
    info.state = SnapshotState::Failed;
    info.reason = Some(reason.to_owned());
    info.end_ms = Some(now_ms.max(info.start_ms));
    info.shards_successful = 0;
    info.shards_failed = info.shards_total;
    let indices = info.indices.iter().flat_map(|index| {
        (0..index.shard_count).map(|shard| ShardFailure {
            index: index.name.clone(),
            index_uuid: index.uuid.clone(),
            shard,
            reason: reason.to_owned(),
            ..ShardFailure::default()
        })
    });
    // All of them failed for the same reason: of a collection with thousands of tenants the first few are told.
    let collections = info.collections.iter().flat_map(|collection| {
        (0..)
            .zip(collection.shards.iter().take(MAX_TOLD_FAILURES))
            .map(|(shard, name)| ShardFailure {
                kind: ResourceKind::Collection,
                index: collection.name.clone(),
                index_uuid: collection.uuid.clone(),
                shard,
                shard_name: Some(name.clone()),
                reason: reason.to_owned(),
            })
    });
    info.failures = indices.chain(collections).collect();
    info
}
