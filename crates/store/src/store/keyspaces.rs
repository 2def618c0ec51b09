//! Keyspaces that are made when the first row comes, and removed in the background.
//!
//! The engine syncs about fifteen files and folders to make or remove one keyspace. An index that stays
//! empty, or whose documents never change, should not pay for it, and neither should a delete request.

use std::sync::{Mutex, OnceLock, PoisonError};

use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::guard::Guard;
use super::purge::Purge;
use crate::StoreError;

/// How a new keyspace is laid out. One that exists keeps the layout it was made with.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) block_bytes: u32,
    pub(super) memtable_bytes: u64,
    pub(super) is_compressed: bool,
}

impl Layout {
    fn options(self) -> KeyspaceCreateOptions {
        let options = KeyspaceCreateOptions::default()
            .data_block_size_policy(BlockSizePolicy::all(self.block_bytes))
            .max_memtable_size(self.memtable_bytes);
        if self.is_compressed {
            options
        } else {
            options.data_block_compression_policy(CompressionPolicy::disabled())
        }
    }
}

/// A keyspace that may not be there yet; then it is empty.
pub(crate) struct LazyKeyspace {
    name: String,
    layout: Layout,
    keyspace: OnceLock<Keyspace>,
}

impl LazyKeyspace {
    /// Opens the keyspace if it exists.
    pub(super) fn new(db: &Database, name: String, layout: Layout) -> Result<Self, StoreError> {
        let lazy = LazyKeyspace {
            name,
            layout,
            keyspace: OnceLock::new(),
        };
        if db.keyspace_exists(&lazy.name) {
            lazy.make(db)?;
        }
        Ok(lazy)
    }

    /// The keyspace, if it was made.
    pub(crate) fn get(&self) -> Option<&Keyspace> {
        self.keyspace.get()
    }

    /// The keyspace, made now if need be. It is on disk before any row of it can be in the journal.
    pub(crate) fn make(&self, db: &Database) -> Result<&Keyspace, StoreError> {
        if let Some(keyspace) = self.keyspace.get() {
            return Ok(keyspace);
        }
        // Two threads may come here; the engine gives both the same one.
        let keyspace = db
            .keyspace(&self.name, || self.layout.options())
            .map_err(|cause| StoreError::engine("make keyspace", &self.name, cause))?;
        Ok(self.keyspace.get_or_init(|| keyspace))
    }
}

/// Keyspaces of deleted indices and collections that nobody reads any more, and removed tenants.
#[derive(Default)]
pub(crate) struct Doomed {
    keyspaces: Mutex<Vec<Keyspace>>,
    shards: Mutex<Vec<Purge>>,
}

impl Doomed {
    pub(super) fn add(&self, keyspace: &LazyKeyspace) {
        if let Some(keyspace) = keyspace.get() {
            self.lock().push(keyspace.clone());
        }
    }

    pub(crate) fn add_shards(&self, purge: Purge) {
        self.shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(purge);
    }

    /// Removes the rows of removed tenants. What fails is tried again at the next open.
    pub(crate) fn purge(&self, db: &Database, guard: &Guard) {
        let purges =
            std::mem::take(&mut *self.shards.lock().unwrap_or_else(PoisonError::into_inner));
        for purge in purges {
            if let Err(error) = purge.run(db, guard) {
                tracing::warn!(%error, "objects of removed tenants were not removed; the next start goes on");
            }
        }
    }

    /// Removes the keyspaces. What is not removed is dropped at the next open, since no index refers to it.
    pub(crate) fn remove(&self, db: &Database) {
        let keyspaces = std::mem::take(&mut *self.lock());
        for keyspace in keyspaces {
            let name = keyspace.name().clone();
            if let Err(error) = db.delete_keyspace(keyspace) {
                tracing::warn!(%error, keyspace = %&*name, "documents of a deleted index were not removed");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Keyspace>> {
        self.keyspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
