//! Loading documents past the journal: buffered, sorted, and written as ready tables.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fjall::Database;

use super::RestoredDocument;
use crate::store::IndexData;
use crate::store::rows::{IdRow, ShardState, encode_op, id_key, seq_key};
use crate::{StoreError, document_hash};

/// Bytes of documents buffered for all shards together, besides those being written.
const BUFFERED_BYTES: usize = 32 << 20;
/// Id rows buffered for all shards together (about 100 bytes each).
const BUFFERED_IDS: usize = 128 << 10;

/// One shard being loaded.
#[derive(Default)]
pub(super) struct ShardLoader {
    buffer: Mutex<Buffer>,
}

#[derive(Default)]
struct Buffer {
    documents: Vec<RestoredDocument>,
    document_bytes: usize,
    ids: Vec<(Vec<u8>, IdRow)>,
    /// Counters of everything given so far.
    state: ShardState,
}

impl ShardLoader {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes documents; the thread that fills a buffer writes it.
    pub(super) fn load(
        &self,
        db: &Database,
        data: &IndexData,
        shard: u16,
        documents: Vec<RestoredDocument>,
    ) -> Result<(), StoreError> {
        let mut bytes = 0;
        let mut part = ShardState::default();
        let mut ids = Vec::with_capacity(documents.len());
        for document in &documents {
            let hash = document_hash(
                &document.id,
                document.routing.as_deref(),
                document.version,
                document.seq_no,
                &document.source,
            );
            let row = IdRow {
                seq_no: document.seq_no,
                version: document.version,
                hash,
                source_bytes: document.source.len() as u32,
                deleted_ms: None,
            };
            ids.push((id_key(shard, &document.id), row));
            bytes += document.source.len() + document.id.len() + size_of::<RestoredDocument>();
            part.live += 1;
            part.digest = part.digest.wrapping_add(hash);
            part.source_bytes += u64::from(row.source_bytes);
            part.next_seq_no = part.next_seq_no.max(document.seq_no + 1);
        }
        let shards = data.shards.len().max(1);
        let (full_documents, full_ids) = {
            let mut buffer = self.lock();
            let state = &mut buffer.state;
            state.live += part.live;
            state.digest = state.digest.wrapping_add(part.digest);
            state.source_bytes += part.source_bytes;
            state.next_seq_no = state.next_seq_no.max(part.next_seq_no);
            buffer.documents.extend(documents);
            buffer.document_bytes += bytes;
            buffer.ids.extend(ids);
            (
                buffer.take_documents(BUFFERED_BYTES / shards),
                buffer.take_ids(BUFFERED_IDS / shards),
            )
        };
        write_documents(db, data, shard, full_documents)?;
        write_ids(db, data, full_ids)
    }

    /// Writes what is left and returns the counters of everything.
    pub(super) fn finish(
        &self,
        db: &Database,
        data: &IndexData,
        shard: u16,
    ) -> Result<ShardState, StoreError> {
        let (documents, ids, state) = {
            let mut buffer = self.lock();
            (buffer.take_documents(0), buffer.take_ids(0), buffer.state)
        };
        write_documents(db, data, shard, documents)?;
        write_ids(db, data, ids)?;
        Ok(state)
    }
}

impl Buffer {
    fn take_documents(&mut self, at_bytes: usize) -> Vec<RestoredDocument> {
        if self.document_bytes < at_bytes {
            return Vec::new();
        }
        self.document_bytes = 0;
        std::mem::take(&mut self.documents)
    }

    fn take_ids(&mut self, at_rows: usize) -> Vec<(Vec<u8>, IdRow)> {
        if self.ids.len() < at_rows {
            return Vec::new();
        }
        std::mem::take(&mut self.ids)
    }
}

fn write_documents(
    db: &Database,
    data: &IndexData,
    shard: u16,
    mut documents: Vec<RestoredDocument>,
) -> Result<(), StoreError> {
    if documents.is_empty() {
        return Ok(());
    }
    documents.sort_unstable_by_key(|document| document.seq_no);
    // The engine demands strictly ascending keys.
    if documents
        .windows(2)
        .any(|pair| pair[0].seq_no == pair[1].seq_no)
    {
        return Err(twice("sequence number"));
    }
    let failed = |cause| StoreError::engine("load", "documents", cause);
    let mut ingestion = data.ops.make(db)?.start_ingestion().map_err(failed)?;
    let mut row = Vec::new();
    for document in &documents {
        encode_op(
            &mut row,
            &document.id,
            document.routing.as_deref(),
            document.version,
            &document.source,
        );
        ingestion
            .write(seq_key(shard, document.seq_no), row.as_slice())
            .map_err(failed)?;
    }
    ingestion.finish().map_err(failed)
}

fn write_ids(
    db: &Database,
    data: &IndexData,
    mut ids: Vec<(Vec<u8>, IdRow)>,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    ids.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    if ids.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(twice("id"));
    }
    let failed = |cause| StoreError::engine("load", "ids", cause);
    let mut ingestion = data.ids.make(db)?.start_ingestion().map_err(failed)?;
    for (key, row) in ids {
        ingestion.write(key, row.encode()).map_err(failed)?;
    }
    ingestion.finish().map_err(failed)
}

fn twice(what: &str) -> StoreError {
    StoreError::Damaged {
        object: "documents to restore".to_owned(),
        reason: format!("the same {what} comes twice"),
    }
}
