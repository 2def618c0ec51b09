//! Reading collections at the moment of a view.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::catalogue::Collection;
use super::{CollectionMeta, Filter, Object, ObjectId, codec, manage, search};
use crate::view::{IdsAfter, Owner};
use crate::{ShardView, StoreError, View};

impl View {
    /// All collections, sorted by name.
    pub fn collections(&self) -> Vec<Arc<CollectionMeta>> {
        manage::metas(self.catalogue())
    }

    /// One collection by its name (no alias).
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let collection = self.catalogue().collections.by_name.get(name)?;
        Some(Arc::clone(&collection.meta))
    }

    /// One collection by its name or an alias.
    pub fn resolve_collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let collection = self.catalogue().collections.resolve(name).ok()?;
        Some(Arc::clone(&collection.meta))
    }

    /// Aliases of collections: alias → name.
    pub fn collection_aliases(&self) -> BTreeMap<String, String> {
        (*self.catalogue().collections.aliases).clone()
    }

    /// One shard or tenant by its number, whatever its status. Its documents are objects: `source` is
    /// `{"creationTimeUnix":ms,"lastUpdateTimeUnix":ms,"vectors":{name:[dims]|[rows,dims]},"properties":{…}}`
    /// and `tail` the vectors' values in that order.
    pub fn collection_shard(&self, collection: &str, number: u16) -> Option<ShardView> {
        let collection = self.catalogue().collections.by_name.get(collection)?;
        self.shard_of(Owner::Collection(Arc::clone(collection)), number)
    }

    /// One object.
    pub fn object(
        &self,
        collection: &str,
        tenant: Option<&str>,
        id: ObjectId,
    ) -> Result<Option<Object>, StoreError> {
        let collection = self.catalogue().collections.resolve(collection)?;
        let number = collection.shard_for(tenant, id)?;
        let document = self.open_shard(collection, number)?.get(&id.to_string())?;
        document
            .map(|document| codec::decode(&document.as_ref()))
            .transpose()
    }

    /// Calls `visit` for the objects whose ids are greater than `after` (all, when `None`), ascending by id
    /// over all shards.
    pub fn objects_after(
        &self,
        collection: &str,
        tenant: Option<&str>,
        after: Option<ObjectId>,
        visit: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let shards = self.open_shards(collection, tenant)?;
        for found in Merged::new(&shards, after) {
            let (shard, id, seq_no) = found?;
            let document = shards[shard]
                .by_seq_no(seq_no)?
                .ok_or_else(|| StoreError::Damaged {
                    object: format!("object [{id}]"),
                    reason: format!("operation {seq_no} is missing"),
                })?;
            if visit(codec::decode(&document.as_ref())?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Counts the objects that match; without a filter from counters, at once.
    pub fn count_objects(
        &self,
        collection: &str,
        tenant: Option<&str>,
        filter: Option<&Filter>,
    ) -> Result<u64, StoreError> {
        let shards = self.open_shards(collection, tenant)?;
        match filter {
            None => Ok(shards.iter().map(ShardView::live_count).sum()),
            Some(filter) => search::count(&shards, filter),
        }
    }

    /// The shards that hold a tenant's objects, or all of a collection without tenants.
    pub(super) fn open_shards(
        &self,
        collection: &str,
        tenant: Option<&str>,
    ) -> Result<Vec<ShardView>, StoreError> {
        let collection = self.catalogue().collections.resolve(collection)?;
        let numbers = collection.shards_for(tenant)?;
        numbers
            .into_iter()
            .map(|number| self.open_shard(collection, number))
            .collect()
    }

    fn open_shard(
        &self,
        collection: &Arc<Collection>,
        number: u16,
    ) -> Result<ShardView, StoreError> {
        self.shard_of(Owner::Collection(Arc::clone(collection)), number)
            .ok_or_else(|| StoreError::Damaged {
                object: format!("shard [{}][{number}]", collection.meta.name),
                reason: "its counters are missing".to_owned(),
            })
    }
}

/// Live ids of several shards in one ascending order: number of the shard, id, sequence number.
pub(super) struct Merged {
    shards: Vec<IdsAfter>,
    /// What each shard has next.
    heads: Vec<Option<Result<(String, u64), StoreError>>>,
}

impl Merged {
    pub(super) fn new(shards: &[ShardView], after: Option<ObjectId>) -> Self {
        let after = after.map(|id| id.to_string());
        let mut shards: Vec<IdsAfter> = shards
            .iter()
            .map(|shard| shard.ids_after(after.as_deref()))
            .collect();
        let heads = shards.iter_mut().map(Iterator::next).collect();
        Merged { shards, heads }
    }

    /// The shard with the least id, or the first that failed.
    fn least(&self) -> Option<usize> {
        let mut least: Option<(usize, &str)> = None;
        for (number, head) in self.heads.iter().enumerate() {
            match head {
                None => {}
                Some(Err(_)) => return Some(number),
                Some(Ok((id, _))) if least.is_none_or(|(_, known)| id.as_str() < known) => {
                    least = Some((number, id));
                }
                Some(Ok(_)) => {}
            }
        }
        least.map(|(number, _)| number)
    }
}

impl Iterator for Merged {
    type Item = Result<(usize, String, u64), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.least()?;
        let next = self.shards[number].next();
        let found = std::mem::replace(&mut self.heads[number], next)?;
        Some(found.map(|(id, seq_no)| (number, id, seq_no)))
    }
}
