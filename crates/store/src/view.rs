//! One consistent moment of all indices and collections.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use fjall::{Keyspace, Readable, Snapshot};

use crate::collections::Collection;
use crate::index::uuid_text;
use crate::store::rows::{IdRow, ShardState, decode_gone, decode_op, id_key, seq_key, seq_of_key};
use crate::store::{Catalogue, Index, IndexData, get_at, route};
use crate::{Document, DocumentRef, IndexMeta, IndexState, StoreError};

/// All indices and collections at one moment; held while writes go on, cheap to take and to clone.
#[derive(Clone)]
pub struct View {
    moment: Arc<Moment>,
}

struct Moment {
    snapshot: Snapshot,
    catalogue: Arc<Catalogue>,
    meta: Keyspace,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("indices", &self.moment.catalogue.indices.len())
            .finish_non_exhaustive()
    }
}

impl View {
    pub(crate) fn new(snapshot: Snapshot, catalogue: Arc<Catalogue>, meta: Keyspace) -> Self {
        View {
            moment: Arc::new(Moment {
                snapshot,
                catalogue,
                meta,
            }),
        }
    }

    /// All indices, sorted by name.
    pub fn indices(&self) -> Vec<Arc<IndexMeta>> {
        self.moment
            .catalogue
            .indices
            .values()
            .map(|index| Arc::clone(&index.meta))
            .collect()
    }

    /// One index by its name (no alias).
    pub fn index(&self, name: &str) -> Option<Arc<IndexMeta>> {
        let index = self.moment.catalogue.indices.get(name)?;
        Some(Arc::clone(&index.meta))
    }

    /// One shard; `None` for an unknown index or number, or one that is being restored.
    pub fn shard(&self, index: &str, shard: u16) -> Option<ShardView> {
        let index = self.moment.catalogue.indices.get(index)?;
        if shard >= index.meta.shards || index.meta.state == IndexState::Restoring {
            return None;
        }
        self.shard_of(Owner::Index(Arc::clone(index)), shard)
    }

    /// A shard that is known to be there.
    pub(crate) fn shard_of(&self, owner: Owner, shard: u16) -> Option<ShardView> {
        let key = owner.data().state_key(shard);
        let row = self.moment.snapshot.get(&self.moment.meta, key).ok()??;
        Some(ShardView {
            moment: Arc::clone(&self.moment),
            owner,
            shard,
            state: ShardState::decode(&row).ok()?,
        })
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.moment.catalogue
    }

    /// One live document of an index by id and routing.
    pub fn get(
        &self,
        index: &str,
        id: &str,
        routing: Option<&str>,
    ) -> Result<Option<Document>, StoreError> {
        let Some(meta) = self.index(index) else {
            return Ok(None);
        };
        match self.shard(index, route(id, routing, meta.shards)) {
            Some(shard) => shard.get(id),
            None => Ok(None),
        }
    }
}

/// What a shard belongs to.
#[derive(Clone)]
pub(crate) enum Owner {
    Index(Arc<Index>),
    Collection(Arc<Collection>),
}

impl Owner {
    fn name(&self) -> &str {
        match self {
            Owner::Index(index) => &index.meta.name,
            Owner::Collection(collection) => &collection.meta.name,
        }
    }

    fn uuid(&self) -> &str {
        match self {
            Owner::Index(index) => &index.meta.uuid,
            Owner::Collection(collection) => &collection.meta.uuid,
        }
    }

    fn data(&self) -> &IndexData {
        match self {
            Owner::Index(index) => &index.data,
            Owner::Collection(collection) => &collection.data,
        }
    }
}

/// Identity of a shard's sequence numbers: equal histories have equal operations at equal numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardHistory {
    /// UUID of the index or collection.
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
#[derive(Clone)]
pub struct ShardView {
    moment: Arc<Moment>,
    owner: Owner,
    shard: u16,
    state: ShardState,
}

