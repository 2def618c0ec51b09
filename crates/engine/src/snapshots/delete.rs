//! Deleting snapshots.
//!
//! Running ones are cancelled and waited for; what they had written is removed by the vault. Then the restic snapshots go, durably,
//! then the rows. A crash between the two leaves rows that the next start removes, because the job says so. Space is reclaimed by
//! the prune worker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use snapkeep_vault::{Repository, SnapshotId, VaultError};

use super::running::RunningSnapshot;
use crate::catalogue::SnapshotRow;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ReadonlyOperation};
use crate::jobs::{JobSpec, Outcome};
use crate::model::{JobKind, SnapshotState};
use crate::policies::{lift_locks, refuse_locked};
use crate::repositories::OpenVault;
use crate::workers::PRUNE_WORKER;

impl Engine {
    /// Deletes snapshots by their exact names, all or (when one is missing) none. Running ones are cancelled first. Returns when
    /// they are gone for good; space is reclaimed later.
    pub async fn delete_snapshots(
        &self,
        repository: &str,
        names: &[String],
    ) -> Result<(), EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        let names = names.to_vec();
        self.detached(async move { engine.delete_snapshots_here(&repository, &names).await })
            .await
    }

    async fn delete_snapshots_here(
        &self,
        repository: &str,
        names: &[String],
    ) -> Result<(), EngineError> {
        let inner = &self.inner;
        let vault = inner
            .writable_vault(repository, ReadonlyOperation::DeleteSnapshot)
            .await?;
        let names: BTreeSet<&String> = names.iter().collect();
        let mut finished: Vec<SnapshotRow> = Vec::new();
        let mut running: Vec<Arc<RunningSnapshot>> = Vec::new();
        for name in names {
            let key = (vault.id.clone(), name.clone());
            let runs = inner.activity().snapshots.get(&key).cloned();
            match runs {
                Some(runs) => running.push(runs),
                None => match inner.catalogue.snapshot(&vault.id, name).await? {
                    Some(row) => finished.push(row),
                    None => {
                        return Err(EngineError::SnapshotMissing {
                            repository: repository.to_owned(),
                            snapshot: name.clone(),
                        });
                    }
                },
            }
        }
        if finished.is_empty() && running.is_empty() {
            return Ok(());
        }
        let targets = targets(&finished, &running);
        refuse_locked(inner, repository, &vault, targets.clone()).await?;
        let subject: Vec<&str> = finished
            .iter()
            .map(|row| row.info.name.as_str())
            .chain(running.iter().map(|running| running.accepted.name.as_str()))
            .collect();
        let mut uuids: Vec<String> = finished.iter().map(|row| row.info.uuid.clone()).collect();
        uuids.extend(running.iter().map(|running| running.accepted.uuid.clone()));
        let spec = JobSpec {
            kind: JobKind::Delete,
            repository,
            vault: &vault.id,
            subject: &subject.join(","),
            resources: &[],
            input: json!({ "vault": vault.id, "uuids": uuids }),
        };
        let keys: Vec<(String, String)> = uuids
            .iter()
            .map(|uuid| (vault.id.clone(), uuid.clone()))
            .collect();
        let job = inner
            .begin_job(
                spec,
                |activity, _| {
                    for row in &finished {
                        if let Some(by) = activity.reader_of(&vault.id, &row.info.uuid) {
                            return Err(EngineError::SnapshotInUse {
                                repository: repository.to_owned(),
                                snapshot: row.info.name.clone(),
                                uuid: row.info.uuid.clone(),
                                by,
                            });
                        }
                    }
                    let (count, limit) = (
                        activity.operations(),
                        inner.config.max_concurrent_operations,
                    );
                    if count >= limit {
                        return Err(EngineError::TooManyOperations {
                            repository: repository.to_owned(),
                            snapshot: subject.join(","),
                            running: count,
                            limit,
                        });
                    }
                    activity.deleting.extend(keys.iter().cloned());
                    for snapshot in &running {
                        snapshot.deleted.store(true, Ordering::Release);
                        snapshot.job.cancel("the snapshot was deleted");
                    }
                    Ok(())
                },
                |activity| activity.deleting.retain(|key| !keys.contains(key)),
            )
            .await?;
        // The caller may leave; the deletion goes on.
        let work = {
            let inner = Arc::clone(inner);
            let job = Arc::clone(&job);
            let name = repository.to_owned();
            inner.runtime.clone().spawn(async move {
                // Locked meanwhile? From here on a lock sees that its snapshot is being deleted.
                let result = match refuse_locked(&inner, &name, &vault, targets).await {
                    Ok(()) => delete(&inner, &vault, finished, &running).await,
                    Err(error) => Err(error),
                };
                let outcome = match &result {
                    Ok(()) => Outcome::success(None),
                    Err(error) => Outcome::failure(error.to_string()),
                };
                inner
                    .end_job(&job, outcome, |activity| {
                        activity.deleting.retain(|key| !keys.contains(key))
                    })
                    .await;
                result
            })
        };
        work.await
            .map_err(|error| EngineError::Internal(error.to_string()))?
    }
}

