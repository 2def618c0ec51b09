//! The documents of one index or collection: three keyspaces and the counters of its shards.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};

use fjall::{Database, Keyspace};

use super::keyspaces::{Doomed, Layout, LazyKeyspace};
use super::rows::{IdRow, ShardState, id_key};
use super::writers::{ShardWriter, ShardWriters};
use crate::StoreError;
use crate::index::KnownFields;

/// Memtables: at most five of each (one active, four sealed) before writers wait.
const OPS_MEMTABLE_BYTES: u64 = 16 << 20;
/// Blocks are large because documents are mostly read by scans.
const DOCUMENTS: Layout = Layout {
    block_bytes: 32 << 10,
    memtable_bytes: OPS_MEMTABLE_BYTES,
    is_compressed: true,
};
/// Objects are listed by id as well, one block for each. Vectors do not compress; not trying doubles the
/// rate of a load.
const OBJECTS: Layout = Layout {
    block_bytes: 16 << 10,
    memtable_bytes: OPS_MEMTABLE_BYTES,
    is_compressed: false,
};
const IDS: Layout = Layout {
    block_bytes: 8 << 10,
    memtable_bytes: 8 << 20,
    is_compressed: true,
};
const GONE: Layout = Layout {
    block_bytes: 32 << 10,
    memtable_bytes: 4 << 20,
    is_compressed: true,
};

/// Most field hashes remembered per index, 8 bytes each.
const MAX_KNOWN_FIELDS: usize = 50_000;

/// Every keyspace of documents is named `d.<data id in hex>.<kind>`.
const PREFIX: &str = "d.";

/// What may be done with the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Open = 0,
    Closed = 1,
    Deleted = 2,
}

/// What the rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// An index.
    Documents,
    /// A collection.
    Objects,
}

/// Documents of an index or a collection. Its data id differs from the UUID, since a restore may replace the
/// documents under the same UUID.
pub(crate) struct IndexData {
    pub(crate) data_id: [u8; 16],
    pub(crate) ops: LazyKeyspace,
    pub(crate) ids: LazyKeyspace,
    pub(crate) gone: LazyKeyspace,
    /// One for each shard number in use, and perhaps for some that are not.
    pub(crate) shards: ShardWriters,
    /// Field paths and types that the mapping already covers.
    known_fields: RwLock<Arc<KnownFields>>,
    access: AtomicU8,
    /// Delete the keyspaces when the last user is gone.
    is_doomed: AtomicBool,
    doomed: Arc<Doomed>,
}

impl IndexData {
    /// The documents of a new index (none), or of an existing one, with the counters of shards 0, 1, ….
    pub(crate) fn open(
        db: &Database,
        doomed: &Arc<Doomed>,
        kind: RowKind,
        data_id: [u8; 16],
        states: Vec<ShardState>,
    ) -> Result<Self, StoreError> {
        let keyspace = |name, layout| LazyKeyspace::new(db, keyspace_name(&data_id, name), layout);
        let ops = match kind {
            RowKind::Documents => DOCUMENTS,
            RowKind::Objects => OBJECTS,
        };
        Ok(IndexData {
            data_id,
            ops: keyspace("ops", ops)?,
            ids: keyspace("ids", IDS)?,
            gone: keyspace("gone", GONE)?,
            shards: ShardWriters::new(states),
            known_fields: RwLock::default(),
            access: AtomicU8::new(Access::Open as u8),
            is_doomed: AtomicBool::new(false),
            doomed: Arc::clone(doomed),
        })
    }

    /// The shard's write lock. A panic of a writer cannot leave half-made counters: they are assigned
    /// once, after the commit.
    pub(crate) fn lock(&self, shard: u16) -> MutexGuard<'_, ShardWriter> {
        self.shards
            .get(shard)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the writers under way, then changes what later ones may do.
    pub(crate) fn set_access(&self, access: Access) {
        let _writers: Vec<_> = (0..self.shards.len())
            .map(|shard| self.lock(shard))
            .collect();
        self.access.store(access as u8, Ordering::Release);
    }

    pub(crate) fn access(&self) -> Access {
        match self.access.load(Ordering::Acquire) {
            0 => Access::Open,
            1 => Access::Closed,
            _ => Access::Deleted,
        }
    }

    /// Field hashes that need no further look.
    pub(crate) fn known_fields(&self) -> Arc<KnownFields> {
        Arc::clone(
            &self
                .known_fields
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Adds to them; starts over when documents have brought absurdly many.
    pub(crate) fn add_known_fields(&self, hashes: &[u64]) {
        let mut known = self
            .known_fields
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let fields = Arc::make_mut(&mut known);
        if fields.len() > MAX_KNOWN_FIELDS {
            fields.clear();
        }
        fields.extend(hashes);
    }

    /// After a change of the mapping every field is looked at again.
    pub(crate) fn forget_known_fields(&self) {
        *self
            .known_fields
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Deletes the files once no view uses them any more.
    pub(crate) fn doom(&self) {
        self.is_doomed.store(true, Ordering::Release);
    }

    /// Key of a shard's counters in the `meta` keyspace.
    pub(crate) fn state_key(&self, shard: u16) -> Vec<u8> {
        state_key(&self.data_id, shard)
    }

    /// Newest row of an id, deleted or not.
    pub(crate) fn id_row(&self, shard: u16, id: &str) -> Result<Option<IdRow>, StoreError> {
        let Some(ids) = self.ids.get() else {
            return Ok(None);
        };
        let row = ids
            .get(id_key(shard, id))
            .map_err(|cause| StoreError::engine("read", "an id", cause))?;
        row.map(|row| IdRow::decode(&row)).transpose()
    }

    /// Bytes on disk of all three keyspaces.
    pub(crate) fn disk_bytes(&self) -> u64 {
        [&self.ops, &self.ids, &self.gone]
            .into_iter()
            .filter_map(LazyKeyspace::get)
            .map(Keyspace::disk_space)
            .sum()
    }
}

impl Drop for IndexData {
    fn drop(&mut self) {
        if self.is_doomed.load(Ordering::Acquire) {
            for keyspace in [&self.ops, &self.ids, &self.gone] {
                self.doomed.add(keyspace);
            }
        }
    }
}

/// Key of a shard's counters in the `meta` keyspace.
pub(crate) fn state_key(data_id: &[u8; 16], shard: u16) -> Vec<u8> {
    let mut key = b"shard/".to_vec();
    key.extend_from_slice(data_id);
    key.push(b'/');
    key.extend_from_slice(&shard.to_be_bytes());
    key
}

fn keyspace_name(data_id: &[u8; 16], kind: &str) -> String {
    format!("{PREFIX}{}.{kind}", hex(data_id))
}

/// The data id in a keyspace's name, if it holds documents.
pub(crate) fn data_id_of_keyspace(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.split('.').next()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The shard of a document: XXH3-64 of its routing (its id, when it has none) modulo the shards. Stored
/// documents depend on it: never change it.
pub(crate) fn route(id: &str, routing: Option<&str>, shards: u16) -> u16 {
    let key = routing.unwrap_or(id).as_bytes();
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(shards.max(1))) as u16
}