impl fmt::Debug for ShardView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardView")
            .field("owner", &self.owner.name())
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl ShardView {
    /// Live documents, exact.
    pub fn live_count(&self) -> u64 {
        self.state.live
    }

    /// Sum of [`crate::document_hash`] over the live documents.
    pub fn digest(&self) -> u128 {
        self.state.digest
    }

    /// Bytes of source and vectors in live documents.
    pub fn source_bytes(&self) -> u64 {
        self.state.source_bytes
    }

    /// Highest sequence number ever given in this shard.
    pub fn max_seq_no(&self) -> Option<u64> {
        self.state.next_seq_no.checked_sub(1)
    }

    /// Identity of the sequence numbers.
    pub fn history(&self) -> ShardHistory {
        ShardHistory {
            index_uuid: self.owner.uuid().to_owned(),
            history_uuid: uuid_text(&self.state.history),
        }
    }

    /// [`Self::gone_since`] is complete for arguments ≥ this; below, read everything again.
    pub fn gone_floor(&self) -> u64 {
        self.state.gone_floor
    }

    /// Ranges of sequence numbers of about `target_bytes` each, covering `0..=max_seq_no` in
    /// order; cheap, from counts only.
    pub fn split(&self, target_bytes: u64) -> Vec<Range<u64>> {
        let end = self.state.next_seq_no;
        if end == 0 {
            return Vec::new();
        }
        let parts = self
            .state
            .source_bytes
            .div_ceil(target_bytes.max(1))
            .clamp(1, end);
        let bound = |part: u64| (u128::from(end) * u128::from(part) / u128::from(parts)) as u64;
        (0..parts)
            .map(|part| bound(part)..bound(part + 1))
            .collect()
    }

    /// Calls `visit` for each live document in `range`, ascending by sequence number.
    pub fn scan(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(DocumentRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let keys = seq_key(self.shard, range.start)..seq_key(self.shard, range.end);
        let Some(ops) = self.owner.data().ops.get() else {
            return Ok(());
        };
        for row in self.moment.snapshot.range(ops, keys) {
            let (key, op) = row
                .into_inner()
                .map_err(|cause| self.failed("scan", cause))?;
            if visit(decode_op(seq_of_key(&key)?, &op)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` for each copy that died by an operation with `seq_no >= from_seq_no`, ascending. Pass
    /// the base's `max_seq_no + 1`, and look only at those with `old_seq_no < from_seq_no`: the others were
    /// born and died in between.
    pub fn gone_since(
        &self,
        from_seq_no: u64,
        visit: &mut dyn FnMut(Gone<'_>),
    ) -> Result<(), StoreError> {
        // From the floor on: below it lie only the engine's own tombstones of trimmed rows.
        let start = from_seq_no.max(self.state.gone_floor);
        if start >= self.state.next_seq_no {
            return Ok(());
        }
        let keys = seq_key(self.shard, start)..seq_key(self.shard, self.state.next_seq_no);
        let Some(gone) = self.owner.data().gone.get() else {
            return Ok(());
        };
        for row in self.moment.snapshot.range(gone, keys) {
            let (key, gone) = row
                .into_inner()
                .map_err(|cause| self.failed("scan", cause))?;
            let (old_seq_no, hash, id) = decode_gone(&gone)?;
            visit(Gone {
                seq_no: seq_of_key(&key)?,
                old_seq_no,
                id,
                hash,
            });
        }
        Ok(())
    }

    /// Id and sequence number of each live document whose id is greater than `after`, ascending by the bytes
    /// of the id.
    pub(crate) fn ids_after(&self, after: Option<&str>) -> IdsAfter {
        let start = match after {
            Some(id) => {
                let mut key = id_key(self.shard, id);
                // The smallest key behind it.
                key.push(0);
                key
            }
            None => id_key(self.shard, ""),
        };
        let rows = self.owner.data().ids.get().map(|ids| {
            let end = seq_key(self.shard + 1, 0)[..2].to_vec();
            self.moment.snapshot.range(ids, start..end)
        });
        IdsAfter { rows }
    }

    /// One live document by id.
    pub fn get(&self, id: &str) -> Result<Option<Document>, StoreError> {
        get_at(&self.moment.snapshot, self.owner.data(), self.shard, id)
    }

    /// The live document that an operation wrote.
    pub fn by_seq_no(&self, seq_no: u64) -> Result<Option<Document>, StoreError> {
        let Some(ops) = self.owner.data().ops.get() else {
            return Ok(None);
        };
        let key = seq_key(self.shard, seq_no);
        let row = self
            .moment
            .snapshot
            .get(ops, key)
            .map_err(|cause| self.failed("read", cause))?;
        row.map(|op| Ok(decode_op(seq_no, &op)?.to_owned()))
            .transpose()
    }

    fn failed(&self, operation: &'static str, cause: fjall::Error) -> StoreError {
        let object = format!("shard [{}][{}]", self.owner.name(), self.shard);
        StoreError::engine(operation, &object, cause)
    }
}

/// Live ids of a shard in ascending order, with their sequence numbers.
pub(crate) struct IdsAfter {
    rows: Option<fjall::Iter>,
}

impl Iterator for IdsAfter {
    type Item = Result<(String, u64), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let failed = |cause| StoreError::engine("scan", "ids", cause);
        loop {
            let (key, row) = match self.rows.as_mut()?.next()?.into_inner() {
                Ok(row) => row,
                Err(cause) => return Some(Err(failed(cause))),
            };
            match IdRow::decode(&row) {
                Ok(row) if row.deleted_ms.is_some() => {}
                Ok(row) => {
                    let id = String::from_utf8_lossy(key.get(2..).unwrap_or_default());
                    return Some(Ok((id.into_owned(), row.seq_no)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
