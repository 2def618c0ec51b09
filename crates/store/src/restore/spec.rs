//! What to restore, and what proves it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Alias, Settings};

/// What to restore.
#[derive(Debug, Clone)]
pub struct RestoreSpec {
    /// Target name.
    pub name: String,
    /// Flat settings (`index.…`). UUID and number of shards are replaced; creation date, provided name and
    /// version are kept when they are there.
    pub settings: Settings,
    /// Mappings, verbatim.
    pub mappings: Value,
    /// Aliases to give.
    pub aliases: BTreeMap<String, Alias>,
    /// Number of shards.
    pub shards: u16,
    /// Replace a closed index of the same name, keeping its UUID; its documents are deleted at the end.
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
    /// Vectors of an object of a collection, raw little-endian `f32`; empty in an index.
    pub tail: Vec<u8>,
}

/// What a shard must hold when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardProof {
    /// Live documents.
    pub live: u64,
    /// Sum of [`crate::document_hash`].
    pub digest: u128,
}
