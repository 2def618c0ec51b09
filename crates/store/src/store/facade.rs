//! The public face.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::search::Contexts;
use crate::{
    AliasAction, Document, IndexMeta, IndexSpec, RestoreSpec, RestoreTarget, Settings, StoreError,
    View, WriteOp, WriteOptions, WriteOutcome,
};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Bytes of blocks kept in memory.
    pub cache_bytes: u64,
    /// `index.version.created` of new indices.
    pub version_created: String,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            cache_bytes: 64 << 20,
            version_created: "7172999".to_owned(),
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
#[derive(Clone, Debug)]
pub struct Store {}

#[allow(clippy::todo, unused_variables)]
impl Store {
    /// Opens or creates the store in `dir`. One process at a time.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Store, StoreError> {
        todo!()
    }

    /// Acknowledged writes found missing at open (journal damage); also logged. Empty when all is well.
    pub fn lost_writes(&self) -> &[LostWrites] {
        todo!()
    }

    /// Creates an index: templates are applied, then `spec`.
    pub fn create_index(&self, name: &str, spec: IndexSpec) -> Result<Arc<IndexMeta>, StoreError> {
        todo!()
    }

    /// Deletes an index and its documents.
    pub fn delete_index(&self, name: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// All indices, sorted by name (including those being restored).
    pub fn indices(&self) -> Vec<Arc<IndexMeta>> {
        todo!()
    }

    /// One index by its name (no alias).
    pub fn index(&self, name: &str) -> Option<Arc<IndexMeta>> {
        todo!()
    }

    /// Merges settings (nested or flat, with or without `index.`; null resets) into the index.
    /// `preserve_existing`: keep values that are already set.
    pub fn put_settings(
        &self,
        name: &str,
        settings: &Value,
        preserve_existing: bool,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Merges mappings (`{"properties":{…}}`) into the index.
    pub fn put_mapping(&self, name: &str, mappings: &Value) -> Result<(), StoreError> {
        todo!()
    }

    /// Applies all actions, or none.
    pub fn update_aliases(&self, actions: &[AliasAction]) -> Result<(), StoreError> {
        todo!()
    }

    /// Opens a closed index; nothing happens when it is open.
    pub fn open_index(&self, name: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// Closes an index; nothing happens when it is closed.
    pub fn close_index(&self, name: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// Stores a template body under a name.
    pub fn put_template(
        &self,
        kind: TemplateKind,
        name: &str,
        body: Value,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// All templates of a kind, sorted by name.
    pub fn templates(&self, kind: TemplateKind) -> Vec<(String, Value)> {
        todo!()
    }

    /// Removes a template.
    pub fn delete_template(&self, kind: TemplateKind, name: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// Current cluster settings.
    pub fn cluster_settings(&self) -> ClusterSettings {
        todo!()
    }

    /// Merges cluster settings (nested or flat; null resets) and returns the new ones.
    pub fn put_cluster_settings(
        &self,
        persistent: &Value,
        transient: &Value,
    ) -> Result<ClusterSettings, StoreError> {
        todo!()
    }

    /// UUID of this store, made when it was created (the cluster's UUID).
    pub fn uuid(&self) -> &str {
        todo!()
    }

    /// Performs the operations in order as one durable batch (one sync) and tells each outcome.
    pub fn write(
        &self,
        ops: Vec<WriteOp>,
        options: &WriteOptions,
    ) -> Vec<Result<WriteOutcome, StoreError>> {
        todo!()
    }

    /// One document by index (or alias of one index), id and routing.
    pub fn get(
        &self,
        index: &str,
        id: &str,
        routing: Option<&str>,
    ) -> Result<Option<Document>, StoreError> {
        todo!()
    }

    /// One consistent moment over all indices; all it shows is durable.
    pub fn view(&self) -> Result<View, StoreError> {
        todo!()
    }

    /// Sizes of one index.
    pub fn stats(&self, name: &str) -> Result<IndexStats, StoreError> {
        todo!()
    }

    /// Scroll and point-in-time contexts.
    pub fn contexts(&self) -> &Contexts {
        todo!()
    }

    /// Starts loading an index; invisible (but listed as [`crate::IndexState::Restoring`]) until finished.
    pub fn begin_restore(&self, spec: RestoreSpec) -> Result<RestoreTarget, StoreError> {
        todo!()
    }

    /// Syncs everything acknowledged so far; a clean shutdown also drops the last clone.
    pub fn flush(&self) -> Result<(), StoreError> {
        todo!()
    }
}
