//! Under a shard's lock: number the operations, keep the counters, fill the batch. The same for indices and
//! collections.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};

use crate::store::rows::{
    IdRow, ShardState, decode_op, encode_gone, encode_op, id_key, seq_key, seq_of_key,
};
use crate::store::{Core, IndexData, ShardKey, now_ms};
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
pub(crate) struct Current {
    pub(crate) row: IdRow,
    /// Its number among the pending operations, if this batch wrote it.
    pending: Option<usize>,
}

impl Current {
    pub(crate) fn is_live(&self) -> bool {
        self.row.deleted_ms.is_none()
    }
}

/// What is stored of a document beside its id and numbers.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) source: Bytes,
    pub(crate) routing: Option<String>,
    pub(crate) tail: Bytes,
}

/// An operation that will be in the batch.
struct Pending<'a> {
    id: &'a str,
    row: IdRow,
    /// The new copy; `None` for a delete.
    content: Option<Content>,
    /// The stored copy that it replaces: sequence number and hash.
    kills: Option<(u64, u128)>,
    /// A later operation of the same batch wrote the same id: then nobody ever sees this copy.
    is_overwritten: bool,
}

/// What the lock holder takes over once the batch is committed.
struct Done {
    state: ShardState,
    expired_tombstones: usize,
    new_tombstones: Vec<(u64, String)>,
}

/// Operations of one request on one shard, to be committed together.
pub(crate) struct Group<'a, Op> {
    pub(crate) data: &'a IndexData,
    /// Name of the index or collection, for messages.
    pub(crate) name: &'a str,
    pub(crate) ops: Vec<Op>,
}

/// Operations by the shard that each is for. `target` gives the data, the name and the shard of an operation.
pub(crate) fn group<'a, Op>(
    ops: &'a [Op],
    target: impl Fn(&'a Op) -> (&'a IndexData, &'a str, u16),
) -> BTreeMap<ShardKey, Group<'a, &'a Op>> {
    let mut groups: BTreeMap<ShardKey, Group<'a, &'a Op>> = BTreeMap::new();
    for op in ops {
        let (data, name, shard) = target(op);
        let new = || Group {
            data,
            name,
            ops: Vec::new(),
        };
        let group = groups.entry((data.data_id, shard)).or_insert_with(new);
        group.ops.push(op);
    }
    groups
}

/// Commits groups as one durable batch. `apply` puts a group's operations into its shard's batch, with the
/// shard locked; it may leave it empty. On an error nothing was written that may be acknowledged.
///
/// Groups are ordered by shard, so that two writers lock the same shards in the same order.
pub(crate) fn commit<'a, Op>(
    core: &Core,
    groups: &'a BTreeMap<ShardKey, Group<'a, Op>>,
    mut apply: impl FnMut(&mut ShardBatch<'a>, &'a Group<'a, Op>),
) -> Result<(), StoreError> {
    // Until the acknowledgements below, no number of a removed shard is given again.
    let _unacknowledged = core.guard.enter();
    let mut acknowledgements = Vec::with_capacity(groups.len());
    {
        let mut locked = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            locked.push((*key, group, group.data.lock(key.1)));
        }
        let now = now_ms();
        let mut batch = core.batch();
        let mut committed = Vec::with_capacity(locked.len());
        for (key, group, writer) in &locked {
            let mut shard = ShardBatch::new(group.data, group.name, key.1, writer.state, now);
            apply(&mut shard, group);
            if let Some(done) = shard.finish(core, &mut batch, &writer.tombstones)? {
                committed.push((*key, done));
            }
        }
        core.commit(batch)?;
        let mut committed = committed.into_iter().peekable();
        for (key, _, writer) in &mut locked {
            if let Some((_, done)) = committed.next_if(|(done_key, _)| done_key == key) {
                acknowledgements.push((*key, done.state.next_seq_no));
                writer.state = done.state;
                writer.tombstones.drain(..done.expired_tombstones);
                writer.tombstones.extend(done.new_tombstones);
            }
        }
    }
    if acknowledgements.is_empty() {
        return Ok(());
    }
    core.sync()?;
    for (key, next_seq_no) in acknowledgements {
        core.guard.acknowledge(key, next_seq_no)?;
    }
    Ok(())
}

/// The operations of one request on one shard.
pub(crate) struct ShardBatch<'a> {
    data: &'a IndexData,
    name: &'a str,
    shard: u16,
    state: ShardState,
    now_ms: u64,
    pending: Vec<Pending<'a>>,
    /// Newest pending operation of an id.
    by_id: HashMap<&'a str, usize>,
}

