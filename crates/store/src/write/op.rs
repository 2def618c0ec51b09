//! The operations of a bulk request and their outcomes.

use bytes::Bytes;

/// How `version` of a [`WriteOp`] is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VersionType {
    /// Counted by the store.
    #[default]
    Internal,
    /// Given by the caller, must be greater than the stored one.
    External,
    /// Given by the caller, must not be smaller than the stored one.
    ExternalGte,
}

/// A partial update.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// `doc`: merged deeply into the stored source.
    pub doc: Option<Bytes>,
    /// `upsert`: the source when the document is missing.
    pub upsert: Option<Bytes>,
    /// `doc_as_upsert`.
    pub doc_as_upsert: bool,
    /// `detect_noop` (Elasticsearch's default is true).
    pub detect_noop: bool,
}

/// What to do with a document.
#[derive(Debug, Clone)]
pub enum WriteKind {
    /// Writes the whole source. `create_only`: fail when the document is there (`op_type=create`).
    Index {
        /// The JSON object, stored byte for byte.
        source: Bytes,
        /// `op_type=create`.
        create_only: bool,
    },
    /// Changes parts of it.
    Update(Update),
    /// Removes it.
    Delete,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct WriteOp {
    /// Index or alias with a write index.
    pub index: String,
    /// `None`: an id is made up (only for [`WriteKind::Index`]).
    pub id: Option<String>,
    /// Custom routing.
    pub routing: Option<String>,
    /// What to do.
    pub kind: WriteKind,
    /// Optimistic concurrency: the stored copy must have this sequence number …
    pub if_seq_no: Option<u64>,
    /// … and this primary term.
    pub if_primary_term: Option<u64>,
    /// External version.
    pub version: Option<u64>,
    /// What `version` means.
    pub version_type: VersionType,
    /// `require_alias`: `index` must be an alias.
    pub require_alias: bool,
}

impl WriteOp {
    /// An unconditional index operation.
    pub fn index(index: impl Into<String>, id: Option<String>, source: impl Into<Bytes>) -> Self {
        Self::new(
            index,
            id,
            WriteKind::Index {
                source: source.into(),
                create_only: false,
            },
        )
    }

    /// An unconditional delete operation.
    pub fn delete(index: impl Into<String>, id: impl Into<String>) -> Self {
        Self::new(index, Some(id.into()), WriteKind::Delete)
    }

    /// Any unconditional operation.
    pub fn new(index: impl Into<String>, id: Option<String>, kind: WriteKind) -> Self {
        WriteOp {
            index: index.into(),
            id,
            routing: None,
            kind,
            if_seq_no: None,
            if_primary_term: None,
            version: None,
            version_type: VersionType::Internal,
            require_alias: false,
        }
    }
}

/// Options of one [`crate::Store::write`] call.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// Create missing indices (Elasticsearch's `action.auto_create_index`).
    pub auto_create: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { auto_create: true }
    }
}

/// The word in `result` of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// A new document.
    Created,
    /// An existing document was replaced.
    Updated,
    /// An existing document was removed.
    Deleted,
    /// The update changed nothing; nothing was written.
    Noop,
    /// Delete of a missing document.
    NotFound,
}

impl WriteResult {
    /// Elasticsearch's word.
    pub fn as_str(self) -> &'static str {
        match self {
            WriteResult::Created => "created",
            WriteResult::Updated => "updated",
            WriteResult::Deleted => "deleted",
            WriteResult::Noop => "noop",
            WriteResult::NotFound => "not_found",
        }
    }
}

/// What an operation did; durable when it is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Concrete index.
    pub index: String,
    /// `_id`, made up when none was given.
    pub id: String,
    /// `_version` now.
    pub version: u64,
    /// `_seq_no` of the operation.
    pub seq_no: u64,
    /// `_primary_term`.
    pub primary_term: u64,
    /// What happened.
    pub result: WriteResult,
    /// Shard it happened in.
    pub shard: u16,
}
