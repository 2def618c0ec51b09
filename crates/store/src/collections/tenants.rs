//! Tenants: shards of a collection that come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Collection, ShardRecord, purge_key, shard_key};
use super::manage::{too_many_shards, with_meta};
use super::{CollectionMeta, CollectionShard, MAX_SHARDS, TenantStatus};
use crate::store::{Purge, ShardWriter, new_state};
use crate::{Store, StoreError};

impl Store {
    /// Adds tenants; those that are there already are left as they are.
    pub fn add_tenants(
        &self,
        name: &str,
        tenants: &[(String, TenantStatus)],
    ) -> Result<(), StoreError> {
        let core = &self.core;
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let collection = multi_tenant(catalogue.collections.get(name)?, tenants)?;
        let mut wanted: BTreeMap<&str, TenantStatus> = BTreeMap::new();
        for (tenant, status) in tenants {
            if collection.meta.shard(tenant).is_none() {
                wanted.entry(tenant).or_insert(*status);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut free = free_numbers(collection);
        let mut shards = (*collection.meta.shards).clone();
        let mut batch = core.batch();
        let mut added = Vec::with_capacity(wanted.len());
        for (tenant, status) in wanted {
            let number = free.next().ok_or_else(|| too_many_shards(name))?;
            let shard = CollectionShard {
                number,
                name: tenant.to_owned(),
                status,
            };
            let state = new_state();
            batch.insert(
                core.meta(),
                shard_key(&collection.data.data_id, number),
                ShardRecord::encode(&shard)?,
            );
            batch.insert(
                core.meta(),
                collection.data.state_key(number),
                state.encode(),
            );
            added.push((number, state));
            shards.push(shard);
        }
        drop(free);
        for (number, state) in added {
            *collection.data.lock(number) = ShardWriter {
                state,
                ..ShardWriter::default()
            };
        }
        shards.sort_unstable_by_key(|shard| shard.number);
        let meta = with_shards(&collection.meta, shards);
        core.publish(batch, with_meta(&catalogue, collection, meta))?;
        core.sync()
    }

    /// Sets statuses, all or none; [`StoreError::TenantNotFound`] names the first that is missing. Returns
    /// when no writer is left in a tenant that is not hot any more.
    pub fn set_tenants(
        &self,
        name: &str,
        tenants: &[(String, TenantStatus)],
    ) -> Result<(), StoreError> {
        let core = &self.core;
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let collection = multi_tenant(catalogue.collections.get(name)?, tenants)?;
        let mut statuses: BTreeMap<u16, TenantStatus> = BTreeMap::new();
        for (tenant, status) in tenants {
            let shard =
                collection
                    .meta
                    .shard(tenant)
                    .ok_or_else(|| StoreError::TenantNotFound {
                        collection: name.to_owned(),
                        tenant: tenant.clone(),
                    })?;
            statuses.insert(shard.number, *status);
        }
        let mut shards = (*collection.meta.shards).clone();
        let mut batch = core.batch();
        let mut is_changed = false;
        for shard in &mut shards {
            let status = statuses.get(&shard.number).copied();
            let Some(status) = status.filter(|status| *status != shard.status) else {
                continue;
            };
            is_changed = true;
            shard.status = status;
            batch.insert(
                core.meta(),
                shard_key(&collection.data.data_id, shard.number),
                ShardRecord::encode(shard)?,
            );
        }
        if !is_changed {
            return Ok(());
        }
        // Writers ask for the status under the shard's lock.
        let locks: Vec<_> = statuses
            .keys()
            .map(|number| collection.data.lock(*number))
            .collect();
        let meta = with_shards(&collection.meta, shards);
        core.publish(batch, with_meta(&catalogue, collection, meta))?;
        drop(locks);
        core.sync()
    }

    /// Removes tenants with their objects; unknown names are passed over. The rows go in the background;
    /// views that hold them go on reading them.
    pub fn remove_tenants(&self, name: &str, tenants: &[String]) -> Result<(), StoreError> {
        let core = &self.core;
        let _changes = core.lock_changes();
        let catalogue = core.catalogue();
        let collection = multi_tenant(catalogue.collections.get(name)?, tenants)?;
        let data_id = &collection.data.data_id;
        let numbers: BTreeSet<u16> = tenants
            .iter()
            .filter_map(|tenant| collection.meta.shard(tenant))
            .map(|shard| shard.number)
            .collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let mut batch = core.batch();
        for &number in &numbers {
            batch.remove(core.meta(), shard_key(data_id, number));
            batch.remove(core.meta(), collection.data.state_key(number));
            batch.insert(core.meta(), purge_key(data_id, number), []);
        }
        let shards = collection.meta.shards.iter();
        let left = shards
            .filter(|shard| !numbers.contains(&shard.number))
            .cloned()
            .collect();
        let meta = with_shards(&collection.meta, left);
        collection.shared.purged().extend(&numbers);
        let locks: Vec<_> = numbers
            .iter()
            .map(|number| collection.data.lock(*number))
            .collect();
        if let Err(error) = core.publish(batch, with_meta(&catalogue, collection, meta)) {
            collection
                .shared
                .purged()
                .retain(|number| !numbers.contains(number));
            return Err(error);
        }
        drop(locks);
        core.doomed
            .add_shards(Purge::new(collection, core.meta(), numbers));
        core.sync()
    }
}

fn multi_tenant<'a, T: TenantName>(
    collection: &'a Collection,
    tenants: &[T],
) -> Result<&'a Collection, StoreError> {
    if collection.meta.multi_tenant {
        return Ok(collection);
    }
    Err(StoreError::TenantUnexpected {
        collection: collection.meta.name.clone(),
        tenant: tenants.first().map(TenantName::name).unwrap_or_default(),
    })
}

/// A request's way to name a tenant.
trait TenantName {
    fn name(&self) -> String;
}

impl TenantName for String {
    fn name(&self) -> String {
        self.clone()
    }
}

impl TenantName for (String, TenantStatus) {
    fn name(&self) -> String {
        self.0.clone()
    }
}

fn with_shards(meta: &CollectionMeta, shards: Vec<CollectionShard>) -> CollectionMeta {
    let mut meta = meta.clone();
    meta.set_shards(shards);
    meta
}

/// Numbers that no tenant has, nor a removed one whose rows are still there; ascending.
fn free_numbers(collection: &Collection) -> impl Iterator<Item = u16> {
    let mut taken: BTreeSet<u16> = collection.shared.purged().clone();
    taken.extend(collection.meta.shards.iter().map(|shard| shard.number));
    (0..MAX_SHARDS as u16).filter(move |number| !taken.contains(number))
}
