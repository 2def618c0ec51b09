//! Collections of a store: create, change, delete; tenants, aliases; writing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{
    CollectionMeta, CollectionSpec, Object, ObjectId, ObjectOp, ObjectOutcome, TenantStatus,
};
use crate::{Store, StoreError};

impl Store {
    /// Creates a collection. [`StoreError::CollectionExists`] also where an alias has the name.
    pub fn create_collection(
        &self,
        spec: CollectionSpec,
    ) -> Result<Arc<CollectionMeta>, StoreError> {
        let _ = spec;
        todo!()
    }

    /// Replaces the class JSON of a collection (by its name, no alias).
    pub fn update_class(&self, name: &str, class: Value) -> Result<(), StoreError> {
        let _ = (name, class);
        todo!()
    }

    /// Deletes a collection, its objects and its aliases. Views that hold it go on reading it.
    pub fn delete_collection(&self, name: &str) -> Result<(), StoreError> {
        let _ = name;
        todo!()
    }

    /// All collections, sorted by name. One that is being restored is not among them.
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

    /// Names of the collections being restored, sorted.
    pub fn restoring_collections(&self) -> Vec<String> {
        todo!()
    }

    /// Adds tenants; those that are there already are left as they are.
    pub fn add_tenants(
        &self,
        name: &str,
        tenants: &[(String, TenantStatus)],
    ) -> Result<(), StoreError> {
        let _ = (name, tenants);
        todo!()
    }

    /// Sets statuses, all or none; [`StoreError::TenantNotFound`] names the first that is missing. Returns
    /// when no writer is left in a tenant that is not hot any more.
    pub fn set_tenants(
        &self,
        name: &str,
        tenants: &[(String, TenantStatus)],
    ) -> Result<(), StoreError> {
        let _ = (name, tenants);
        todo!()
    }

    /// Removes tenants with their objects; unknown names are passed over.
    pub fn remove_tenants(&self, name: &str, tenants: &[String]) -> Result<(), StoreError> {
        let _ = (name, tenants);
        todo!()
    }

    /// Aliases of collections: alias → name.
    pub fn collection_aliases(&self) -> BTreeMap<String, String> {
        todo!()
    }

    /// Adds an alias or points it elsewhere. [`StoreError::CollectionExists`] when a collection has the
    /// name, [`StoreError::CollectionNotFound`] when the target is missing.
    pub fn put_collection_alias(&self, alias: &str, collection: &str) -> Result<(), StoreError> {
        let _ = (alias, collection);
        todo!()
    }

    /// Removes an alias; [`StoreError::AliasNotFound`] when it is not there.
    pub fn delete_collection_alias(&self, alias: &str) -> Result<(), StoreError> {
        let _ = alias;
        todo!()
    }

    /// Performs the operations in order as one durable batch (one sync) and tells each outcome, by
    /// position. All that succeed are on disk together when this returns.
    pub fn write_objects(&self, ops: Vec<ObjectOp>) -> Vec<Result<ObjectOutcome, StoreError>> {
        let _ = ops;
        todo!()
    }

    /// One object. Sees every acknowledged write.
    pub fn get_object(
        &self,
        collection: &str,
        tenant: Option<&str>,
        id: ObjectId,
    ) -> Result<Option<Object>, StoreError> {
        self.peek().object(collection, tenant, id)
    }
}
