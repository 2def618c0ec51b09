//! Reading collections at the moment of a view.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{CollectionMeta, Filter, Object, ObjectHit, ObjectId, ObjectQuery};
use crate::{ShardView, StoreError, View};

impl View {
    /// All collections, sorted by name.
    pub fn collections(&self) -> Vec<Arc<CollectionMeta>> {
        todo!()
    }

    /// One collection by its name (no alias).
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let _ = name;
        todo!()
    }

    /// One collection by its name or an alias.
    pub fn resolve_collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        let _ = name;
        todo!()
    }

    /// Aliases of collections: alias → name.
    pub fn collection_aliases(&self) -> BTreeMap<String, String> {
        todo!()
    }

    /// One shard or tenant by its number, whatever its status. Its documents are objects: `source` is
    /// `{"creationTimeUnix":ms,"lastUpdateTimeUnix":ms,"vectors":{name:[dims]|[rows,dims]},"properties":{…}}`
    /// and `tail` the vectors' values in that order.
    pub fn collection_shard(&self, collection: &str, number: u16) -> Option<ShardView> {
        let _ = (collection, number);
        todo!()
    }

    /// One object.
    pub fn object(
        &self,
        collection: &str,
        tenant: Option<&str>,
        id: ObjectId,
    ) -> Result<Option<Object>, StoreError> {
        let _ = (collection, tenant, id);
        todo!()
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
        let _ = (collection, tenant, after, visit);
        todo!()
    }

    /// Counts the objects that match; without a filter from counters, at once.
    pub fn count_objects(
        &self,
        collection: &str,
        tenant: Option<&str>,
        filter: Option<&Filter>,
    ) -> Result<u64, StoreError> {
        let _ = (collection, tenant, filter);
        todo!()
    }

    /// Exact search by scanning, in parallel, with memory bounded by the page.
    pub fn search_objects(&self, query: &ObjectQuery) -> Result<Vec<ObjectHit>, StoreError> {
        let _ = query;
        todo!()
    }
}
