//! Snapshot files.

use super::Repository;
use super::open::check_name;
use super::retry::retry;
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::SnapshotFile;
use crate::ids::SnapshotId;
use crate::storage::FileKind;

impl Repository {
    /// All snapshots, oldest first. One that cannot be read gives a warning and is left out.
    pub fn list_snapshots(&self) -> Result<Vec<(SnapshotId, SnapshotFile)>, VaultError> {
        let mut snapshots = Vec::new();
        for entry in retry(&CancelFlag::new(), || {
            self.inner.storage.list(FileKind::Snapshot)
        })? {
            let Ok(id) = entry.name.parse::<SnapshotId>() else {
                continue;
            };
            match self.read_snapshot(&id) {
                Ok(snapshot) => snapshots.push((id, snapshot)),
                // Deleted since it was listed.
                Err(VaultError::MissingSnapshot { .. }) => {}
                Err(error) if error.is_damage() => {
                    self.warn(format!("snapshots/{id}"), error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        snapshots.sort_by(|(left_id, left), (right_id, right)| {
            (left.time, left_id).cmp(&(right.time, right_id))
        });
        Ok(snapshots)
    }

    /// Reads one snapshot.
    pub fn read_snapshot(&self, id: &SnapshotId) -> Result<SnapshotFile, VaultError> {
        let name = id.to_string();
        let file = retry(&CancelFlag::new(), || {
            match self.inner.storage.get(FileKind::Snapshot, &name) {
                Err(error) if error.is_not_found() => Ok(None),
                result => result.map(Some),
            }
        })?;
        let file = file.ok_or(VaultError::MissingSnapshot { id: *id })?;
        check_name(Part::Snapshot, &name, &file)?;
        SnapshotFile::open(&self.inner.key, &file)
            .map_err(|error| VaultError::damaged(Part::Snapshot, id, error))
    }

    /// Removes snapshots; those that are gone already are fine. Their space is reclaimed by the next prune.
    pub fn forget(&self, ids: &[SnapshotId]) -> Result<(), VaultError> {
        for id in ids {
            retry(&CancelFlag::new(), || {
                self.inner
                    .storage
                    .delete(FileKind::Snapshot, &id.to_string())
            })?;
        }
        Ok(())
    }
}
