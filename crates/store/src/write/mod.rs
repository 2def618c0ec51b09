//! Writing documents: operations are checked and mapped without locks, then numbered and committed under
//! the locks of their shards, then synced together with other writers.

pub(crate) mod batch;
mod conflict;
mod merge;
mod op;
mod prepare;
mod shard;

pub use op::{Update, VersionType, WriteKind, WriteOp, WriteOptions, WriteOutcome, WriteResult};

use crate::StoreError;
use crate::store::{Core, check_readable};
use prepare::{Preparation, Prepared};
use shard::IndexShard;

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

/// One batch for all shards.
fn commit(
    core: &Core,
    preparation: &Preparation<'_>,
    prepared: &[Prepared],
    outcomes: &mut [Option<Result<WriteOutcome, StoreError>>],
) -> Result<(), StoreError> {
    let groups = batch::group(prepared, |op| {
        let index = preparation.target(op);
        (&*index.data, index.meta.name.as_str(), op.shard)
    });
    batch::commit(core, &groups, |batch, group| {
        let Some(index) = group.ops.first().map(|op| preparation.target(op)) else {
            return;
        };
        // Asked under the lock: an index that is being closed waits for it.
        let access = check_readable(index);
        for op in &group.ops {
            let outcome = match &access {
                Ok(()) => IndexShard { index, batch }.apply(op),
                Err(error) => Err(error.clone()),
            };
            outcomes[op.position] = Some(outcome);
        }
    })
}

#[cfg(test)]
mod tests;
