//! Loading a collection from a snapshot.

use std::sync::Arc;

use serde_json::Value;

use super::TenantStatus;
use crate::restore::{RestoredDocument, ShardProof};
use crate::{Store, StoreError};

/// What to restore.
#[derive(Debug, Clone)]
pub struct CollectionRestore {
    /// Target name.
    pub name: String,
    /// The class, kept verbatim.
    pub class: Value,
    /// Whether the shards are tenants.
    pub multi_tenant: bool,
    /// Names and statuses; a shard's position here is its number in the calls of the target. Without
    /// tenants the order must be that of the captured collection's numbers.
    pub shards: Vec<(String, TenantStatus)>,
    /// Aliases to give. One that another collection has is left alone, unless `overwrite_aliases`.
    pub aliases: Vec<String>,
    /// Take aliases from other collections.
    pub overwrite_aliases: bool,
    /// Replace a collection of that name: it stays as it is until the end and is dropped then.
    pub replace_existing: bool,
    /// Creation time in milliseconds since 1970; `None`: now.
    pub created_ms: Option<i64>,
}

/// A collection being loaded, under a new UUID. Dropping it aborts: nothing stays behind.
pub struct CollectionRestoreTarget {}

impl CollectionRestoreTarget {
    /// UUID the collection will have.
    pub fn uuid(&self) -> &str {
        todo!()
    }

    /// Loads objects of one shard, in any order, from many threads; each id and sequence number once. Not
    /// durable before [`Self::finish`].
    pub fn load(&self, shard: u16, objects: Vec<RestoredDocument>) -> Result<(), StoreError> {
        let _ = (shard, objects);
        todo!()
    }

    /// Verifies every shard against `expected`, syncs, and makes the collection visible in one durable
    /// step; on an error nothing is visible and the data is dropped.
    pub fn finish(self, expected: Vec<ShardProof>) -> Result<(), StoreError> {
        let _ = expected;
        todo!()
    }
}

impl Store {
    /// Starts loading a collection; unseen, with its name reserved, until it is finished.
    pub fn begin_collection_restore(
        &self,
        restore: CollectionRestore,
    ) -> Result<CollectionRestoreTarget, StoreError> {
        let _ = (restore, Arc::new(()));
        todo!()
    }
}
