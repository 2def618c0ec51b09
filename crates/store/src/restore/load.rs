//! Loading documents past the journal: buffered, sorted, and written as ready tables.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fjall::Database;

use super::{RestoredDocument, ShardProof};
use crate::store::IndexData;
use crate::store::rows::{IdRow, ShardState, encode_op, id_key, seq_key};
use crate::{StoreError, document_hash};

/// Bytes of documents buffered for all shards together, besides those being written.
const BUFFERED_BYTES: usize = 32 << 20;
/// Id rows buffered for all shards together (about 100 bytes each).
const BUFFERED_IDS: usize = 128 << 10;

/// The shards of an index or a collection being loaded. They share their buffers, so that a thousand small
/// tenants make a few tables, not a thousand.
pub(crate) struct Loader {
    buffer: Mutex<Buffer>,
    /// By shard.
    loaded: Vec<Mutex<Loaded>>,
}

/// What a shard was given so far.
#[derive(Default, Clone, Copy)]
struct Loaded {
    /// Counters of what is stored.
    state: ShardState,
    /// Digest of what was given; that of the state unless documents were changed on the way.
    given: u128,
}

/// Gives the source that is stored instead of the given one; none to keep it.
pub(crate) type Change<'a> =
    dyn Fn(&RestoredDocument) -> Result<Option<Vec<u8>>, StoreError> + Sync + 'a;

#[derive(Default)]
struct Buffer {
    documents: Vec<(u16, RestoredDocument)>,
    document_bytes: usize,
    ids: Vec<(Vec<u8>, IdRow)>,
}

impl Loader {
    /// For shards 0 to `shards - 1`.
    pub(crate) fn new(shards: u16) -> Self {
        Loader {
            buffer: Mutex::default(),
            loaded: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes documents; the thread that fills a buffer writes it. `name` is for messages.
    pub(crate) fn load(
        &self,
        db: &Database,
        data: &IndexData,
        name: &str,
        shard: u16,
        documents: Vec<RestoredDocument>,
    ) -> Result<(), StoreError> {
        self.load_changed(db, data, name, shard, documents, &|_| Ok(None))
    }

    /// Like [`Self::load`], changing documents between the proof and the store.
    pub(crate) fn load_changed(
        &self,
        db: &Database,
        data: &IndexData,
        name: &str,
        shard: u16,
        mut documents: Vec<RestoredDocument>,
        change: &Change<'_>,
    ) -> Result<(), StoreError> {
        let Some(loaded) = self.loaded.get(usize::from(shard)) else {
            return Err(StoreError::illegal(format!(
                "shard [{shard}] of [{name}] does not exist"
            )));
        };
        let mut bytes = 0;
        let mut part = ShardState::default();
        let mut given = 0u128;
        let mut ids = Vec::with_capacity(documents.len());
        for document in &mut documents {
            let mut hash = hash_of(document);
            given = given.wrapping_add(hash);
            if let Some(changed) = change(document)? {
                document.source = changed;
                hash = hash_of(document);
            }
            let stored_bytes = document.source.len() + document.tail.len();
            let row = IdRow {
                seq_no: document.seq_no,
                version: document.version,
                hash,
                source_bytes: stored_bytes as u32,
                deleted_ms: None,
            };
            ids.push((id_key(shard, &document.id), row));
            bytes += stored_bytes + document.id.len() + size_of::<RestoredDocument>();
            part.live += 1;
            part.digest = part.digest.wrapping_add(hash);
            part.source_bytes += u64::from(row.source_bytes);
            part.next_seq_no = part.next_seq_no.max(document.seq_no.saturating_add(1));
        }
        {
            let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.given = loaded.given.wrapping_add(given);
            let state = &mut loaded.state;
            state.live += part.live;
            state.digest = state.digest.wrapping_add(part.digest);
            state.source_bytes += part.source_bytes;
            state.next_seq_no = state.next_seq_no.max(part.next_seq_no);
        }
        let (full_documents, full_ids) = {
            let mut buffer = self.lock();
            buffer
                .documents
                .extend(documents.into_iter().map(|document| (shard, document)));
            buffer.document_bytes += bytes;
            buffer.ids.extend(ids);
            (
                buffer.take_documents(BUFFERED_BYTES),
                buffer.take_ids(BUFFERED_IDS),
            )
        };
        write_documents(db, data, full_documents)?;
        write_ids(db, data, full_ids)
    }

    /// Writes what is left, compares with the proofs, and returns the counters of the shards. `name` is for
    /// messages.
    pub(crate) fn finish(
        &self,
        db: &Database,
        data: &IndexData,
        name: &str,
        expected: &[ShardProof],
    ) -> Result<Vec<ShardState>, StoreError> {
        let (documents, ids) = {
            let mut buffer = self.lock();
            (buffer.take_documents(0), buffer.take_ids(0))
        };
        write_documents(db, data, documents)?;
        write_ids(db, data, ids)?;
        if expected.len() != self.loaded.len() {
            let reason = format!(
                "{} shards expected, {} loaded",
                expected.len(),
                self.loaded.len()
            );
            return Err(mismatch(name, 0, reason));
        }
        let mut states = Vec::with_capacity(expected.len());
        for (shard, (loaded, proof)) in self.loaded.iter().zip(expected).enumerate() {
            let loaded = *loaded.lock().unwrap_or_else(PoisonError::into_inner);
            verify(name, shard as u16, &loaded, proof)?;
            states.push(ShardState {
                // Operations before the restore are of another history and cannot be told from here.
                gone_floor: loaded.state.next_seq_no,
                ..loaded.state
            });
        }
        Ok(states)
    }
}

fn hash_of(document: &RestoredDocument) -> u128 {
    document_hash(
        &document.id,
        document.routing.as_deref(),
        document.version,
        document.seq_no,
        &document.source,
        &document.tail,
    )
}

fn verify(name: &str, shard: u16, loaded: &Loaded, proof: &ShardProof) -> Result<(), StoreError> {
    let live = loaded.state.live;
    if live != proof.live {
        let reason = format!("{} documents expected, {live} loaded", proof.live);
        return Err(mismatch(name, shard, reason));
    }
    if loaded.given != proof.digest {
        let reason = format!(
            "digest {:032x} expected, {:032x} loaded",
            proof.digest, loaded.given
        );
        return Err(mismatch(name, shard, reason));
    }
    Ok(())
}

fn mismatch(name: &str, shard: u16, reason: String) -> StoreError {
    StoreError::ProofMismatch {
        index: name.to_owned(),
        shard,
        reason,
    }
}

impl Buffer {
    fn take_documents(&mut self, at_bytes: usize) -> Vec<(u16, RestoredDocument)> {
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
    mut documents: Vec<(u16, RestoredDocument)>,
) -> Result<(), StoreError> {
    if documents.is_empty() {
        return Ok(());
    }
    documents.sort_unstable_by_key(|(shard, document)| (*shard, document.seq_no));
    // The engine demands strictly ascending keys.
    if documents
        .windows(2)
        .any(|pair| (pair[0].0, pair[0].1.seq_no) == (pair[1].0, pair[1].1.seq_no))
    {
        return Err(twice("sequence number"));
    }
    let failed = |cause| StoreError::engine("load", "documents", cause);
    let mut ingestion = data.ops.make(db)?.start_ingestion().map_err(failed)?;
    let mut row = Vec::new();
    for (shard, document) in &documents {
        encode_op(
            &mut row,
            &document.id,
            document.routing.as_deref(),
            document.version,
            &document.source,
            &document.tail,
        );
        ingestion
            .write(seq_key(*shard, document.seq_no), row.as_slice())
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
