//! Removing the rows of removed tenants, in the background and in small batches.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Weak};

use fjall::{Database, Keyspace};

use super::data::{Access, IndexData};
use super::guard::Guard;
use super::rows::seq_key;
use crate::StoreError;
use crate::collections::{Collection, Shared, purge_key};

/// Most rows removed by one batch.
const ROWS_PER_BATCH: usize = 10_000;

/// Removed tenants of one collection. Until their rows are gone, a mark for each in the `meta` keyspace says
/// so, and their numbers are not given again.
pub(crate) struct Purge {
    data: Weak<IndexData>,
    shared: Arc<Shared>,
    meta: Keyspace,
    numbers: BTreeSet<u16>,
}

impl Purge {
    pub(crate) fn new(collection: &Collection, meta: &Keyspace, numbers: BTreeSet<u16>) -> Self {
        Purge {
            data: Arc::downgrade(&collection.data),
            shared: Arc::clone(&collection.shared),
            meta: meta.clone(),
            numbers,
        }
    }

    /// Removes all rows. After a failure or a crash the marks are still there, and the next open goes on.
    pub(super) fn run(&self, db: &Database, guard: &Guard) -> Result<(), StoreError> {
        let Some(data) = self.data.upgrade() else {
            return Ok(());
        };
        if data.access() == Access::Deleted {
            return Ok(());
        }
        for keyspace in [&data.ops, &data.ids, &data.gone] {
            let Some(keyspace) = keyspace.get() else {
                continue;
            };
            for &number in &self.numbers {
                remove_rows(db, keyspace, number)?;
            }
        }
        guard.forget(
            &data.data_id,
            &self.numbers.iter().copied().collect::<HashSet<_>>(),
        )?;
        let mut batch = db.batch();
        for &number in &self.numbers {
            batch.remove(&self.meta, purge_key(&data.data_id, number));
        }
        commit(batch)?;
        self.shared
            .purged()
            .retain(|number| !self.numbers.contains(number));
        Ok(())
    }
}

fn remove_rows(db: &Database, keyspace: &Keyspace, number: u16) -> Result<(), StoreError> {
    let end = seq_key(number + 1, 0)[..2].to_vec();
    let mut start = seq_key(number, 0)[..2].to_vec();
    loop {
        let mut batch = db.batch();
        let mut last = None;
        for row in keyspace
            .range(start.clone()..end.clone())
            .take(ROWS_PER_BATCH)
        {
            let key = row
                .key()
                .map_err(|cause| StoreError::engine("read", "rows of a removed tenant", cause))?;
            batch.remove(keyspace, key.clone());
            last = Some(key);
        }
        let Some(last) = last else {
            return Ok(());
        };
        commit(batch)?;
        // The next batch begins behind it, so that it does not pass over the removed rows again.
        start = last.to_vec();
        start.push(0);
    }
}

fn commit(batch: fjall::OwnedWriteBatch) -> Result<(), StoreError> {
    batch
        .commit()
        .map_err(|cause| StoreError::engine("remove", "rows of a removed tenant", cause))
}
