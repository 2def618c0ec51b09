//! Opening a store: recovery, comparison with the guard file, removal of leftovers.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::catalogue::{Catalogue, Index, IndexRecord, RECORD_PREFIX};
use super::core::{Core, database_path};
use super::data::{Access, IndexData, RowKind, data_id_of_keyspace, hex, state_key};
use super::guard::{Guard, ShardKey};
use super::keyspaces::Doomed;
use super::purge::Purge;
use super::registry::{REGISTRY_KEY, Registry};
use super::rows::ShardState;
use super::sync::Syncer;
use super::watchdog::Watch;
use super::workers::Worker;
use super::{LostWrites, Store, StoreOptions};
use crate::collections::{
    ALIASES_KEY, AliasRecord, COLLECTION_PREFIX, Collection, CollectionRecord, Collections,
    ShardRecord, Shared, decode_lengths, lengths_key, number_of_key, purge_prefix, shard_prefix,
};
use crate::index::new_uuid;
use crate::search::Contexts;
use crate::{IndexState, StoreError};

/// All journals together; reaching it flushes the oldest memtables.
const JOURNAL_BYTES: u64 = 128 << 20;
const META_MEMTABLE_BYTES: u64 = 4 << 20;
const UUID_KEY: &str = "uuid";

impl Store {
    /// Opens or creates the store in `dir`. One process at a time.
    ///
    /// Leftovers of restores that did not finish are removed. Acknowledged writes that a damaged journal
    /// lost are logged and listed by [`Store::lost_writes`].
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Store, StoreError> {
        std::fs::create_dir_all(dir)
            .map_err(|cause| StoreError::storage("create", dir.display().to_string(), cause))?;
        let path = database_path(dir);
        let db = Database::builder(&path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(|cause| StoreError::engine("open", &path.display().to_string(), cause))?;
        let meta = db
            .keyspace("meta", || {
                KeyspaceCreateOptions::default().max_memtable_size(META_MEMTABLE_BYTES)
            })
            .map_err(|cause| StoreError::engine("open keyspace", "meta", cause))?;
        let guard = Arc::new(Guard::open(dir)?);
        let doomed = Arc::new(Doomed::default());
        let mut recovery = Recovery {
            db: &db,
            meta: &meta,
            guard: &guard,
            doomed: &doomed,
            lost: Vec::new(),
        };
        let mut catalogue = recovery.indices()?;
        catalogue.collections = recovery.collections()?;
        let registry = recovery.registry()?;
        let uuid = recovery.uuid()?;
        recovery.remove_leftovers(&catalogue)?;
        let lost = recovery.lost;

        let watch = Arc::new(Watch::default());
        let contexts = Arc::new(Contexts::default());
        let workers = vec![
            Worker::watchdog(Arc::clone(&watch))?,
            Worker::housekeeper(
                Arc::clone(&guard),
                Arc::clone(&contexts),
                Arc::clone(&doomed),
                db.clone(),
            )?,
        ];
        let core = Core {
            _workers: workers,
            doomed,
            contexts,
            catalogue: RwLock::new(Arc::new(catalogue)),
            registry: RwLock::new(registry),
            changes: Mutex::new(()),
            meta,
            syncer: Syncer::default(),
            watch,
            guard,
            uuid,
            lost,
            options: options.clone(),
            db,
        };
        core.sync()?;
        Ok(Store {
            core: Arc::new(core),
        })
    }
}

struct Recovery<'a> {
    db: &'a Database,
    meta: &'a Keyspace,
    guard: &'a Guard,
    doomed: &'a Arc<Doomed>,
    lost: Vec<LostWrites>,
}