/// Name and uuid of what could be locked: of a failed snapshot there is nothing to keep.
fn targets(finished: &[SnapshotRow], running: &[Arc<RunningSnapshot>]) -> Vec<(String, String)> {
    let mut targets: Vec<(String, String)> = finished
        .iter()
        .filter(|row| row.info.state != SnapshotState::Failed)
        .map(|row| (row.info.name.clone(), row.info.uuid.clone()))
        .collect();
    targets.extend(running.iter().map(|running| {
        let accepted = &running.accepted;
        (accepted.name.clone(), accepted.uuid.clone())
    }));
    targets
}

async fn delete(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    mut rows: Vec<SnapshotRow>,
    running: &[Arc<RunningSnapshot>],
) -> Result<(), EngineError> {
    for snapshot in running {
        snapshot.job.wait().await;
        // It may have ended well, or with an error that was noted, before it saw that it was cancelled.
        rows.extend(
            inner
                .catalogue
                .snapshot(&vault.id, &snapshot.accepted.name)
                .await?,
        );
    }
    forget(inner, vault, &rows).await
}

/// Removes snapshots from the repository, then from the catalogue.
pub(crate) async fn forget(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    rows: &[SnapshotRow],
) -> Result<(), EngineError> {
    let stored: Vec<SnapshotRow> = rows
        .iter()
        .filter(|row| row.info.restic_id.is_some())
        .cloned()
        .collect();
    if !stored.is_empty() {
        let vault = Arc::clone(vault);
        inner
            .blocking(move |_| {
                let forgotten = files_of(&vault.repository, &stored)
                    .and_then(|ids| vault.repository.forget(&ids));
                forgotten.map_err(|error| EngineError::RepositoryUnavailable {
                    repository: vault.location.display().to_string(),
                    reason: error.to_string(),
                })
            })
            .await?;
    }
    let mut write = inner.catalogue.write().await?;
    for row in rows {
        write
            .remove_snapshot(&row.vault, &row.info.uuid, inner.config.clock.now_ms())
            .await?;
    }
    write.commit().await?;
    // After the snapshots: a crash in between leaves locks of what is gone, not snapshots without their locks.
    let locked = rows.iter().filter(|row| row.info.locked_until_ms.is_some());
    lift_locks(
        inner,
        vault,
        locked.map(|row| row.info.uuid.clone()).collect(),
    )
    .await?;
    inner.vaults.request_prune(&vault.id);
    inner.workers.wake(PRUNE_WORKER);
    Ok(())
}

/// The restic snapshots of rows. Stock restic writes a new file under another id when it changes tags; then it is known by its tree.
fn files_of(repository: &Repository, rows: &[SnapshotRow]) -> Result<Vec<SnapshotId>, VaultError> {
    repository.check_identity()?;
    let mut ids = Vec::new();
    let mut moved: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let id = row.info.restic_id.as_ref().and_then(|id| id.parse().ok());
        match id {
            Some(id) if repository.read_snapshot(&id).is_ok() => ids.push(id),
            id => {
                ids.extend(id);
                moved.extend(row.tree_id.as_deref());
            }
        }
    }
    if !moved.is_empty() {
        let snapshots = repository.list_snapshots()?;
        let others = snapshots
            .iter()
            .filter(|(_, snapshot)| moved.contains(snapshot.tree.to_string().as_str()));
        ids.extend(others.map(|(id, _)| *id));
    }
    Ok(ids)
}

/// Completes a deletion that an earlier process began, from the input of its job.
pub(crate) async fn finish_deletion(
    inner: &Arc<Inner>,
    repository: &str,
    input: &Value,
) -> Result<(), EngineError> {
    let uuids: Vec<String> = serde_json::from_value(input["uuids"].clone())
        .map_err(|error| EngineError::Internal(format!("input of a deletion: {error}")))?;
    let row = inner.registered(repository).await?;
    let vault = inner.open_vault(&row).await?;
    let rows: Vec<SnapshotRow> = inner
        .catalogue
        .snapshots(&vault.id)
        .await?
        .into_iter()
        .filter(|row| uuids.contains(&row.info.uuid))
        .collect();
    // Locked before or after the server stopped: the deletion was not noted as done, so the lock wins.
    refuse_locked(inner, repository, &vault, targets(&rows, &[])).await?;
    forget(inner, &vault, &rows).await
}
