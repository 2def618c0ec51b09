//! One consistent moment of all indices.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::{Document, DocumentRef, IndexMeta, StoreError};

/// All indices at one moment; held while writes go on, cheap to take and to clone.
#[derive(Clone, Debug)]
pub struct View {}

impl View {
    /// All indices, sorted by name.
    pub fn indices(&self) -> Vec<Arc<IndexMeta>> {
        todo!()
    }

    /// One index by its name (no alias).
    pub fn index(&self, name: &str) -> Option<Arc<IndexMeta>> {
        let _ = name;
        todo!()
    }

    /// One shard; `None` for an unknown index or number.
    pub fn shard(&self, index: &str, shard: u16) -> Option<ShardView> {
        let _ = (index, shard);
        todo!()
    }
}

/// Identity of a shard's sequence numbers: equal histories have equal operations at equal numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardHistory {
    /// UUID of the index.
    pub index_uuid: String,
    /// Changes when the shard is restored or has lost acknowledged operations.
    pub history_uuid: String,
}

/// A copy of a document that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone<'a> {
    /// Sequence number of the operation that replaced or deleted it.
    pub seq_no: u64,
    /// Sequence number the dead copy had.
    pub old_seq_no: u64,
    /// `_id`.
    pub id: &'a str,
    /// [`crate::document_hash`] of the dead copy.
    pub hash: u128,
}

/// One shard at the moment of its [`View`]. `Send + Sync`: scan it from many threads at once.
#[derive(Clone, Debug)]
pub struct ShardView {}

impl ShardView {
    /// Live documents, exact.
    pub fn live_count(&self) -> u64 {
        todo!()
    }

    /// Sum of [`crate::document_hash`] over the live documents.
    pub fn digest(&self) -> u128 {
        todo!()
    }

    /// Bytes of source in live documents.
    pub fn source_bytes(&self) -> u64 {
        todo!()
    }

    /// Highest sequence number ever given in this shard.
    pub fn max_seq_no(&self) -> Option<u64> {
        todo!()
    }

    /// Identity of the sequence numbers.
    pub fn history(&self) -> ShardHistory {
        todo!()
    }

    /// [`Self::gone_since`] is complete for arguments ≥ this; below, read everything again.
    pub fn gone_floor(&self) -> u64 {
        todo!()
    }

    /// Ranges of sequence numbers of about `target_bytes` of source each, covering `0..=max_seq_no` in
    /// order; cheap, from counts only.
    pub fn split(&self, target_bytes: u64) -> Vec<Range<u64>> {
        let _ = target_bytes;
        todo!()
    }

    /// Calls `visit` for each live document in `range`, ascending by sequence number.
    pub fn scan(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(DocumentRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let _ = (range, visit);
        todo!()
    }

    /// Calls `visit` for each copy that died by an operation with `seq_no >= from_seq_no`, ascending. Pass
    /// the base's `max_seq_no + 1`, and look only at those with `old_seq_no < from_seq_no`: the others were
    /// born and died in between.
    pub fn gone_since(
        &self,
        from_seq_no: u64,
        visit: &mut dyn FnMut(Gone<'_>),
    ) -> Result<(), StoreError> {
        let _ = (from_seq_no, visit);
        todo!()
    }

    /// One live document by id.
    pub fn get(&self, id: &str) -> Result<Option<Document>, StoreError> {
        let _ = id;
        todo!()
    }
}
