//! The driver of the embedded store, as specifications.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::json;
use snapkeep_store::collections::{
    CollectionSpec, NewObject, ObjectId, ObjectOp, ObjectVector, TenantStatus as StoreStatus,
};
use snapkeep_store::{Store, StoreOptions, WriteOp, WriteOptions};

use super::StoreDriver;
use crate::document::{
    Capture, DocumentDriver, LoadedDocument, Proof, ResourceKind, ResourceRef, RestoreCollection,
    TenantStatus,
};
use crate::error::DriverError;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    (dir, store)
}

fn id(n: u8) -> ObjectId {
    ObjectId([n; 16])
}

fn put(store: &Store, collection: &str, tenant: Option<&str>, n: u8) {
    let mut object = NewObject::new(id(n), json!({"n": n}).as_object().unwrap().clone());
    object.vectors = vec![ObjectVector::single("v", vec![f32::from(n), f32::NAN])];
    let op = ObjectOp::put(collection, tenant.map(str::to_owned), object);
    store.write_objects(vec![op]).pop().unwrap().unwrap();
}

/// An index and a collection of the same name, and a collection with a hot and a cold tenant.
fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    let spec = |name: &str, multi_tenant, shards: &[&str]| CollectionSpec {
        name: name.to_owned(),
        class: json!({"class": name, "extra": [1]}),
        multi_tenant,
        shards: shards.iter().map(|&shard| shard.to_owned()).collect(),
    };
    store
        .create_collection(spec("same", false, &["x", "y"]))
        .unwrap();
    store
        .create_collection(spec("Tenanted", true, &["gone", "hot", "cold"]))
        .unwrap();
    store.put_collection_alias("Alias", "Tenanted").unwrap();
    for n in 0..20 {
        put(&store, "same", None, n);
        put(&store, "Tenanted", Some("cold"), n);
    }
    put(&store, "Tenanted", Some("hot"), 1);
    store
        .set_tenants("Tenanted", &[("cold".to_owned(), StoreStatus::Cold)])
        .unwrap();
    // Leaves a gap in the numbers.
    store
        .remove_tenants("Tenanted", &["gone".to_owned()])
        .unwrap();
    let write = WriteOp::index("same", Some("1".to_owned()), "{}");
    store
        .write(vec![write], &WriteOptions::default())
        .pop()
        .unwrap()
        .unwrap();
    (dir, store)
}

fn read(capture: &dyn Capture, resource: usize, shard: u32) -> (Vec<LoadedDocument>, Proof) {
    let shard = capture
        .shard(&capture.resources()[resource], shard)
        .unwrap();
    let mut documents = Vec::new();
    let mut proof = Proof::default();
    for part in shard.parts(0, 200) {
        shard
            .read(part, &mut |document| {
                proof.live += 1;
                proof.digest = proof.digest.wrapping_add(document.hash());
                documents.push(LoadedDocument {
                    id: document.id.to_owned(),
                    routing: None,
                    version: document.version,
                    seq_no: document.seq_no,
                    source: document.source.to_vec(),
                    vectors: document.vectors.to_vec(),
                });
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert_eq!(proof, shard.proof());
    (documents, proof)
}

#[test]
fn indices_and_collections_are_captured_at_one_moment() {
    let (_dir, store) = filled();
    let driver = StoreDriver::new(store.clone());
    let listed: Vec<_> = driver
        .resources()
        .unwrap()
        .into_iter()
        .map(|resource| (resource.kind, resource.name, resource.shards))
        .collect();
    assert_eq!(
        listed,
        [
            (ResourceKind::Index, "same".to_owned(), 1),
            (ResourceKind::Collection, "Tenanted".to_owned(), 2),
            (ResourceKind::Collection, "same".to_owned(), 2),
        ]
    );
    let wanted = [
        ResourceRef::collection("same"),
        ResourceRef::index("same"),
        ResourceRef::collection("Tenanted"),
    ];
    let capture = driver.capture(&wanted).unwrap();
    store.delete_collection("same").unwrap();
    store.delete_index("same").unwrap();
    let captured: Vec<_> = capture
        .resources()
        .iter()
        .map(|resource| resource.reference())
        .collect();
    assert_eq!(
        captured,
        [wanted[1].clone(), wanted[2].clone(), wanted[0].clone()]
    );
    let tenanted = &capture.resources()[1];
    let statuses: Vec<_> = tenanted
        .named_shards()
        .iter()
        .map(|shard| (shard.name.as_str(), shard.status))
        .collect();
    assert_eq!(
        statuses,
        [("hot", TenantStatus::Hot), ("cold", TenantStatus::Cold)]
    );
    assert!(tenanted.aliases.contains_key("Alias"));
    assert_eq!(read(&*capture, 0, 0).1.live, 1);
    assert_eq!(read(&*capture, 1, 1).1.live, 20);
    assert_eq!(
        read(&*capture, 2, 0).1.live + read(&*capture, 2, 1).1.live,
        20
    );
    assert!(matches!(
        driver.capture(&[ResourceRef::collection("same")]),
        Err(DriverError::CollectionMissing(_))
    ));
}

#[test]
fn collections_come_back_under_another_name_with_the_statuses_of_their_tenants() {
    let (_dir, store) = filled();
    let driver = StoreDriver::new(store.clone());
    let wanted = [
        ResourceRef::collection("Tenanted"),
        ResourceRef::collection("same"),
    ];
    let capture = driver.capture(&wanted).unwrap();
    let mut restores = Vec::new();
    for resource in capture.resources() {
        let collection = resource.collection.clone().unwrap();
        restores.push(RestoreCollection {
            name: format!("New{}", resource.name),
            class: collection.class,
            multi_tenant: collection.multi_tenant,
            created_ms: collection.created_ms,
            shards: collection.shards,
            aliases: resource.aliases.keys().cloned().collect(),
            replace_existing: false,
            overwrite_aliases: true,
        });
    }
    // One tenant of two.
    restores[0].shards.remove(0);
    let restoration = driver
        .begin_collections_restore(restores, &BTreeMap::new())
        .unwrap();
    assert!(
        driver
            .resources()
            .unwrap()
            .iter()
            .any(|resource| resource.restoring)
    );
    let (cold, cold_proof) = read(&*capture, 0, 1);
    restoration.load(0, 0, cold).unwrap();
    let mut proofs = vec![vec![cold_proof], Vec::new()];
    for shard in 0..2 {
        let (objects, proof) = read(&*capture, 1, shard);
        restoration.load(1, shard, objects).unwrap();
        proofs[1].push(proof);
    }
    restoration.finish(proofs).unwrap();

    let meta = store.collection("NewTenanted").unwrap();
    assert_eq!(meta.class, json!({"class": "NewTenanted", "extra": [1]}));
    assert_eq!(meta.shards.len(), 1);
    assert_eq!(meta.shard("cold").unwrap().status, StoreStatus::Cold);
    assert_eq!(store.collection_aliases()["Alias"], "NewTenanted");
    for n in 0..20 {
        let restored = store.get_object("Newsame", None, id(n)).unwrap();
        assert_eq!(restored, store.get_object("same", None, id(n)).unwrap());
        assert!(restored.is_some());
    }
}
