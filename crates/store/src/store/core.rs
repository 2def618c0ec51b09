//! What all parts of the store share: the database, the picture of all indices, commits and syncs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use fjall::{Database, Keyspace, OwnedWriteBatch};

use super::catalogue::{Catalogue, Index, IndexRecord, record_key};
use super::guard::Guard;
use super::keyspaces::Doomed;
use super::registry::Registry;
use super::sync::Syncer;
use super::watchdog::Watch;
use super::workers::Worker;
use super::{LostWrites, StoreOptions};
use crate::search::Contexts;
use crate::{IndexMeta, StoreError, View};

/// Shared by all clones of a [`crate::Store`] and its restores.
///
/// Locks are taken in this order: `changes`, shard locks (ascending), `catalogue`, `registry`.
pub(crate) struct Core {
    /// First, so that they end before what they use.
    pub(super) _workers: Vec<Worker>,
    pub(crate) doomed: Arc<Doomed>,
    pub(crate) contexts: Arc<Contexts>,
    pub(super) catalogue: RwLock<Arc<Catalogue>>,
    pub(super) registry: RwLock<Registry>,
    /// Held by whoever changes metadata, from reading it to publishing it.
    pub(super) changes: Mutex<()>,
    pub(super) meta: Keyspace,
    pub(super) syncer: Syncer,
    pub(super) watch: Arc<Watch>,
    pub(crate) guard: Arc<Guard>,
    pub(super) uuid: String,
    pub(super) lost: Vec<LostWrites>,
    pub(super) options: StoreOptions,
    pub(crate) db: Database,
}

impl Core {
    /// The indices now.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(
            &self
                .catalogue
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Serialises changes of metadata.
    pub(crate) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty batch.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch()
    }

    /// The keyspace of metadata and counters.
    pub(crate) fn meta(&self) -> &Keyspace {
        &self.meta
    }

    /// Superseded copies kept at least, per shard.
    pub(crate) fn remembered_copies(&self) -> u64 {
        self.options.remembered_copies
    }

    /// Writes a batch to the journal; durable after [`Self::sync`].
    pub(crate) fn commit(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        let _running = self.watch.enter()?;
        self.syncer.begin();
        let outcome = batch.commit();
        self.syncer.end();
        outcome.map_err(|cause| StoreError::engine("write", "the journal", cause))
    }

    /// Makes all commits so far durable, together with other waiting writers.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let _running = self.watch.register();
        self.syncer.make_durable(&self.db)
    }

    /// Commits a change of metadata and replaces the picture of all indices in the same moment, as views
    /// see it. Not durable yet.
    pub(crate) fn publish(
        &self,
        batch: OwnedWriteBatch,
        next: Catalogue,
    ) -> Result<(), StoreError> {
        let mut catalogue = self
            .catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.commit(batch)?;
        *catalogue = Arc::new(next);
        Ok(())
    }

    /// Replaces the picture without anything to store (an index that begins or ends being restored).
    pub(crate) fn show(&self, next: Catalogue) {
        *self
            .catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    /// Stores and shows changed metadata of one index. The caller holds `changes`.
    pub(crate) fn replace_meta(&self, index: &Index, meta: IndexMeta) -> Result<(), StoreError> {
        let mut batch = self.batch();
        batch.insert(
            &self.meta,
            record_key(&index.data.data_id),
            IndexRecord::encode(&meta)?,
        );
        let mut next = (*self.catalogue()).clone();
        next.indices.insert(
            meta.name.clone(),
            Arc::new(Index {
                meta: Arc::new(meta),
                data: Arc::clone(&index.data),
            }),
        );
        self.publish(batch, next)
    }

    /// One moment of everything. The read lock makes the snapshot and the picture belong together.
    pub(crate) fn view(&self) -> View {
        let catalogue = self
            .catalogue
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        View::new(
            self.db.snapshot(),
            Arc::clone(&catalogue),
            self.meta.clone(),
        )
    }

    /// A view all of which is on disk.
    pub(crate) fn durable_view(&self) -> Result<View, StoreError> {
        let view = self.view();
        let _running = self.watch.register();
        self.syncer.make_visible_durable(&self.db)?;
        Ok(view)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as u64)
}

/// Where the database lies below the data directory.
pub(super) fn database_path(dir: &Path) -> std::path::PathBuf {
    dir.join("documents")
}
