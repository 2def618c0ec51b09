//! Under a shard's lock: number the operations, keep the counters, fill the batch.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};

use super::conflict::conflict;
use super::merge::merge;
use super::prepare::Prepared;
use super::{Update, WriteKind, WriteOutcome, WriteResult};
use crate::error::VersionConflict;
use crate::store::rows::{
    IdRow, ShardState, decode_op, encode_gone, encode_op, id_key, seq_key, seq_of_key,
};
use crate::store::{Core, Index};
use crate::{StoreError, document_hash};

/// A deleted document's version is continued when it is written again within this time, as in
/// Elasticsearch (`index.gc_deletes`).
const TOMBSTONE_LIFE_MS: u64 = 60_000;
/// Most tombstones kept per shard; the oldest go first.
const MAX_TOMBSTONES: usize = 100_000;
/// Most tombstones removed by one write.
const TOMBSTONES_PER_WRITE: usize = 1_000;
/// Least `gone` rows trimmed by one write while there are too many.
const GONE_ROWS_PER_WRITE: u64 = 1_000;

/// The newest copy of an id, as this batch sees it.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) row: IdRow,
    /// Its number among the pending operations, if this batch wrote it.
    pending: Option<usize>,
}

impl Current {
    pub(super) fn is_live(&self) -> bool {
        self.row.deleted_ms.is_none()
    }
}

/// An operation that will be in the batch.
struct Pending<'a> {
    id: &'a str,
    row: IdRow,
    /// Source and routing of the new copy; `None` for a delete.
    document: Option<(Bytes, Option<String>)>,
    /// The stored copy that it replaces: sequence number and hash.
    kills: Option<(u64, u128)>,
    /// A later operation of the same batch wrote the same id: then nobody ever sees this copy.
    is_overwritten: bool,
}

/// What the lock holder takes over once the batch is committed.
pub(super) struct Done {
    pub(super) state: ShardState,
    pub(super) expired_tombstones: usize,
    pub(super) new_tombstones: Vec<(u64, String)>,
}

/// The operations of one request on one shard.
pub(super) struct ShardBatch<'a> {
    index: &'a Index,
    shard: u16,
    state: ShardState,
    now_ms: u64,
    pending: Vec<Pending<'a>>,
    /// Newest pending operation of an id.
    by_id: HashMap<&'a str, usize>,
}

impl<'a> ShardBatch<'a> {
    pub(super) fn new(index: &'a Index, shard: u16, state: ShardState, now_ms: u64) -> Self {
        ShardBatch {
            index,
            shard,
            state,
            now_ms,
            pending: Vec::new(),
            by_id: HashMap::new(),
        }
    }

    /// Applies one operation to the counters and the pending list.
    pub(super) fn apply(&mut self, op: &'a Prepared) -> Result<WriteOutcome, StoreError> {
        let current = self.current(op)?;
        if let Some(reason) = conflict(&op.op, current.as_ref()) {
            return Err(self.conflict(&op.id, &reason));
        }
        match &op.op.kind {
            WriteKind::Index { source, .. } => {
                let routing = op.op.routing.clone();
                Ok(self.put(op, current, source.clone(), routing))
            }
            WriteKind::Update(update) => self.update(op, current, update),
            WriteKind::Delete => Ok(self.delete(op, current)),
        }
    }

    fn conflict(&self, id: &str, reason: &str) -> StoreError {
        StoreError::VersionConflict(Box::new(VersionConflict {
            index: self.index.meta.name.clone(),
            index_uuid: self.index.meta.uuid.clone(),
            shard: self.shard,
            id: id.to_owned(),
            reason: format!("[{id}]: {reason}"),
        }))
    }

    fn current(&self, op: &Prepared) -> Result<Option<Current>, StoreError> {
        if op.is_id_new {
            return Ok(None);
        }
        if let Some(&pending) = self.by_id.get(op.id.as_str()) {
            return Ok(Some(Current {
                row: self.pending[pending].row,
                pending: Some(pending),
            }));
        }
        let row = self.index.data.id_row(self.shard, &op.id)?;
        let is_fresh = |row: &IdRow| {
            row.deleted_ms
                .is_none_or(|deleted| deleted + TOMBSTONE_LIFE_MS > self.now_ms)
        };
        Ok(row
            .filter(is_fresh)
            .map(|row| Current { row, pending: None }))
    }

    fn next_version(op: &Prepared, current: Option<&Current>) -> u64 {
        op.op
            .version
            .unwrap_or_else(|| current.map_or(1, |current| current.row.version + 1))
    }

