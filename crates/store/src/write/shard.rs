//! What an index's operations do to its shard, and their outcomes.

use bytes::Bytes;

use super::batch::{Content, Current, ShardBatch};
use super::conflict::conflict;
use super::merge::merge;
use super::prepare::Prepared;
use super::{Update, WriteKind, WriteOutcome, WriteResult};
use crate::StoreError;
use crate::error::VersionConflict;
use crate::store::Index;
use crate::store::rows::IdRow;

/// One shard of an index while it is being written.
pub(super) struct IndexShard<'b, 'a> {
    pub(super) index: &'a Index,
    pub(super) batch: &'b mut ShardBatch<'a>,
}

impl<'a> IndexShard<'_, 'a> {
    /// Applies one operation.
    pub(super) fn apply(&mut self, op: &'a Prepared) -> Result<WriteOutcome, StoreError> {
        let current = if op.is_id_new {
            None
        } else {
            self.batch.current(&op.id)?
        };
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
            shard: self.batch.shard(),
            id: id.to_owned(),
            reason: format!("[{id}]: {reason}"),
        }))
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
        let is_update = current.as_ref().is_some_and(Current::is_live);
        let content = Content {
            source,
            routing,
            tail: Bytes::new(),
        };
        let row = self
            .batch
            .put(&op.id, op.is_id_new, current, version, content);
        let result = if is_update {
            WriteResult::Updated
        } else {
            WriteResult::Created
        };
        self.outcome(op, row, result)
    }

    fn delete(&mut self, op: &'a Prepared, current: Option<Current>) -> WriteOutcome {
        let was_live = current.as_ref().is_some_and(Current::is_live);
        let version = Self::next_version(op, current.as_ref());
        let row = self.batch.delete(&op.id, current, version);
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
                    shard: self.batch.shard(),
                    id: op.id.clone(),
                }),
            };
        };
        let row = live.row;
        let stored = self.batch.read(live)?;
        let routing = op.op.routing.clone().or(stored.routing);
        let Some(doc) = &update.doc else {
            return Ok(self.outcome(op, row, WriteResult::Noop));
        };
        let merged = merge(&stored.source, doc).map_err(|cause| StoreError::MapperParsing {
            reason: "failed to parse".to_owned(),
            cause: Some(cause.to_string()),
        })?;
        if update.detect_noop && !merged.is_changed {
            return Ok(self.outcome(op, row, WriteResult::Noop));
        }
        Ok(self.put(op, current, merged.source.into(), routing))
    }

    fn outcome(&self, op: &Prepared, row: IdRow, result: WriteResult) -> WriteOutcome {
        WriteOutcome {
            index: self.index.meta.name.clone(),
            id: op.id.clone(),
            version: row.version,
            seq_no: row.seq_no,
            primary_term: 1,
            result,
            shard: self.batch.shard(),
        }
    }
}
