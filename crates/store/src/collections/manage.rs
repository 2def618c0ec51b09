//! Collections: create, change, delete; their aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::catalogue::{
    ALIASES_KEY, AliasRecord, Collection, CollectionRecord, ShardRecord, Shared, lengths_key,
    purge_prefix, record_key, shard_key,
};
use super::{CollectionMeta, CollectionShard, CollectionSpec, MAX_SHARDS, TenantStatus};
use crate::index::new_uuid;
use crate::store::rows::ShardState;
use crate::store::{Access, Catalogue, Core, IndexData, RowKind, new_state, now_ms};
use crate::{Store, StoreError};

impl Store {
    /// Creates a collection. [`StoreError::CollectionExists`] also where an alias has the name.
    pub fn create_collection(
        &self,
        spec: CollectionSpec,
    ) -> Result<Arc<CollectionMeta>, StoreError> {
        let core = &self.core;
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        catalogue.collections.check_is_free(&spec.name)?;
        if spec.shards.is_empty() && !spec.multi_tenant {
            return Err(StoreError::illegal("a collection needs at least one shard"));
        }
        let shards = spec
            .shards
            .into_iter()
            .map(|name| (name, TenantStatus::Hot));
        let meta = Arc::new(CollectionMeta::new(
            spec.name,
            spec.class,
            spec.multi_tenant,
            now_ms() as i64,
            shards.collect(),
        )?);
        let states = vec![new_state(); meta.shards.len()];
        let data = IndexData::open(
            &core.db,
            &core.doomed,
            RowKind::Objects,
            rand::random(),
            states.clone(),
        )?;
        let mut batch = core.batch();
        insert_records(core, &mut batch, &meta, &data, &states)?;
        let collection = Collection {
            meta: Arc::clone(&meta),
            data: Arc::new(data),
            shared: Arc::new(Shared::default()),
        };
        let mut next = (*catalogue).clone();
        let collections = &mut next.collections.by_name;
        collections.insert(meta.name.clone(), Arc::new(collection));
        core.publish(batch, next)?;
        core.sync()?;
        Ok(meta)
    }

    /// Replaces the class JSON of a collection (by its name, no alias).
    pub fn update_class(&self, name: &str, class: Value) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let collection = catalogue.collections.get(name)?;
        let meta = CollectionMeta {
            class,
            ..(*collection.meta).clone()
        };
        let mut batch = self.core.batch();
        batch.insert(
            self.core.meta(),
            record_key(&collection.data.data_id),
            CollectionRecord::encode(&meta)?,
        );
        self.core
            .publish(batch, with_meta(&catalogue, collection, meta))?;
        self.core.sync()
    }

    /// Deletes a collection, its objects and its aliases. Views that hold it go on reading it.
    pub fn delete_collection(&self, name: &str) -> Result<(), StoreError> {
        let core = &self.core;
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let collection = catalogue.collections.get(name)?;
        let mut next = (*catalogue).clone();
        let mut batch = core.batch();
        remove_records(core, &mut batch, collection)?;
        next.collections.by_name.remove(name);
        let mut aliases = (*catalogue.collections.aliases).clone();
        aliases.retain(|_, target| target != name);
        if aliases.len() != catalogue.collections.aliases.len() {
            batch.insert(core.meta(), ALIASES_KEY, AliasRecord::encode(&aliases)?);
            next.collections.aliases = Arc::new(aliases);
        }
        collection.data.set_access(Access::Deleted);
        if let Err(error) = core.publish(batch, next).and_then(|()| core.sync()) {
            collection.data.set_access(Access::Open);
            return Err(error);
        }
        drop_data(core, collection)
    }

    /// All collections, sorted by name. One that is being restored is not among them.
    pub fn collections(&self) -> Vec<Arc<CollectionMeta>> {
        metas(&self.core.catalogue())
    }

    /// One collection by its name (no alias).
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let catalogue = self.core.catalogue();
        let collection = catalogue.collections.by_name.get(name)?;
        Some(Arc::clone(&collection.meta))
    }

    /// One collection by its name or an alias.
    pub fn resolve_collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let catalogue = self.core.catalogue();
        let collection = catalogue.collections.resolve(name).ok()?;
        Some(Arc::clone(&collection.meta))
    }

    /// Names of the collections being restored, sorted.
    pub fn restoring_collections(&self) -> Vec<String> {
        let catalogue = self.core.catalogue();
        catalogue.collections.restoring.iter().cloned().collect()
    }

    /// Aliases of collections: alias → name.
    pub fn collection_aliases(&self) -> BTreeMap<String, String> {
        (*self.core.catalogue().collections.aliases).clone()
    }

    /// Adds an alias or points it elsewhere. [`StoreError::CollectionExists`] when a collection has the
    /// name, [`StoreError::CollectionNotFound`] when the target is missing.
    pub fn put_collection_alias(&self, alias: &str, collection: &str) -> Result<(), StoreError> {
        self.change_aliases(|catalogue, aliases| {
            if catalogue.collections.by_name.contains_key(alias) {
                return Err(StoreError::CollectionExists {
                    name: alias.to_owned(),
                    is_alias: false,
                });
            }
            catalogue.collections.check_not_restoring(alias)?;
            catalogue.collections.get(collection)?;
            aliases.insert(alias.to_owned(), collection.to_owned());
            Ok(())
        })
    }

    /// Removes an alias; [`StoreError::AliasNotFound`] when it is not there.
    pub fn delete_collection_alias(&self, alias: &str) -> Result<(), StoreError> {
        self.change_aliases(|_, aliases| match aliases.remove(alias) {
            Some(_) => Ok(()),
            None => Err(StoreError::AliasNotFound {
                name: alias.to_owned(),
            }),
        })
    }

    fn change_aliases(
        &self,
        change: impl FnOnce(&Catalogue, &mut BTreeMap<String, String>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let mut aliases = (*catalogue.collections.aliases).clone();
        change(&catalogue, &mut aliases)?;
        let mut batch = self.core.batch();
        batch.insert(
            self.core.meta(),
            ALIASES_KEY,
            AliasRecord::encode(&aliases)?,
        );
        let mut next = (*catalogue).clone();
        next.collections.aliases = Arc::new(aliases);
        self.core.publish(batch, next)?;
        self.core.sync()
    }
}

