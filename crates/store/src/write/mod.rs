//! Writing documents: operations are checked and mapped without locks, then numbered and committed under
//! the locks of their shards, then synced together with other writers.

mod conflict;
mod merge;
mod op;
mod prepare;
mod shard;

pub use op::{Update, VersionType, WriteKind, WriteOp, WriteOptions, WriteOutcome, WriteResult};

use std::collections::BTreeMap;

use crate::StoreError;
use crate::store::{Core, check_readable, now_ms};
use prepare::{Preparation, Prepared};
use shard::ShardBatch;

/// Answers of a bulk request, by position.
type Outcomes = Vec<Result<WriteOutcome, StoreError>>;

/// Performs operations in order; see [`crate::Store::write`].
pub(crate) fn write(core: &Core, ops: Vec<WriteOp>, options: &WriteOptions) -> Outcomes {
    let mut outcomes: Vec<Option<Result<WriteOutcome, StoreError>>> = Vec::new();
    outcomes.resize_with(ops.len(), || None);
    let mut preparation = Preparation::new(core, *options);
    let mut prepared: Vec<Prepared> = Vec::with_capacity(ops.len());
    for (position, op) in ops.into_iter().enumerate() {
        match preparation.prepare(position, op) {
            Ok(op) => prepared.push(op),
            Err(error) => outcomes[position] = Some(Err(error)),
        }
    }
    if let Err(error) = commit(core, &preparation, &prepared, &mut outcomes) {
        for op in &prepared {
            outcomes[op.position] = Some(Err(error.clone()));
        }
    }
    let unanswered = || StoreError::illegal("the operation was not performed");
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|| Err(unanswered())))
        .collect()
}

/// One batch for all shards. On an error nothing was written that will be acknowledged.
fn commit(
    core: &Core,
    preparation: &Preparation<'_>,
    prepared: &[Prepared],
    outcomes: &mut [Option<Result<WriteOutcome, StoreError>>],
) -> Result<(), StoreError> {
    // Ordered by shard, so that two writers lock the same shards in the same order.
    let mut groups: BTreeMap<([u8; 16], u16), Vec<&Prepared>> = BTreeMap::new();
    for op in prepared {
        let data = &preparation.target(op).data;
        groups.entry((data.data_id, op.shard)).or_default().push(op);
    }
    let mut acknowledgements = Vec::with_capacity(groups.len());
    {
        let mut locked = Vec::with_capacity(groups.len());
        for (key, ops) in &groups {
            let Some(index) = ops.first().map(|op| preparation.target(op)) else {
                continue;
            };
            let writer = index.data.lock(key.1);
            locked.push((*key, index, ops, writer));
        }
        let now = now_ms();
        let mut batch = core.batch();
        let mut committed = Vec::with_capacity(locked.len());
        for (key, index, ops, writer) in &locked {
            // Asked under the lock: an index that is being closed waits for it.
            if let Err(error) = check_readable(index) {
                for op in ops.iter() {
                    outcomes[op.position] = Some(Err(error.clone()));
                }
                continue;
            }
            let mut shard = ShardBatch::new(index, key.1, writer.state, now);
            for op in ops.iter() {
                outcomes[op.position] = Some(shard.apply(op));
            }
            if let Some(done) = shard.finish(core, &mut batch, &writer.tombstones)? {
                committed.push((*key, done));
            }
        }
        core.commit(batch)?;
        let mut committed = committed.into_iter().peekable();
        for (key, _, _, writer) in &mut locked {
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

#[cfg(test)]
mod tests;
