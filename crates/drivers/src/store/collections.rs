//! Collections of the embedded store.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use snapkeep_store::collections::{
    CollectionMeta, CollectionRestore, CollectionsRestoreTarget, TenantStatus as StoreStatus,
};
use snapkeep_store::{Store, View};

use super::{from_store, restored, shard_number, shard_proofs};
use crate::document::{
    CapturedCollection, CapturedResource, CollectionShard, CollectionsRestoration, LoadedDocument,
    Proof, ResourceInfo, ResourceKind, RestoreCollection, TenantStatus,
};
use crate::error::DriverError;

/// All collections, sorted by name, those that are being restored for the first time among them.
pub(super) fn resources(store: &Store) -> Vec<ResourceInfo> {
    let restoring = store.restoring_collections();
    let aliases = store.collection_aliases();
    let mut resources: BTreeMap<String, ResourceInfo> = BTreeMap::new();
    for meta in store.collections() {
        let info = ResourceInfo {
            kind: ResourceKind::Collection,
            name: meta.name.clone(),
            uuid: meta.uuid.clone(),
            open: true,
            hidden: false,
            restoring: restoring.contains(&meta.name),
            aliases: aliases_of(&aliases, &meta.name).cloned().collect(),
            shards: meta.shards.len() as u32,
        };
        resources.insert(meta.name.clone(), info);
    }
    for name in restoring {
        resources
            .entry(name.clone())
            .or_insert_with(|| ResourceInfo {
                kind: ResourceKind::Collection,
                name,
                uuid: String::new(),
                open: false,
                hidden: false,
                restoring: true,
                aliases: Vec::new(),
                shards: 0,
            });
    }
    resources.into_values().collect()
}

/// The description of a collection at the moment of a view.
pub(super) fn describe(view: &View, name: &str) -> Result<CapturedResource, DriverError> {
    let meta = view
        .collection(name)
        .ok_or_else(|| DriverError::CollectionMissing(name.to_owned()))?;
    let aliases: Map<String, Value> = aliases_of(&view.collection_aliases(), name)
        .map(|alias| (alias.clone(), Value::Null))
        .collect();
    Ok(CapturedResource {
        kind: ResourceKind::Collection,
        name: meta.name.clone(),
        uuid: meta.uuid.clone(),
        open: true,
        shards: meta.shards.len() as u32,
        aliases,
        collection: Some(describe_collection(&meta)),
        ..CapturedResource::default()
    })
}

fn aliases_of<'a>(
    aliases: &'a BTreeMap<String, String>,
    name: &'a str,
) -> impl Iterator<Item = &'a String> {
    aliases
        .iter()
        .filter(move |(_, target)| target.as_str() == name)
        .map(|(alias, _)| alias)
}

fn describe_collection(meta: &CollectionMeta) -> CapturedCollection {
    let shards = meta.shards.iter().map(|shard| CollectionShard {
        name: shard.name.clone(),
        status: match shard.status {
            StoreStatus::Hot => TenantStatus::Hot,
            StoreStatus::Cold => TenantStatus::Cold,
            StoreStatus::Frozen => TenantStatus::Frozen,
        },
    });
    CapturedCollection {
        class: meta.class.clone(),
        multi_tenant: meta.multi_tenant,
        created_ms: meta.created_ms,
        shards: shards.collect(),
    }
}

/// The store's number of the shard at a position of a captured collection.
pub(super) fn number_at(view: &View, name: &str, position: u32) -> Option<u16> {
    let meta = view.collection(name)?;
    let shard = meta.shards.get(usize::try_from(position).ok()?)?;
    Some(shard.number)
}

/// Begins to load collections.
pub(super) fn begin_restore(
    store: &Store,
    collections: Vec<RestoreCollection>,
    renamed: &BTreeMap<String, String>,
) -> Result<StoreCollectionsRestoration, DriverError> {
    let restores = collections.into_iter().map(restore).collect();
    let target = store
        .begin_collections_restore(restores, renamed)
        .map_err(from_store)?;
    Ok(StoreCollectionsRestoration { target })
}

fn restore(collection: RestoreCollection) -> CollectionRestore {
    let mut class = collection.class;
    // Under another name, the class says so itself.
    if let Some(name) = class.get_mut("class") {
        *name = Value::from(collection.name.as_str());
    }
    let shards = collection.shards.into_iter().map(|shard| {
        let status = match shard.status {
            TenantStatus::Hot => StoreStatus::Hot,
            TenantStatus::Cold => StoreStatus::Cold,
            TenantStatus::Frozen => StoreStatus::Frozen,
        };
        (shard.name, status)
    });
    CollectionRestore {
        name: collection.name,
        class,
        multi_tenant: collection.multi_tenant,
        shards: shards.collect(),
        aliases: collection.aliases,
        overwrite_aliases: collection.overwrite_aliases,
        replace_existing: collection.replace_existing,
        created_ms: Some(collection.created_ms),
    }
}

/// Collections being loaded.
pub(super) struct StoreCollectionsRestoration {
    target: CollectionsRestoreTarget,
}

impl CollectionsRestoration for StoreCollectionsRestoration {
    fn load(
        &self,
        collection: usize,
        shard: u32,
        objects: Vec<LoadedDocument>,
    ) -> Result<(), DriverError> {
        self.target
            .load(collection, shard_number(shard)?, restored(objects))
            .map_err(from_store)
    }

    fn finish(self: Box<Self>, proofs: Vec<Vec<Proof>>) -> Result<(), DriverError> {
        let proofs = proofs.into_iter().map(shard_proofs).collect();
        self.target.finish(proofs).map_err(from_store)
    }
}