    fn put(
        &mut self,
        op: &'a Prepared,
        current: Option<Current>,
        source: Bytes,
        routing: Option<String>,
    ) -> WriteOutcome {
        let version = Self::next_version(op, current.as_ref());
        let seq_no = self.state.next_seq_no;
        let hash = document_hash(&op.id, routing.as_deref(), version, seq_no, &source);
        let row = IdRow {
            seq_no,
            version,
            hash,
            source_bytes: source.len() as u32,
            deleted_ms: None,
        };
        let is_update = current.as_ref().is_some_and(Current::is_live);
        self.push(op, current, row, Some((source, routing)));
        self.state.live += 1;
        self.state.digest = self.state.digest.wrapping_add(hash);
        self.state.source_bytes += u64::from(row.source_bytes);
        let result = if is_update {
            WriteResult::Updated
        } else {
            WriteResult::Created
        };
        self.outcome(op, row, result)
    }

    fn delete(&mut self, op: &'a Prepared, current: Option<Current>) -> WriteOutcome {
        let was_live = current.as_ref().is_some_and(Current::is_live);
        let row = IdRow {
            seq_no: self.state.next_seq_no,
            version: Self::next_version(op, current.as_ref()),
            hash: 0,
            source_bytes: 0,
            deleted_ms: Some(self.now_ms),
        };
        self.push(op, current, row, None);
        let result = if was_live {
            WriteResult::Deleted
        } else {
            WriteResult::NotFound
        };
        self.outcome(op, row, result)
    }

    fn update(
        &mut self,
        op: &'a Prepared,
        current: Option<Current>,
        update: &Update,
    ) -> Result<WriteOutcome, StoreError> {
        let Some(live) = current.as_ref().filter(|current| current.is_live()) else {
            let first = if update.doc_as_upsert {
                &update.doc
            } else {
                &update.upsert
            };
            return match first {
                Some(source) => Ok(self.put(op, current, source.clone(), op.op.routing.clone())),
                None => Err(StoreError::DocumentMissing {
                    index: self.index.meta.name.clone(),
                    index_uuid: self.index.meta.uuid.clone(),
                    shard: self.shard,
                    id: op.id.clone(),
                }),
            };
        };
        let row = live.row;
        let (source, routing) = self.read(live)?;
        let routing = op.op.routing.clone().or(routing);
        let Some(doc) = &update.doc else {
            return Ok(self.outcome(op, row, WriteResult::Noop));
        };
        let merged = merge(&source, doc).map_err(|cause| StoreError::MapperParsing {
            reason: "failed to parse".to_owned(),
            cause: Some(cause.to_string()),
        })?;
        if update.detect_noop && !merged.is_changed {
            return Ok(self.outcome(op, row, WriteResult::Noop));
        }
        Ok(self.put(op, current, merged.source.into(), routing))
    }

    /// Source and routing of a live copy.
    fn read(&self, live: &Current) -> Result<(Bytes, Option<String>), StoreError> {
        let pending = live
            .pending
            .and_then(|pending| self.pending[pending].document.as_ref());
        if let Some((source, routing)) = pending {
            return Ok((source.clone(), routing.clone()));
        }
        let row = match self.index.data.ops.get() {
            Some(ops) => ops
                .get(seq_key(self.shard, live.row.seq_no))
                .map_err(|cause| StoreError::engine("read", "a document", cause))?,
            None => None,
        };
        let op = row.ok_or_else(|| StoreError::Damaged {
            object: format!(
                "operation {} of [{}][{}]",
                live.row.seq_no, self.index.meta.name, self.shard
            ),
            reason: "missing".to_owned(),
        })?;
        let document = decode_op(live.row.seq_no, &op)?;
        Ok((
            Bytes::copy_from_slice(document.source),
            document.routing.map(str::to_owned),
        ))
    }

    /// Takes the replaced copy out of the counters and queues the new row.
    fn push(
        &mut self,
        op: &'a Prepared,
        current: Option<Current>,
        row: IdRow,
        document: Option<(Bytes, Option<String>)>,
    ) {
        self.state.next_seq_no += 1;
        let mut kills = None;
        if let Some(current) = current {
            if current.is_live() {
                self.state.live -= 1;
                self.state.digest = self.state.digest.wrapping_sub(current.row.hash);
                self.state.source_bytes -= u64::from(current.row.source_bytes);
            }
            match current.pending {
                Some(pending) => self.pending[pending].is_overwritten = true,
                None if current.is_live() => {
                    kills = Some((current.row.seq_no, current.row.hash));
                    self.state.gone += 1;
                }
                None => {}
            }
        }
        if !op.is_id_new {
            self.by_id.insert(&op.id, self.pending.len());
        }
        self.pending.push(Pending {
            id: &op.id,
            row,
            document,
            kills,
            is_overwritten: false,
        });
    }