impl<'a> ShardBatch<'a> {
    fn new(data: &'a IndexData, name: &'a str, shard: u16, state: ShardState, now_ms: u64) -> Self {
        ShardBatch {
            data,
            name,
            shard,
            state,
            now_ms,
            pending: Vec::new(),
            by_id: HashMap::new(),
        }
    }

    /// The shard.
    pub(crate) fn shard(&self) -> u16 {
        self.shard
    }

    /// Time of the batch in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The newest copy of an id; `None` when there never was one or its deletion is long ago.
    pub(crate) fn current(&self, id: &str) -> Result<Option<Current>, StoreError> {
        if let Some(&pending) = self.by_id.get(id) {
            return Ok(Some(Current {
                row: self.pending[pending].row,
                pending: Some(pending),
            }));
        }
        let row = self.data.id_row(self.shard, id)?;
        let is_fresh = |row: &IdRow| {
            row.deleted_ms
                .is_none_or(|deleted| deleted + TOMBSTONE_LIFE_MS > self.now_ms)
        };
        Ok(row
            .filter(is_fresh)
            .map(|row| Current { row, pending: None }))
    }

    /// Queues a new copy. `is_id_new`: the id was made up, so no later operation can name it.
    pub(crate) fn put(
        &mut self,
        id: &'a str,
        is_id_new: bool,
        current: Option<Current>,
        version: u64,
        content: Content,
    ) -> IdRow {
        let seq_no = self.state.next_seq_no;
        let hash = document_hash(
            id,
            content.routing.as_deref(),
            version,
            seq_no,
            &content.source,
            &content.tail,
        );
        let row = IdRow {
            seq_no,
            version,
            hash,
            source_bytes: (content.source.len() + content.tail.len()) as u32,
            deleted_ms: None,
        };
        self.push(id, is_id_new, current, row, Some(content));
        self.state.live += 1;
        self.state.digest = self.state.digest.wrapping_add(hash);
        self.state.source_bytes += u64::from(row.source_bytes);
        row
    }

    /// Queues a deletion, also of what is not there (it has a number and a version all the same).
    pub(crate) fn delete(&mut self, id: &'a str, current: Option<Current>, version: u64) -> IdRow {
        let row = IdRow {
            seq_no: self.state.next_seq_no,
            version,
            hash: 0,
            source_bytes: 0,
            deleted_ms: Some(self.now_ms),
        };
        self.push(id, false, current, row, None);
        row
    }

    /// Content of a live copy.
    pub(crate) fn read(&self, live: &Current) -> Result<Content, StoreError> {
        let pending = live
            .pending
            .and_then(|pending| self.pending[pending].content.as_ref());
        if let Some(content) = pending {
            return Ok(content.clone());
        }
        let row = match self.data.ops.get() {
            Some(ops) => ops
                .get(seq_key(self.shard, live.row.seq_no))
                .map_err(|cause| StoreError::engine("read", "a document", cause))?,
            None => None,
        };
        let op = row.ok_or_else(|| StoreError::Damaged {
            object: format!(
                "operation {} of [{}][{}]",
                live.row.seq_no, self.name, self.shard
            ),
            reason: "missing".to_owned(),
        })?;
        let document = decode_op(live.row.seq_no, &op)?;
        Ok(Content {
            source: Bytes::copy_from_slice(document.source),
            routing: document.routing.map(str::to_owned),
            tail: Bytes::copy_from_slice(document.tail),
        })
    }

    /// Takes the replaced copy out of the counters and queues the new row.
    fn push(
        &mut self,
        id: &'a str,
        is_id_new: bool,
        current: Option<Current>,
        row: IdRow,
        content: Option<Content>,
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
        if !is_id_new {
            self.by_id.insert(id, self.pending.len());
        }
        self.pending.push(Pending {
            id,
            row,
            content,
            kills,
            is_overwritten: false,
        });
    }

    /// Fills the batch with rows and counters; `None` when nothing changed. Each key is in the batch once,
    /// since the engine does not order equal keys within one batch.
    fn finish(
        mut self,
        core: &Core,
        batch: &mut OwnedWriteBatch,
        tombstones: &VecDeque<(u64, String)>,
    ) -> Result<Option<Done>, StoreError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let data = self.data;
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
            if let Some(content) = &pending.content {
                encode_op(
                    &mut row,
                    pending.id,
                    content.routing.as_deref(),
                    pending.row.version,
                    &content.source,
                    &content.tail,
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
            let row = self.data.id_row(self.shard, id)?;
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
        let Some(gone) = self.data.gone.get() else {
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
