//! Documents: write and get.

use fjall::Readable;

use super::data::{IndexData, route};
use super::rows::{IdRow, decode_op, id_key, seq_key};
use super::{Access, Index, Store};
use crate::{Document, IndexState, StoreError, WriteOp, WriteOptions, WriteOutcome};

impl Store {
    /// Performs the operations in order as one durable batch (one sync) and tells each outcome. All that
    /// succeed are on disk together when this returns.
    pub fn write(
        &self,
        ops: Vec<WriteOp>,
        options: &WriteOptions,
    ) -> Vec<Result<WriteOutcome, StoreError>> {
        crate::write::write(&self.core, ops, options)
    }

    /// One document by index (or alias of one index), id and routing. Sees every acknowledged write.
    pub fn get(
        &self,
        index: &str,
        id: &str,
        routing: Option<&str>,
    ) -> Result<Option<Document>, StoreError> {
        let catalogue = self.core.catalogue();
        let index = catalogue.read_target(index)?;
        check_readable(index)?;
        let shard = route(id, routing, index.meta.shards);
        get_at(&self.core.db.snapshot(), &index.data, shard, id)
    }
}

/// One document as a snapshot shows it. The id and the document are two rows, so both are read at the
/// same moment: else an overwrite in between would make the document seem missing.
pub(crate) fn get_at(
    snapshot: &fjall::Snapshot,
    data: &IndexData,
    shard: u16,
    id: &str,
) -> Result<Option<Document>, StoreError> {
    let failed = |cause| StoreError::engine("read", "a document", cause);
    let (Some(ids), Some(ops)) = (data.ids.get(), data.ops.get()) else {
        return Ok(None);
    };
    let Some(row) = snapshot.get(ids, id_key(shard, id)).map_err(failed)? else {
        return Ok(None);
    };
    let row = IdRow::decode(&row)?;
    if row.deleted_ms.is_some() {
        return Ok(None);
    }
    let op = snapshot
        .get(ops, seq_key(shard, row.seq_no))
        .map_err(failed)?
        .ok_or_else(|| StoreError::Damaged {
            object: format!("document [{id}]"),
            reason: format!("operation {} is missing", row.seq_no),
        })?;
    Ok(Some(decode_op(row.seq_no, &op)?.to_owned()))
}

/// Refuses closed and restoring indices.
pub(crate) fn check_readable(index: &Index) -> Result<(), StoreError> {
    let (name, uuid) = (index.meta.name.clone(), index.meta.uuid.clone());
    match (index.meta.state, index.data.access()) {
        (IndexState::Restoring, _) => Err(StoreError::IndexRestoring { name, uuid }),
        (IndexState::Closed, _) | (_, Access::Closed) => {
            Err(StoreError::IndexClosed { name, uuid })
        }
        (_, Access::Deleted) => Err(StoreError::IndexNotFound { name }),
        (IndexState::Open, Access::Open) => Ok(()),
    }
}
