//! Loading collections from a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::catalogue::{ALIASES_KEY, AliasRecord, Collection, Shared, encode_lengths, lengths_key};
use super::codec::Stored;
use super::manage::{drop_data, insert_records, remove_records};
use super::references::{References, Renamed, rename_in_class};
use super::{CollectionMeta, TenantStatus};
use crate::restore::{Loader, RestoredDocument, ShardProof};
use crate::store::rows::ShardState;
use crate::store::{Access, Catalogue, Core, IndexData, RowKind, new_state, now_ms};
use crate::{Store, StoreError};

/// What to restore.
#[derive(Debug, Clone)]
pub struct CollectionRestore {
    /// Target name.
    pub name: String,
    /// The class, kept verbatim.
    pub class: Value,
    /// Whether the shards are tenants.
    pub multi_tenant: bool,
    /// Names and statuses; a shard's position here is its number in the calls of the target. Without
    /// tenants the order must be that of the captured collection's numbers.
    pub shards: Vec<(String, TenantStatus)>,
    /// Aliases to give. One that another collection has is left alone, unless `overwrite_aliases`; one that
    /// is the name of a collection always is.
    pub aliases: Vec<String>,
    /// Take aliases from other collections.
    pub overwrite_aliases: bool,
    /// Replace a collection of that name: it stays as it is until the end and is dropped then.
    pub replace_existing: bool,
    /// Creation time in milliseconds since 1970; `None`: now.
    pub created_ms: Option<i64>,
}

impl Store {
    /// Starts loading collections; unseen, with their names reserved, until all are finished together.
    /// References to the old names in `renamed`, in classes and objects, lead to the new ones afterwards.
    pub fn begin_collections_restore(
        &self,
        restores: Vec<CollectionRestore>,
        renamed: &BTreeMap<String, String>,
    ) -> Result<CollectionsRestoreTarget, StoreError> {
        CollectionsRestoreTarget::begin(Arc::clone(&self.core), restores, renamed)
    }
}

/// Collections being loaded, under new UUIDs. Dropping it aborts: nothing stays behind. After a crash the
/// same holds at the next open.
pub struct CollectionsRestoreTarget {
    core: Arc<Core>,
    staged: Vec<Staged>,
    is_finished: bool,
}

struct Staged {
    restore: CollectionRestore,
    meta: Arc<CollectionMeta>,
    data: Arc<IndexData>,
    loader: Loader,
    /// Where something is renamed.
    references: Option<References>,
    /// Dimensions of the vectors loaded so far.
    vector_lengths: Mutex<BTreeMap<String, u32>>,
}

impl fmt::Debug for CollectionsRestoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.staged.iter().map(|staged| &staged.meta.name);
        f.debug_list().entries(names).finish()
    }
}

impl CollectionsRestoreTarget {
    fn begin(
        core: Arc<Core>,
        restores: Vec<CollectionRestore>,
        renamed: &Renamed,
    ) -> Result<Self, StoreError> {
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let mut restoring = (*catalogue.collections.restoring).clone();
        let mut staged = Vec::with_capacity(restores.len());
        for mut restore in restores {
            check_name(&catalogue, &restoring, &restore)?;
            restoring.insert(restore.name.clone());
            let mut class = restore.class.take();
            let references = References::new(&class, renamed);
            rename_in_class(&mut class, renamed);
            let meta = CollectionMeta::new(
                restore.name.clone(),
                class,
                restore.multi_tenant,
                restore.created_ms.unwrap_or_else(|| now_ms() as i64),
                std::mem::take(&mut restore.shards),
            )?;
            let states = vec![new_state(); meta.shards.len()];
            let data = IndexData::open(
                &core.db,
                &core.doomed,
                RowKind::Objects,
                rand::random(),
                states,
            )?;
            staged.push(Staged {
                restore,
                loader: Loader::new(meta.shards.len() as u16),
                references,
                meta: Arc::new(meta),
                data: Arc::new(data),
                vector_lengths: Mutex::default(),
            });
        }
        let mut next = (*catalogue).clone();
        next.collections.restoring = Arc::new(restoring);
        core.show(next);
        drop(_changes);
        Ok(CollectionsRestoreTarget {
            core,
            staged,
            is_finished: false,
        })
    }

    /// UUIDs that the collections will have, by position.
    pub fn uuids(&self) -> Vec<&str> {
        self.staged
            .iter()
            .map(|staged| staged.meta.uuid.as_str())
            .collect()
    }

    /// Loads objects into a shard of a collection (both by position), in any order, from many threads; each
    /// id and sequence number once. Not durable before [`Self::finish`]. Proofs are over objects as they are
    /// given here, before their references are rewritten.
    pub fn load(
        &self,
        collection: usize,
        shard: u16,
        objects: Vec<RestoredDocument>,
    ) -> Result<(), StoreError> {
        let staged = self.staged.get(collection).ok_or_else(|| {
            StoreError::illegal(format!(
                "collection {collection} of the restore does not exist"
            ))
        })?;
        staged.check(&objects)?;
        let name = &staged.meta.name;
        let (db, data) = (&self.core.db, &staged.data);
        let loader = &staged.loader;
        match &staged.references {
            None => loader.load(db, data, name, shard, objects),
            Some(references) => loader.load_changed(db, data, name, shard, objects, &|object| {
                references.rewrite(object)
            }),
        }
    }

