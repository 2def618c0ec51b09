//! Locks: snapshots that nobody may delete before a date.
//!
//! A lock is a small file in the repository, `snapkeep/locks/<uuid of the snapshot>`, which restic leaves alone; that file is what counts.
//! The catalogue has a copy for lists. Every deletion looks at both before it begins, and once more when it is noted as begun, so that of
//! a lock and a deletion at the same moment never both succeed.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use snapkeep_vault::storage::{FileKind, PutMode, Storage, StorageError};

use super::validate::LONGEST_MS;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::model::{SnapshotInfo, SnapshotState, SnapshotTicket};
use crate::repositories::OpenVault;

/// Folder of the lock files among ours.
const FOLDER: &str = "locks/";
/// Version of the file.
const FORMAT: u32 = 1;

/// A lock file.
#[derive(Debug, Serialize, Deserialize)]
struct LockFile {
    /// [`FORMAT`].
    format: u32,
    /// Uuid of the snapshot.
    uuid: String,
    /// Its name, for people.
    snapshot: String,
    /// When the lock ends, milliseconds since 1970.
    until_ms: i64,
}

fn file_of(uuid: &str) -> String {
    format!("{FOLDER}{uuid}")
}

fn unavailable(vault: &OpenVault, reason: impl std::fmt::Display) -> EngineError {
    EngineError::RepositoryUnavailable {
        repository: vault.location.display().to_string(),
        reason: reason.to_string(),
    }
}

/// The lock of a snapshot as the repository has it. One that cannot be read is an error: it must not look like none. Blocks.
fn read(vault: &OpenVault, uuid: &str) -> Result<Option<i64>, EngineError> {
    let bytes = match vault.files.get(FileKind::Side, &file_of(uuid)) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(unavailable(vault, error)),
    };
    let lock: LockFile = serde_json::from_slice(&bytes).map_err(|error| {
        unavailable(
            vault,
            format!("the lock file of snapshot {uuid} cannot be read: {error}"),
        )
    })?;
    Ok(Some(lock.until_ms))
}

/// Refuses to delete when one of the snapshots (name and uuid) is locked.
pub(crate) async fn refuse_locked(
    inner: &Arc<Inner>,
    repository: &str,
    vault: &Arc<OpenVault>,
    snapshots: Vec<(String, String)>,
) -> Result<(), EngineError> {
    let now_ms = inner.config.clock.now_ms();
    let mut noted = Vec::new();
    for (_, uuid) in &snapshots {
        noted.push(inner.catalogue.snapshot_lock(&vault.id, uuid).await?);
    }
    let (repository, vault) = (repository.to_owned(), Arc::clone(vault));
    inner
        .blocking(move |_| {
            for ((snapshot, uuid), noted) in snapshots.into_iter().zip(noted) {
                let until = read(&vault, &uuid)?.max(noted);
                if let Some(until_ms) = until.filter(|until| *until > now_ms) {
                    return Err(EngineError::SnapshotLocked {
                        repository,
                        snapshot,
                        until_ms,
                    });
                }
            }
            Ok(())
        })
        .await
}

/// Removes the locks of snapshots that are gone. What stays behind is harmless.
pub(crate) async fn lift_locks(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    uuids: Vec<String>,
) -> Result<(), EngineError> {
    if uuids.is_empty() {
        return Ok(());
    }
    let files = {
        let (vault, uuids) = (Arc::clone(vault), uuids.clone());
        inner
            .blocking(move |_| {
                for uuid in &uuids {
                    if let Err(error) = vault.files.delete(FileKind::Side, &file_of(uuid)) {
                        tracing::warn!(uuid, %error, "the lock of a deleted snapshot stays behind");
                    }
                }
                Ok(())
            })
            .await
    };
    let mut write = inner.catalogue.write().await?;
    for uuid in &uuids {
        write.remove_snapshot_lock(&vault.id, uuid).await?;
    }
    write.commit().await?;
    files
}

/// Notes the locks that are in a repository and not in the catalogue: after the catalogue was lost, or set by another server.
pub(crate) async fn import_locks(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
) -> Result<(), EngineError> {
    let known: HashSet<String> = inner
        .catalogue
        .locked_snapshots(&vault.id)
        .await?
        .into_iter()
        .collect();
    let found = {
        let vault = Arc::clone(vault);
        inner
            .blocking(move |_| {
                let files =
                    lock_files(vault.files.as_ref()).map_err(|error| unavailable(&vault, error))?;
                let mut found = Vec::new();
                for uuid in files.into_iter().filter(|uuid| !known.contains(uuid)) {
                    match read(&vault, &uuid) {
                        Ok(Some(until_ms)) => found.push((uuid, until_ms)),
                        Ok(None) => {}
                        // It refuses the deletion of its snapshot and nothing else.
                        Err(error) => tracing::error!(uuid, %error, "a lock cannot be read"),
                    }
                }
                Ok(found)
            })
            .await?
    };
    if found.is_empty() {
        return Ok(());
    }
    let mut write = inner.catalogue.write().await?;
    for (uuid, until_ms) in found {
        write.put_snapshot_lock(&vault.id, &uuid, until_ms).await?;
    }
    write.commit().await
}

/// Uuids of the snapshots that have a lock file. Blocks.
fn lock_files(files: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let files = files.list(FileKind::Side)?;
    Ok(files
        .into_iter()
        .filter_map(|file| file.name.strip_prefix(FOLDER).map(str::to_owned))
        .collect())
}

