//! The handle of an open repository.

use super::RepositoryOptions;
use super::writers::Writers;
use crate::blob_index::{BlobIndex, BlobLocation};
use crate::error::VaultError;
use crate::format::{BlobKind, ConfigFile, MasterKey};
use crate::ids::{BlobId, KeyId, RepositoryId};
use crate::storage::Storage;
use std::sync::{Arc, Mutex, PoisonError};

/// An open repository. Clones are cheap and share everything, the index of blobs among it.
///
/// All methods block; none may be called from within an async task.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
    /// What this handle moves packs and index files through; see [`Repository::with_storage`].
    pub(super) storage: Arc<dyn Storage>,
}

/// What clones of a [`Repository`] share.
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) config: ConfigFile,
    pub(crate) key: MasterKey,
    pub(crate) key_id: KeyId,
    pub(crate) options: RepositoryOptions,
    pub(crate) index: BlobIndex,
    pub(crate) writers: Writers,
    /// One loader of index files at a time: two would read the same files twice.
    pub(crate) refreshing: Mutex<()>,
    pub(crate) warnings: Mutex<Vec<Warning>>,
}

/// Something that is wrong with the repository but does not keep it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file, for instance `index/0123…`.
    pub object: String,
    /// What is wrong and what was done about it.
    pub detail: String,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Repository({} in {})",
            self.id().short(),
            self.inner.storage.location()
        )
    }
}

impl Repository {
    /// The repository's own id: two places with the same id are copies of each other.
    pub fn id(&self) -> RepositoryId {
        self.inner.config.id
    }

    /// The storage below.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// A handle of the same open repository whose packs and index files go through `storage`, another way to the same files: for instance
    /// [`Throttled::with_cancel`](crate::storage::Throttled::with_cancel), so that one job's transfers stop waiting when that job is
    /// cancelled. Locks and snapshots go the way that the repository was opened with.
    #[must_use]
    pub fn with_storage(&self, storage: Arc<dyn Storage>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            storage,
        }
    }

    /// The settings it was opened with.
    pub fn options(&self) -> &RepositoryOptions {
        &self.inner.options
    }

    /// The key that seals everything in the repository.
    pub fn master_key(&self) -> &MasterKey {
        &self.inner.key
    }

    /// The index of blobs.
    pub fn index(&self) -> &BlobIndex {
        &self.inner.index
    }

    /// The backups that run in this process.
    pub fn writers(&self) -> &Writers {
        &self.inner.writers
    }

    /// What was found wrong since the repository was opened, each thing once.
    pub fn warnings(&self) -> Vec<Warning> {
        self.inner
            .warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds a warning unless it is there already, and logs it.
    pub(crate) fn warn(&self, object: String, detail: String) {
        let warning = Warning { object, detail };
        let mut warnings = self
            .inner
            .warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            tracing::warn!(object = %warning.object, "{}", warning.detail);
            warnings.push(warning);
        }
    }

    /// Where a blob lies; `None` if no index names it. A damaged cache of the index is rebuilt on the way.
    pub fn locate(&self, kind: BlobKind, id: &BlobId) -> Result<Option<BlobLocation>, VaultError> {
        match self.inner.index.get(kind, id) {
            Ok(found) => Ok(found),
            Err(damage) => {
                self.rebuild_damaged_run(&damage)?;
                self.inner.index.get(kind, id).map_err(VaultError::from)
            }
        }
    }

    /// Where a blob lies that new snapshots may rely on: packs known from their own headers only do not count.
    pub(crate) fn locate_durable(
        &self,
        kind: BlobKind,
        id: &BlobId,
    ) -> Result<Option<BlobLocation>, VaultError> {
        match self.inner.index.view().get_durable(kind, id) {
            Ok(found) => Ok(found),
            Err(damage) => {
                self.rebuild_damaged_run(&damage)?;
                let found = self.inner.index.view().get_durable(kind, id);
                found.map_err(VaultError::from)
            }
        }
    }

    /// The plain length of a data blob, from the index; `None` if no index names it.
    pub fn blob_size(&self, id: &BlobId) -> Option<u32> {
        let found = self.locate(BlobKind::Data, id).ok()?;
        found.map(|location| location.plain_length())
    }
}