    /// Verifies every shard against `expected` (by collection and shard), syncs, and makes all collections
    /// visible in one durable step; on an error nothing is visible and the data is dropped.
    pub fn finish(mut self, expected: Vec<Vec<ShardProof>>) -> Result<(), StoreError> {
        if expected.len() != self.staged.len() {
            return Err(StoreError::illegal(format!(
                "{} collections are being restored, not {}",
                self.staged.len(),
                expected.len()
            )));
        }
        let db = &self.core.db;
        let mut states = Vec::with_capacity(expected.len());
        for (staged, proofs) in self.staged.iter().zip(&expected) {
            let name = &staged.meta.name;
            states.push(staged.loader.finish(db, &staged.data, name, proofs)?);
        }
        self.publish(states)
    }

    /// The tables are on disk already; this adds the records, which make them reachable, and takes replaced
    /// collections away in the same batch.
    fn publish(&mut self, mut states: Vec<Vec<ShardState>>) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let mut next = (*catalogue).clone();
        let mut batch = core.batch();
        let mut replaced = Vec::new();
        for (staged, states) in self.staged.iter().zip(&mut states) {
            if let Some(old) = catalogue.collections.by_name.get(&staged.meta.name) {
                remove_records(&core, &mut batch, old)?;
                replaced.push(Arc::clone(old));
            }
            staged.take_states(states);
            insert_records(&core, &mut batch, &staged.meta, &staged.data, states)?;
            let collection = staged.collection();
            let lengths = collection.shared.vector_lengths();
            if !lengths.is_empty() {
                batch.insert(
                    core.meta(),
                    lengths_key(&staged.data.data_id),
                    encode_lengths(&lengths)?,
                );
            }
            drop(lengths);
            let collections = &mut next.collections.by_name;
            collections.insert(staged.meta.name.clone(), Arc::new(collection));
        }
        let aliases = self.aliases(&next);
        if aliases != *next.collections.aliases {
            batch.insert(core.meta(), ALIASES_KEY, AliasRecord::encode(&aliases)?);
            next.collections.aliases = Arc::new(aliases);
        }
        next.collections.restoring = Arc::new(self.others_restoring(&catalogue));
        for old in &replaced {
            old.data.set_access(Access::Deleted);
        }
        if let Err(error) = core.publish(batch, next) {
            for old in &replaced {
                old.data.set_access(Access::Open);
            }
            return Err(error);
        }
        self.is_finished = true;
        core.sync()?;
        for (staged, states) in self.staged.iter().zip(&states) {
            for (shard, state) in states.iter().enumerate() {
                core.guard
                    .acknowledge((staged.data.data_id, shard as u16), state.next_seq_no)?;
            }
        }
        for old in replaced {
            drop_data(&core, &old)?;
        }
        Ok(())
    }

    /// Aliases as they will be.
    fn aliases(&self, next: &Catalogue) -> BTreeMap<String, String> {
        let mut aliases = (*next.collections.aliases).clone();
        for staged in &self.staged {
            for alias in &staged.restore.aliases {
                let is_taken = aliases.contains_key(alias) && !staged.restore.overwrite_aliases;
                if !is_taken && !next.collections.by_name.contains_key(alias) {
                    aliases.insert(alias.clone(), staged.meta.name.clone());
                }
            }
        }
        aliases
    }

    /// Names that other restores have reserved.
    fn others_restoring(&self, catalogue: &Catalogue) -> BTreeSet<String> {
        let mut restoring = (*catalogue.collections.restoring).clone();
        for staged in &self.staged {
            restoring.remove(&staged.meta.name);
        }
        restoring
    }
}

impl Drop for CollectionsRestoreTarget {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let mut next = (*catalogue).clone();
        next.collections.restoring = Arc::new(self.others_restoring(&catalogue));
        self.core.show(next);
        for staged in &self.staged {
            staged.data.doom();
        }
    }
}

fn check_name(
    catalogue: &Catalogue,
    restoring: &BTreeSet<String>,
    restore: &CollectionRestore,
) -> Result<(), StoreError> {
    let name = &restore.name;
    if restoring.contains(name) {
        return Err(StoreError::CollectionRestoring { name: name.clone() });
    }
    if restore.shards.is_empty() && !restore.multi_tenant {
        return Err(StoreError::illegal(format!(
            "collection [{name}] needs at least one shard"
        )));
    }
    let exists = catalogue.collections.by_name.contains_key(name);
    if exists && restore.replace_existing {
        return Ok(());
    }
    catalogue.collections.check_is_free(name)
}

impl Staged {
    /// Refuses objects that could not be read, and remembers the lengths of their vectors.
    fn check(&self, objects: &[RestoredDocument]) -> Result<(), StoreError> {
        for object in objects {
            super::codec::parse_id(&object.id)?;
            let stored = Stored::parse(&object.id, &object.source, &object.tail)?;
            let mut lengths = self
                .vector_lengths
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for (name, shape) in stored.vectors.0 {
                if shape.dims > 0 && shape.rows != Some(0) {
                    lengths.entry(name).or_insert(shape.dims);
                }
            }
        }
        Ok(())
    }

    /// Gives the loaded counters their history and puts them where writers look.
    fn take_states(&self, states: &mut [ShardState]) {
        for (shard, state) in states.iter_mut().enumerate() {
            let mut writer = self.data.lock(shard as u16);
            state.history = writer.state.history;
            writer.state = *state;
        }
    }

    fn collection(&self) -> Collection {
        let shared = Shared::default();
        *shared.vector_lengths() = self
            .vector_lengths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Collection {
            meta: Arc::clone(&self.meta),
            data: Arc::clone(&self.data),
            shared: Arc::new(shared),
        }
    }
}