impl Inner {
    /// Writes a lock: into the repository first, so that a crash leaves a lock that is not listed yet rather than one that is lost
    /// with the catalogue.
    async fn place_lock(
        self: &Arc<Self>,
        vault: &Arc<OpenVault>,
        snapshot: &str,
        uuid: &str,
        until_ms: i64,
    ) -> Result<(), EngineError> {
        let lock = LockFile {
            format: FORMAT,
            uuid: uuid.to_owned(),
            snapshot: snapshot.to_owned(),
            until_ms,
        };
        let json = serde_json::to_vec(&lock)
            .map_err(|error| EngineError::Internal(format!("a lock: {error}")))?;
        let of_file = Arc::clone(vault);
        let file = file_of(uuid);
        self.blocking(move |_| {
            of_file
                .files
                .put(FileKind::Side, &file, Bytes::from(json), PutMode::Overwrite)
                .map_err(|error| unavailable(&of_file, error))
        })
        .await?;
        let mut write = self.catalogue.write().await?;
        write.put_snapshot_lock(&vault.id, uuid, until_ms).await?;
        write.commit().await
    }
}

impl Engine {
    /// Locks a good or running snapshot: until then nobody deletes it, whatever the dialect ([`EngineError::SnapshotLocked`]). A lock may
    /// be extended, not shortened ([`EngineError::LockShortened`]). It is kept in the repository and survives a lost catalogue.
    pub async fn lock_snapshot(
        &self,
        repository: &str,
        snapshot: &str,
        until_ms: i64,
    ) -> Result<SnapshotInfo, EngineError> {
        let engine = self.clone();
        let (repository, snapshot) = (repository.to_owned(), snapshot.to_owned());
        self.detached(async move {
            engine
                .lock_snapshot_here(&repository, &snapshot, until_ms)
                .await
        })
        .await
    }

    async fn lock_snapshot_here(
        &self,
        repository: &str,
        snapshot: &str,
        until_ms: i64,
    ) -> Result<SnapshotInfo, EngineError> {
        let inner = &self.inner;
        let info = self.snapshot(repository, snapshot).await?;
        let refused = |reason: &str| {
            Err(EngineError::LockRefused {
                repository: repository.to_owned(),
                snapshot: snapshot.to_owned(),
                reason: reason.to_owned(),
            })
        };
        match info.state {
            SnapshotState::Success | SnapshotState::Partial | SnapshotState::InProgress => {}
            SnapshotState::Failed | SnapshotState::Incompatible => {
                return refused("nothing of it can be restored; lock one that can be");
            }
        }
        let row = inner.registered(repository).await?;
        if inner.settings_of(&row)?.readonly {
            return refused("its repository is registered read-only");
        }
        let vault = inner.open_vault(&row).await?;
        let now_ms = inner.config.clock.now_ms();
        let of_file = {
            let (vault, uuid) = (Arc::clone(&vault), info.uuid.clone());
            inner.blocking(move |_| read(&vault, &uuid)).await?
        };
        let known = of_file.max(info.locked_until_ms);
        if let Some(known_ms) = known.filter(|known| *known > now_ms && *known > until_ms) {
            return Err(EngineError::LockShortened {
                repository: repository.to_owned(),
                snapshot: snapshot.to_owned(),
                until_ms: known_ms,
            });
        }
        if until_ms <= now_ms {
            return refused("the date has passed; give one in the future");
        }
        if until_ms - now_ms > LONGEST_MS {
            return refused("the date is more than 100 years ahead; a lock cannot be taken back");
        }
        inner
            .place_lock(&vault, snapshot, &info.uuid, until_ms)
            .await?;
        if self.is_deleted(repository, &vault, &info).await? {
            // A deletion that began before the lock was written may not have seen it.
            lift_locks(inner, &vault, vec![info.uuid]).await?;
            return Err(EngineError::SnapshotMissing {
                repository: repository.to_owned(),
                snapshot: snapshot.to_owned(),
            });
        }
        Ok(SnapshotInfo {
            locked_until_ms: Some(until_ms),
            ..info
        })
    }

    /// Whether a snapshot is being deleted or gone. In this order: a deletion that has ended between the two is seen by what is left,
    /// one that begins between them sees the lock.
    async fn is_deleted(
        &self,
        repository: &str,
        vault: &OpenVault,
        info: &SnapshotInfo,
    ) -> Result<bool, EngineError> {
        let key = (vault.id.clone(), info.uuid.clone());
        if self.inner.activity().deleting.contains(&key) {
            return Ok(true);
        }
        match self.snapshot(repository, &info.name).await {
            Ok(there) => Ok(there.uuid != info.uuid),
            Err(EngineError::SnapshotMissing { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Locks a snapshot that a policy has just begun.
    pub(super) async fn lock_running(
        &self,
        ticket: &SnapshotTicket,
        until_ms: i64,
    ) -> Result<(), EngineError> {
        let row = self.inner.registered(&ticket.repository).await?;
        let vault = self.inner.open_vault(&row).await?;
        self.inner
            .place_lock(&vault, &ticket.name, &ticket.uuid, until_ms)
            .await
    }

    /// Takes back the lock of a snapshot that failed: there is nothing to keep.
    pub(super) async fn lift_lock_of_failed(&self, ticket: &SnapshotTicket) {
        let lifted = async {
            let row = self.inner.registered(&ticket.repository).await?;
            let vault = self.inner.open_vault(&row).await?;
            lift_locks(&self.inner, &vault, vec![ticket.uuid.clone()]).await
        };
        if let Err(error) = lifted.await {
            tracing::warn!(snapshot = ticket.name, %error, "the lock of a failed snapshot stays; it keeps nothing from being deleted");
        }
    }
}
