//! Collections as specifications.

mod model;
mod restore;
mod search;
mod tenants;
mod write;

use super::*;
use crate::store::{copy_folder, keyspaces};
use crate::{
    RestoredDocument, ShardProof, Store, StoreError, StoreOptions, WriteOp, WriteOptions,
    WriteResult,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, &StoreOptions::default()).unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (dir, store)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn plain(store: &Store, name: &str, shards: &[&str]) {
    let spec = CollectionSpec {
        name: name.to_owned(),
        class: json!({"class": name, "unknown": {"z": 1, "a": 2}}),
        multi_tenant: false,
        shards: names(shards),
    };
    store.create_collection(spec).unwrap();
}

fn tenanted(store: &Store, name: &str, tenants: &[&str]) {
    let spec = CollectionSpec {
        name: name.to_owned(),
        class: json!({"class": name}),
        multi_tenant: true,
        shards: names(tenants),
    };
    store.create_collection(spec).unwrap();
}

fn id(n: u8) -> ObjectId {
    // The first byte spreads, the last tells them apart.
    let mut bytes = [0; 16];
    (bytes[0], bytes[15]) = (n.wrapping_mul(151), n);
    ObjectId(bytes)
}

fn object(n: u8, properties: Value) -> NewObject {
    NewObject::new(id(n), properties.as_object().unwrap().clone())
}

fn put(collection: &str, n: u8, properties: Value) -> ObjectOp {
    ObjectOp::put(collection, None, object(n, properties))
}

fn one(store: &Store, op: ObjectOp) -> Result<ObjectOutcome, StoreError> {
    store.write_objects(vec![op]).pop().unwrap()
}

fn tenant_put(store: &Store, tenant: &str, n: u8) -> Result<ObjectOutcome, StoreError> {
    let object = object(n, json!({}));
    one(store, ObjectOp::put("T", Some(tenant.to_owned()), object))
}

fn hot(tenants: &[&str]) -> Vec<(String, TenantStatus)> {
    statuses(tenants, TenantStatus::Hot)
}

fn statuses(tenants: &[&str], status: TenantStatus) -> Vec<(String, TenantStatus)> {
    tenants
        .iter()
        .map(|&tenant| (tenant.to_owned(), status))
        .collect()
}

fn all(store: &Store, collection: &str, tenant: Option<&str>) -> Vec<Object> {
    let mut objects = Vec::new();
    store
        .peek()
        .objects_after(collection, tenant, None, &mut |object| {
            objects.push(object);
            ControlFlow::Continue(())
        })
        .unwrap();
    objects
}
