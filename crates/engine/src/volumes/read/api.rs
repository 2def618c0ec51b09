//! Disks of points that the engine knows.

use std::fmt;
use std::sync::Arc;

use snapkeep_vault::{BlobCache, BlobId, CancelFlag};

use super::{DISK_CACHE_BYTES, ReadError, StoredDisk};
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, InUse};
use crate::model::{PointInfo, PointKind, PointStatus, PointTransition};
use crate::repositories::OpenVault;

/// A point that is there and stays as long as this is kept: nobody deletes it meanwhile.
pub(crate) struct HeldPoint {
    pub(crate) info: PointInfo,
    pub(crate) vault: Arc<OpenVault>,
    /// Root of its snapshot.
    pub(crate) tree: BlobId,
    inner: Arc<Inner>,
}

impl fmt::Debug for HeldPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldPoint").field(&self.info.id).finish()
    }
}

impl Drop for HeldPoint {
    fn drop(&mut self) {
        self.inner.activity().remove_reader(
            &self.vault.id,
            &self.info.snapshot_uuid,
            InUse::Restore,
        );
    }
}

impl HeldPoint {
    /// Refuses a point of anything else than is needed.
    pub(crate) fn require(&self, kind: PointKind) -> Result<(), EngineError> {
        let resource = &self.info.resource;
        if resource.kind == kind {
            return Ok(());
        }
        Err(EngineError::WrongResourceKind {
            point: self.info.id.clone(),
            resource: resource.id.clone(),
            kind: resource.kind,
            needed: match kind {
                PointKind::Volume => "the point of a volume",
                PointKind::Instance => "the point of an instance",
            },
        })
    }

    /// Opens one of its disks; without a `volume` the only one. Reading keeps to the rate limit of the repository, and stops when
    /// `cancel` is raised. Blocks.
    pub(crate) fn open_disk(
        &self,
        volume: Option<&str>,
        cancel: &CancelFlag,
    ) -> Result<StoredDisk, EngineError> {
        let cache = BlobCache::new(self.vault.for_job(cancel), DISK_CACHE_BYTES);
        self.open_with(cache, volume, cancel)
    }

    /// Opens all its disks in their order. However many they are, they have the memory of one. Blocks.
    pub(crate) fn open_disks(&self, cancel: &CancelFlag) -> Result<Vec<StoredDisk>, EngineError> {
        let cache = BlobCache::new(self.vault.for_job(cancel), DISK_CACHE_BYTES);
        let mut disks: Vec<StoredDisk> = Vec::new();
        for disk in &self.info.disks {
            let disk = self.open_with(Arc::clone(&cache), Some(&disk.volume), cancel)?;
            disks.push(match disks.first() {
                Some(first) => disk.sharing_tables_of(first),
                None => disk,
            });
        }
        Ok(disks)
    }

    fn open_with(
        &self,
        cache: Arc<BlobCache>,
        volume: Option<&str>,
        cancel: &CancelFlag,
    ) -> Result<StoredDisk, EngineError> {
        let disk = StoredDisk::open(cache, self.tree, volume);
        disk.map(|disk| disk.with_cancel(cancel.clone()))
            .map_err(|error| self.unreadable(&error))
    }

    /// What to tell of a disk that cannot be read.
    fn unreadable(&self, error: &ReadError) -> EngineError {
        match error {
            ReadError::NoVolume { .. } | ReadError::SeveralVolumes { .. } => {
                EngineError::ResourceRefused {
                    resource: self.info.id.clone(),
                    reason: error.to_string(),
                }
            }
            _ => EngineError::RepositoryUnavailable {
                repository: self.info.repository.clone(),
                reason: error.to_string(),
            },
        }
    }
}

impl Engine {
    /// Opens a disk of a point to be read: to be exported, or served over NBD. Without a `volume` the point's only one. As long as it
    /// is open its point cannot be deleted.
    pub async fn open_disk(
        &self,
        point: &str,
        volume: Option<&str>,
    ) -> Result<Arc<StoredDisk>, EngineError> {
        let held = self.hold_point(point).await?;
        let volume = volume.map(str::to_owned);
        self.inner
            .blocking(move |inner| {
                let disk = held.open_disk(volume.as_deref(), &inner.closing)?;
                Ok(Arc::new(disk.with_guard(held)))
            })
            .await
    }

    /// A point to be read, kept from being deleted.
    pub(crate) async fn hold_point(&self, id: &str) -> Result<HeldPoint, EngineError> {
        let info = self.point(id).await?;
        refuse_unusable(&info)?;
        let inner = &self.inner;
        let registered = inner.registered(&info.repository).await?;
        let vault = inner.open_vault(&registered).await?;
        {
            let mut activity = inner.activity();
            let key = (vault.id.clone(), info.snapshot_uuid.clone());
            if activity.deleting.contains(&key) {
                return Err(EngineError::PointInUse {
                    id: info.id,
                    by: InUse::Delete,
                });
            }
            activity.readers.push((key.0, key.1, InUse::Restore));
        }
        let mut held = HeldPoint {
            info,
            vault,
            // Replaced below, when nobody can delete it any more.
            tree: BlobId::of(&[]),
            inner: Arc::clone(inner),
        };
        let row = inner
            .catalogue
            .snapshot(&held.vault.id, &held.info.id)
            .await?
            .filter(|row| row.info.uuid == held.info.snapshot_uuid);
        let tree = row.and_then(|row| row.tree_id?.parse().ok());
        held.tree = tree.ok_or_else(|| EngineError::PointMissing {
            id: held.info.id.clone(),
        })?;
        Ok(held)
    }
}

/// Only points that are there and stay can be read.
fn refuse_unusable(point: &PointInfo) -> Result<(), EngineError> {
    let id = point.id.clone();
    match point.status {
        PointStatus::Pending => Err(EngineError::PointPending { id }),
        PointStatus::Available if point.transition == Some(PointTransition::Deleting) => {
            Err(EngineError::PointInUse {
                id,
                by: InUse::Delete,
            })
        }
        PointStatus::Available => Ok(()),
        status => Err(EngineError::PointUnusable {
            id,
            status,
            reason: point.reason.clone(),
        }),
    }
}