impl Recovery<'_> {
    fn read(&self, key: impl AsRef<[u8]>) -> Result<Option<fjall::Slice>, StoreError> {
        self.meta
            .get(key)
            .map_err(|cause| StoreError::engine("read", "metadata", cause))
    }

    fn insert(
        &self,
        key: impl Into<fjall::Slice>,
        value: impl Into<fjall::Slice>,
    ) -> Result<(), StoreError> {
        self.meta
            .insert(key, value)
            .map_err(|cause| StoreError::engine("write", "metadata", cause))
    }

    fn indices(&mut self) -> Result<Catalogue, StoreError> {
        let mut catalogue = Catalogue::default();
        for row in self.meta.prefix(RECORD_PREFIX) {
            let (key, record) = row
                .into_inner()
                .map_err(|cause| StoreError::engine("read", "index records", cause))?;
            let meta = IndexRecord::decode(&record)?;
            let data_id = parse_data_id(&key[RECORD_PREFIX.len()..], &meta.name)?;
            let states = (0..meta.shards)
                .map(|shard| self.shard_state(&meta.name, &data_id, shard))
                .collect::<Result<_, _>>()?;
            let data = IndexData::open(self.db, self.doomed, RowKind::Documents, data_id, states)?;
            if meta.state == IndexState::Closed {
                data.set_access(Access::Closed);
            }
            catalogue.indices.insert(
                meta.name.clone(),
                Arc::new(Index {
                    meta: Arc::new(meta),
                    data: Arc::new(data),
                }),
            );
        }
        Ok(catalogue)
    }

    fn shard_state(
        &mut self,
        name: &str,
        data_id: &[u8; 16],
        shard: u16,
    ) -> Result<ShardState, StoreError> {
        let key = state_key(data_id, shard);
        let row = self.read(&key)?.ok_or_else(|| StoreError::Damaged {
            object: format!("counters of [{name}][{shard}]"),
            reason: "missing".to_owned(),
        })?;
        let mut state = ShardState::decode(&row)?;
        let acknowledged = self.guard.acknowledged(&(*data_id, shard));
        if acknowledged > state.next_seq_no {
            let lost = LostWrites {
                index: name.to_owned(),
                shard,
                acknowledged_seq_no: acknowledged - 1,
                found_seq_no: state.next_seq_no.checked_sub(1),
            };
            tracing::error!(
                index = %lost.index,
                shard,
                acknowledged_seq_no = lost.acknowledged_seq_no,
                found_seq_no = ?lost.found_seq_no,
                "the journal lost acknowledged writes; check the disk and restore it from a snapshot"
            );
            self.lost.push(lost);
            // The lost numbers will be given to other operations: nothing may be told from them.
            state.history = rand::random();
            self.insert(key, state.encode())?;
            self.guard.reset((*data_id, shard), state.next_seq_no)?;
        }
        Ok(state)
    }

    fn collections(&mut self) -> Result<Collections, StoreError> {
        let mut collections = Collections::default();
        if let Some(aliases) = self.read(ALIASES_KEY)? {
            collections.aliases = Arc::new(AliasRecord::decode(&aliases)?);
        }
        for row in self.meta.prefix(COLLECTION_PREFIX) {
            let (key, record) = row
                .into_inner()
                .map_err(|cause| StoreError::engine("read", "collection records", cause))?;
            let mut meta = CollectionRecord::decode(&record)?;
            let data_id = parse_data_id(&key[COLLECTION_PREFIX.len()..], &meta.name)?;
            let data =
                IndexData::open(self.db, self.doomed, RowKind::Objects, data_id, Vec::new())?;
            let mut shards = Vec::new();
            for (number, record) in self.numbered(shard_prefix(&data_id))? {
                let shard = ShardRecord::decode(number, &record)?;
                let name = format!("{}/{}", meta.name, shard.name);
                data.lock(number).state = self.shard_state(&name, &data_id, number)?;
                shards.push(shard);
            }
            meta.set_shards(shards);
            let collection = Collection {
                meta: Arc::new(meta),
                data: Arc::new(data),
                shared: Arc::new(Shared::default()),
            };
            if let Some(lengths) = self.read(lengths_key(&data_id))? {
                *collection.shared.vector_lengths() = decode_lengths(&lengths)?;
            }
            self.resume_purges(&collection)?;
            let name = collection.meta.name.clone();
            collections.by_name.insert(name, Arc::new(collection));
        }
        Ok(collections)
    }

    /// Rows of a collection that are numbered, ascending.
    fn numbered(&self, prefix: Vec<u8>) -> Result<Vec<(u16, fjall::Slice)>, StoreError> {
        self.meta
            .prefix(prefix)
            .map(|row| {
                let (key, record) = row
                    .into_inner()
                    .map_err(|cause| StoreError::engine("read", "shard records", cause))?;
                Ok((number_of_key(&key)?, record))
            })
            .collect()
    }

    /// Removed tenants whose rows were not all removed yet.
    fn resume_purges(&self, collection: &Collection) -> Result<(), StoreError> {
        let numbers: BTreeSet<u16> = self
            .numbered(purge_prefix(&collection.data.data_id))?
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        if !numbers.is_empty() {
            collection.shared.purged().extend(&numbers);
            self.doomed
                .add_shards(Purge::new(collection, self.meta, numbers));
        }
        Ok(())
    }

    fn registry(&self) -> Result<Registry, StoreError> {
        match self.read(REGISTRY_KEY)? {
            Some(bytes) => Registry::decode(&bytes),
            None => Ok(Registry::default()),
        }
    }

    fn uuid(&self) -> Result<String, StoreError> {
        if let Some(uuid) = self.read(UUID_KEY)? {
            return Ok(String::from_utf8_lossy(&uuid).into_owned());
        }
        let uuid = new_uuid();
        self.insert(UUID_KEY, uuid.as_str())?;
        Ok(uuid)
    }

    /// Documents that nothing refers to: a restore that was not finished, or an index or
    /// collection whose record was already deleted.
    fn remove_leftovers(&self, catalogue: &Catalogue) -> Result<(), StoreError> {
        let mut known: HashSet<ShardKey> = HashSet::new();
        for index in catalogue.indices.values() {
            known.extend((0..index.meta.shards).map(|shard| (index.data.data_id, shard)));
        }
        let collections = catalogue.collections.by_name.values();
        let mut known_hex: HashSet<String> = catalogue
            .indices
            .values()
            .map(|index| hex(&index.data.data_id))
            .collect();
        for collection in collections {
            let data_id = collection.data.data_id;
            let shards = collection.meta.shards.iter();
            known.extend(shards.map(|shard| (data_id, shard.number)));
            known_hex.insert(hex(&data_id));
        }
        for name in self.db.list_keyspace_names() {
            if data_id_of_keyspace(&name).is_none_or(|id| known_hex.contains(id)) {
                continue;
            }
            tracing::info!(keyspace = %&*name, "removing documents that nothing refers to");
            self.db
                .keyspace(&name, KeyspaceCreateOptions::default)
                .and_then(|keyspace| self.db.delete_keyspace(keyspace))
                .map_err(|cause| StoreError::engine("remove", &name, cause))?;
        }
        self.guard.retain(|shard| known.contains(shard))
    }
}

fn parse_data_id(text: &[u8], index: &str) -> Result<[u8; 16], StoreError> {
    let damaged = || StoreError::Damaged {
        object: format!("key of index record [{index}]"),
        reason: "not 32 hexadecimal digits".to_owned(),
    };
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    let number = u128::from_str_radix(text, 16).map_err(|_| damaged())?;
    Ok(number.to_be_bytes())
}
