//! The public face.

use std::fmt;
use std::sync::Arc;

use super::Core;
use crate::search::Contexts;
use crate::{Settings, StoreError, View};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Bytes of blocks kept in memory.
    pub cache_bytes: u64,
    /// `index.version.created` of new indices.
    pub version_created: String,
    /// Superseded copies remembered per shard, so that the next snapshot can tell what changed: this many,
    /// or as many as there are live documents if that is more. Older ones are trimmed (see
    /// [`crate::ShardView::gone_floor`]).
    pub remembered_copies: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            cache_bytes: 64 << 20,
            version_created: "7172999".to_owned(),
            remembered_copies: 100_000,
        }
    }
}

/// Acknowledged operations that were not there any more when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostWrites {
    /// Index.
    pub index: String,
    /// Shard.
    pub shard: u16,
    /// Last operation that was acknowledged.
    pub acknowledged_seq_no: u64,
    /// Last operation found; `None`: none at all.
    pub found_seq_no: Option<u64>,
}

/// Which set a template belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// `_index_template`.
    Composable,
    /// `_component_template`.
    Component,
    /// `_template`.
    Legacy,
}

/// Cluster settings, both flat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterSettings {
    /// Kept across restarts.
    pub persistent: Settings,
    /// Kept until the next restart.
    pub transient: Settings,
}

/// Sizes of one index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Live documents.
    pub docs: u64,
    /// Superseded or deleted copies still remembered.
    pub deleted: u64,
    /// Bytes on disk.
    pub store_bytes: u64,
}

/// The embedded document store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) core: Arc<Core>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("uuid", &self.core.uuid)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// UUID of this store, made when it was created (the cluster's UUID).
    pub fn uuid(&self) -> &str {
        &self.core.uuid
    }

    /// Acknowledged writes found missing at open (journal damage); also logged. Empty when all is well.
    pub fn lost_writes(&self) -> &[LostWrites] {
        &self.core.lost
    }

    /// One consistent moment over all indices; all it shows is durable. Takes microseconds, or one sync
    /// when writes are under way.
    pub fn view(&self) -> Result<View, StoreError> {
        self.core.durable_view()
    }

    /// Like [`Self::view`] without waiting for the sync of writes that are under way: for searches.
    pub fn peek(&self) -> View {
        self.core.view()
    }

    /// Scroll and point-in-time contexts.
    pub fn contexts(&self) -> &Contexts {
        &self.core.contexts
    }

    /// Syncs everything written so far.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.core.sync()?;
        self.core.guard.sync()
    }
}