impl CollectionMeta {
    /// A new collection, with shards numbered from 0 on.
    pub(super) fn new(
        name: String,
        class: Value,
        multi_tenant: bool,
        created_ms: i64,
        shards: Vec<(String, TenantStatus)>,
    ) -> Result<Self, StoreError> {
        if shards.len() > MAX_SHARDS {
            return Err(too_many_shards(&name));
        }
        let mut meta = CollectionMeta {
            name,
            uuid: new_uuid(),
            created_ms,
            class,
            multi_tenant,
            shards: Arc::default(),
            by_name: Arc::default(),
        };
        let number = |(number, (name, status))| CollectionShard {
            number: number as u16,
            name,
            status,
        };
        meta.set_shards(shards.into_iter().enumerate().map(number).collect());
        match meta.duplicate() {
            Some(twice) => Err(StoreError::illegal(format!(
                "shard [{twice}] of collection [{}] is named twice",
                meta.name
            ))),
            None => Ok(meta),
        }
    }
}

pub(super) fn too_many_shards(name: &str) -> StoreError {
    StoreError::illegal(format!(
        "collection [{name}] cannot have more than {MAX_SHARDS} shards or tenants"
    ))
}

/// All collections of a picture.
pub(super) fn metas(catalogue: &Catalogue) -> Vec<Arc<CollectionMeta>> {
    let collections = catalogue.collections.by_name.values();
    collections
        .map(|collection| Arc::clone(&collection.meta))
        .collect()
}

/// The picture with a changed collection.
pub(super) fn with_meta(
    catalogue: &Catalogue,
    collection: &Collection,
    meta: CollectionMeta,
) -> Catalogue {
    let mut next = catalogue.clone();
    let changed = Collection {
        meta: Arc::new(meta),
        ..collection.clone()
    };
    let collections = &mut next.collections.by_name;
    collections.insert(changed.meta.name.clone(), Arc::new(changed));
    next
}

/// Puts a new collection's record, shards and counters into a batch.
pub(super) fn insert_records(
    core: &Core,
    batch: &mut fjall::OwnedWriteBatch,
    meta: &CollectionMeta,
    data: &IndexData,
    states: &[ShardState],
) -> Result<(), StoreError> {
    batch.insert(
        core.meta(),
        record_key(&data.data_id),
        CollectionRecord::encode(meta)?,
    );
    for (shard, state) in meta.shards.iter().zip(states) {
        batch.insert(
            core.meta(),
            shard_key(&data.data_id, shard.number),
            ShardRecord::encode(shard)?,
        );
        batch.insert(core.meta(), data.state_key(shard.number), state.encode());
    }
    Ok(())
}

/// Takes all of a collection's records out in a batch.
pub(super) fn remove_records(
    core: &Core,
    batch: &mut fjall::OwnedWriteBatch,
    collection: &Collection,
) -> Result<(), StoreError> {
    let data_id = &collection.data.data_id;
    batch.remove(core.meta(), record_key(data_id));
    batch.remove(core.meta(), lengths_key(data_id));
    for shard in collection.meta.shards.iter() {
        batch.remove(core.meta(), shard_key(data_id, shard.number));
        batch.remove(core.meta(), collection.data.state_key(shard.number));
    }
    for row in core.meta().prefix(purge_prefix(data_id)) {
        let key = row
            .key()
            .map_err(|cause| StoreError::engine("read", "unfinished removals", cause))?;
        batch.remove(core.meta(), key);
    }
    Ok(())
}

/// Lets go of the objects of a collection that is no more.
pub(super) fn drop_data(core: &Core, collection: &Collection) -> Result<(), StoreError> {
    collection.data.doom();
    core.guard
        .retain(|(data_id, _)| *data_id != collection.data.data_id)
}