    fn outcome(&self, op: &Prepared, row: IdRow, result: WriteResult) -> WriteOutcome {
        WriteOutcome {
            index: self.index.meta.name.clone(),
            id: op.id.clone(),
            version: row.version,
            seq_no: row.seq_no,
            primary_term: 1,
            result,
            shard: self.shard,
        }
    }

    /// Fills the batch with rows and counters; `None` when nothing changed. Each key is in the batch once,
    /// since the engine does not order equal keys within one batch.
    pub(super) fn finish(
        mut self,
        core: &Core,
        batch: &mut OwnedWriteBatch,
        tombstones: &VecDeque<(u64, String)>,
    ) -> Result<Option<Done>, StoreError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let data = &self.index.data;
        let (ops, ids) = (data.ops.make(&core.db)?, data.ids.make(&core.db)?);
        let mut row = Vec::new();
        let mut new_tombstones = Vec::new();
        for pending in &self.pending {
            let key = seq_key(self.shard, pending.row.seq_no);
            if let Some((old_seq_no, hash)) = pending.kills {
                encode_gone(&mut row, old_seq_no, hash, pending.id);
                batch.insert(data.gone.make(&core.db)?, key, row.as_slice());
                batch.remove(ops, seq_key(self.shard, old_seq_no));
            }
            if pending.is_overwritten {
                continue;
            }
            if let Some((source, routing)) = &pending.document {
                encode_op(
                    &mut row,
                    pending.id,
                    routing.as_deref(),
                    pending.row.version,
                    source,
                );
                batch.insert(ops, key, row.as_slice());
            } else {
                new_tombstones.push((self.now_ms, pending.id.to_owned()));
            }
            batch.insert(ids, id_key(self.shard, pending.id), pending.row.encode());
        }
        let expired_tombstones = self.expire_tombstones(ids, batch, tombstones)?;
        self.trim_gone(core.remembered_copies(), batch)?;
        batch.insert(core.meta(), data.state_key(self.shard), self.state.encode());
        Ok(Some(Done {
            state: self.state,
            expired_tombstones,
            new_tombstones,
        }))
    }

    /// Removes id rows of old deletions; returns how many queue entries are settled.
    fn expire_tombstones(
        &self,
        ids: &Keyspace,
        batch: &mut OwnedWriteBatch,
        tombstones: &VecDeque<(u64, String)>,
    ) -> Result<usize, StoreError> {
        let surplus = tombstones.len().saturating_sub(MAX_TOMBSTONES);
        let mut settled = 0;
        let mut removed = std::collections::HashSet::new();
        for (position, (deleted_ms, id)) in tombstones.iter().take(TOMBSTONES_PER_WRITE).enumerate()
        {
            if position >= surplus && deleted_ms + TOMBSTONE_LIFE_MS > self.now_ms {
                break;
            }
            settled += 1;
            if self.by_id.contains_key(id.as_str()) || !removed.insert(id) {
                continue;
            }
            // The id may have been written or deleted again since.
            let row = self.index.data.id_row(self.shard, id)?;
            if row.is_some_and(|row| row.deleted_ms == Some(*deleted_ms)) {
                batch.remove(ids, id_key(self.shard, id));
            }
        }
        Ok(settled)
    }

    fn trim_gone(
        &mut self,
        remembered: u64,
        batch: &mut OwnedWriteBatch,
    ) -> Result<(), StoreError> {
        let limit = self.state.live.max(remembered);
        let surplus = self.state.gone.saturating_sub(limit);
        if surplus == 0 {
            return Ok(());
        }
        let most = surplus.min(GONE_ROWS_PER_WRITE.max(2 * self.pending.len() as u64));
        let first_new = self.pending.first().map_or(0, |pending| pending.row.seq_no);
        let keys = seq_key(self.shard, self.state.gone_floor)..seq_key(self.shard, first_new);
        let Some(gone) = self.index.data.gone.get() else {
            return Ok(());
        };
        for row in gone.range(keys).take(most as usize) {
            let key = row
                .key()
                .map_err(|cause| StoreError::engine("read", "tombstones", cause))?;
            self.state.gone_floor = seq_of_key(&key)? + 1;
            self.state.gone -= 1;
            batch.remove(gone, key);
        }
        Ok(())
    }
}
