//! Loading an index from a snapshot.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Alias, Settings, StoreError};

/// What to restore.
#[derive(Debug, Clone)]
pub struct RestoreSpec {
    /// Target name.
    pub name: String,
    /// Flat settings (`index.…`); uuid, creation date and provided name are made here.
    pub settings: Settings,
    /// Mappings, verbatim.
    pub mappings: Value,
    /// Aliases to give.
    pub aliases: BTreeMap<String, Alias>,
    /// Number of shards.
    pub shards: u16,
    /// Replace a closed index of the same name, keeping its UUID.
    pub replace_closed: bool,
}

/// One document of a snapshot.
#[derive(Debug, Clone)]
pub struct RestoredDocument {
    /// `_id`.
    pub id: String,
    /// `_routing`.
    pub routing: Option<String>,
    /// `_version`.
    pub version: u64,
    /// `_seq_no`; kept.
    pub seq_no: u64,
    /// `_source`, kept byte for byte.
    pub source: Vec<u8>,
}

/// What a shard must hold when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardProof {
    /// Live documents.
    pub live: u64,
    /// Sum of [`crate::document_hash`].
    pub digest: u128,
}

/// An index being loaded. Dropping it aborts: nothing stays behind.
#[derive(Debug)]
pub struct RestoreTarget {}

impl RestoreTarget {
    /// Loads documents of one shard, in any order, from many threads. Not durable before [`Self::finish`].
    pub fn load(&self, shard: u16, documents: Vec<RestoredDocument>) -> Result<(), StoreError> {
        let _ = (shard, documents);
        todo!()
    }

    /// Verifies every shard against `expected` (in shard order), syncs, and makes the index visible in one
    /// durable step; on an error nothing is visible and the data is dropped.
    pub fn finish(self, expected: Vec<ShardProof>) -> Result<(), StoreError> {
        let _ = expected;
        todo!()
    }

    /// UUID the index will have.
    pub fn uuid(&self) -> &str {
        todo!()
    }
}
