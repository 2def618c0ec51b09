//! Collections as specifications.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::store::{copy_folder, keyspaces};
use crate::{
    RestoredDocument, ShardProof, Store, StoreError, StoreOptions, WriteOp, WriteOptions,
    WriteResult,
};

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

/// Waits until the rows of removed tenants are gone.
fn finish_removals(store: &Store, collection: &str) {
    let catalogue = store.core.catalogue();
    let shared = &catalogue.collections.get(collection).unwrap().shared;
    while !shared.purged().is_empty() {
        store.core.doomed.purge(&store.core.db, &store.core.guard);
        std::thread::yield_now();
    }
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

#[test]
fn everything_about_a_collection_survives_reopening() {
    let (dir, store) = store();
    plain(&store, "A", &["x", "y"]);
    tenanted(&store, "T", &["t1"]);
    store
        .add_tenants("T", &statuses(&["t0"], TenantStatus::Cold))
        .unwrap();
    store.put_collection_alias("B", "A").unwrap();
    let mut object = object(1, json!({"p": "v"}));
    let bits = [0x7fc0_1234, 0x8000_0000, 1, 0x4b80_0001].map(f32::from_bits);
    object.vectors = vec![
        ObjectVector::single("", bits.to_vec()),
        ObjectVector::multi("m", &[vec![1.0, 2.0], vec![3.0, 4.0]]).unwrap(),
    ];
    let outcome = one(&store, ObjectOp::put("B", None, object.clone())).unwrap();
    store
        .update_class("A", json!({"class": "A", "k": [1.50]}))
        .unwrap();
    let before = (
        store.collections(),
        store.collection_aliases(),
        store.get_object("A", None, id(1)).unwrap().unwrap(),
    );
    assert_eq!(before.2.vectors, object.vectors);
    assert_eq!(before.2.created_ms, outcome.created_ms);
    drop(store);
    let store = open(dir.path());
    let after = (
        store.collections(),
        store.collection_aliases(),
        store.get_object("B", None, id(1)).unwrap().unwrap(),
    );
    assert_eq!(before, after);
    assert!(store.lost_writes().is_empty());
    let other_length = ObjectVector::single("", vec![1.0]);
    object.vectors = vec![other_length];
    assert!(matches!(
        one(&store, ObjectOp::put("A", None, object)),
        Err(StoreError::VectorLength {
            expected: 4,
            found: 1,
            ..
        })
    ));
}

#[test]
fn names_of_collections_are_their_own() {
    let (_dir, store) = store();
    plain(&store, "a", &["s"]);
    let write = WriteOp::index("a", Some("1".to_owned()), "{}");
    store.write(vec![write], &WriteOptions::default())[0]
        .as_ref()
        .unwrap();
    one(&store, put("a", 1, json!({}))).unwrap();
    assert_eq!(store.indices().len(), 1);
    assert_eq!(store.view().unwrap().indices().len(), 1);
    store.delete_index("a").unwrap();
    assert!(store.get_object("a", None, id(1)).unwrap().is_some());
    let spec = |name: &str| CollectionSpec {
        name: name.to_owned(),
        shards: names(&["s"]),
        ..CollectionSpec::default()
    };
    assert!(matches!(
        store.create_collection(spec("a")),
        Err(StoreError::CollectionExists {
            is_alias: false,
            ..
        })
    ));
    store.put_collection_alias("b", "a").unwrap();
    assert!(matches!(
        store.create_collection(spec("b")),
        Err(StoreError::CollectionExists { is_alias: true, .. })
    ));
    assert!(store.put_collection_alias("a", "a").is_err());
    assert!(store.put_collection_alias("c", "b").is_err(), "no chains");
    store.delete_collection("a").unwrap();
    assert!(store.collection_aliases().is_empty());
    assert!(matches!(
        store.delete_collection_alias("b"),
        Err(StoreError::AliasNotFound { .. })
    ));
    assert_eq!(keyspaces(&store), 1, "only the metadata");
    let twice = CollectionSpec {
        shards: names(&["s", "s"]),
        ..spec("d")
    };
    assert!(store.create_collection(twice).is_err());
}

#[test]
fn puts_know_whether_the_object_is_there() {
    let (_dir, store) = store();
    plain(&store, "A", &["s"]);
    let with = |mode| ObjectOp {
        collection: "A".to_owned(),
        tenant: None,
        kind: ObjectOpKind::Put {
            object: object(1, json!({"n": 1})),
            mode,
        },
    };
    assert!(matches!(
        one(&store, with(PutMode::Replace)),
        Err(StoreError::ObjectNotFound { .. })
    ));
    let mut early = object(1, json!({}));
    (early.created_ms, early.updated_ms) = (Some(5), Some(6));
    let created = one(&store, ObjectOp::put("A", None, early)).unwrap();
    assert_eq!((created.result, created.version), (WriteResult::Created, 1));
    assert!(matches!(
        one(&store, with(PutMode::Create)),
        Err(StoreError::ObjectExists { .. })
    ));
    let replaced = one(&store, with(PutMode::Replace)).unwrap();
    assert_eq!(
        (replaced.result, replaced.version),
        (WriteResult::Updated, 2)
    );
    assert_eq!(replaced.created_ms, 5, "kept");
    assert!(replaced.updated_ms > 6);
    let gone = one(&store, ObjectOp::delete("A", None, id(1))).unwrap();
    assert_eq!((gone.result, gone.version), (WriteResult::Deleted, 3));
    let missing = one(&store, ObjectOp::delete("A", None, id(1))).unwrap();
    assert_eq!(
        (missing.result, missing.version),
        (WriteResult::NotFound, 0)
    );
    let again = one(&store, with(PutMode::Create)).unwrap();
    assert_eq!((again.result, again.version), (WriteResult::Created, 4));
    assert!(again.created_ms > 5);
}

#[test]
fn changes_of_one_batch_see_each_other() {
    let (_dir, store) = store();
    plain(&store, "A", &["s"]);
    let add = |value: i64| {
        ObjectOp::modify("A", None, id(1), move |object| {
            let list = object.properties.entry("l").or_insert_with(|| json!([]));
            list.as_array_mut()
                .ok_or_else(|| StoreError::illegal("no list"))?
                .push(value.into());
            Ok(())
        })
    };
    let refuse = ObjectOp::modify("A", None, id(1), |object| {
        object.properties.clear();
        Err(StoreError::illegal("no"))
    });
    let ops = vec![
        add(0),
        put("A", 1, json!({"k": true})),
        add(1),
        refuse,
        add(2),
    ];
    let outcomes = store.write_objects(ops);
    assert!(matches!(
        outcomes[0],
        Err(StoreError::ObjectNotFound { .. })
    ));
    assert_eq!(outcomes[3].as_ref().unwrap_err().to_string(), "no");
    assert_eq!(outcomes[4].as_ref().unwrap().version, 3);
    let stored = store.get_object("A", None, id(1)).unwrap().unwrap();
    assert_eq!(
        Value::Object(stored.properties),
        json!({"k": true, "l": [1, 2]})
    );
}

#[test]
fn vectors_are_checked() {
    let (_dir, store) = store();
    plain(&store, "A", &["s"]);
    let with = |vectors: Vec<ObjectVector>| {
        let mut object = object(1, json!({}));
        object.vectors = vectors;
        one(&store, ObjectOp::put("A", None, object))
    };
    let vector = |name: &str, dims: usize| ObjectVector::single(name, vec![0.5; dims]);
    with(vec![vector("a", 2), vector("b", 3)]).unwrap();
    assert!(with(vec![vector("a", 3)]).is_err());
    assert!(with(vec![vector("b", 3), vector("b", 3)]).is_err());
    let wrong = ObjectVector {
        dims: 4,
        ..vector("c", 3)
    };
    assert!(with(vec![wrong]).is_err());
    with(vec![vector("b", 3)]).unwrap();
    with(vec![]).unwrap();
}

#[test]
fn tenants_come_and_go() {
    let (dir, store) = store();
    tenanted(&store, "T", &["a"]);
    plain(&store, "P", &["s"]);
    assert!(matches!(
        tenant_put(&store, "b", 1),
        Err(StoreError::TenantNotFound { .. })
    ));
    assert!(matches!(
        one(&store, put("T", 1, json!({}))),
        Err(StoreError::TenantRequired { .. })
    ));
    let unexpected = ObjectOp::put("P", Some("a".to_owned()), object(1, json!({})));
    assert!(matches!(
        one(&store, unexpected),
        Err(StoreError::TenantUnexpected { .. })
    ));
    assert!(store.add_tenants("P", &hot(&["a"])).is_err());
    store.add_tenants("T", &hot(&["b", "a", "b"])).unwrap();
    tenant_put(&store, "a", 1).unwrap();
    tenant_put(&store, "b", 1).unwrap();
    tenant_put(&store, "b", 2).unwrap();
    store
        .set_tenants("T", &statuses(&["b"], TenantStatus::Cold))
        .unwrap();
    assert!(matches!(
        tenant_put(&store, "b", 3),
        Err(StoreError::TenantNotActive {
            status: TenantStatus::Cold,
            ..
        })
    ));
    assert!(store.get_object("T", Some("b"), id(1)).is_err());
    assert!(store.peek().count_objects("T", Some("b"), None).is_err());
    let number = store.collection("T").unwrap().shard("b").unwrap().number;
    let view = store.view().unwrap();
    assert_eq!(view.collection_shard("T", number).unwrap().live_count(), 2);
    assert!(matches!(
        store.set_tenants("T", &hot(&["b", "none"])),
        Err(StoreError::TenantNotFound { .. })
    ));
    let history = view.collection_shard("T", number).unwrap().history();
    // While somebody may still acknowledge, no removal comes to its end.
    let acknowledging = store.core.guard.enter();
    store.remove_tenants("T", &names(&["b", "none"])).unwrap();
    assert_eq!(
        view.collection_shard("T", number).unwrap().live_count(),
        2,
        "held"
    );

    // The number is not given again before the rows are gone.
    store.add_tenants("T", &hot(&["c"])).unwrap();
    assert_ne!(
        store.collection("T").unwrap().shard("c").unwrap().number,
        number
    );
    drop(acknowledging);
    finish_removals(&store, "T");
    store.add_tenants("T", &hot(&["d"])).unwrap();
    assert_eq!(
        store.collection("T").unwrap().shard("d").unwrap().number,
        number
    );
    assert!(all(&store, "T", Some("d")).is_empty());
    tenant_put(&store, "d", 9).unwrap();
    let now = store.view().unwrap().collection_shard("T", number).unwrap();
    assert_ne!(now.history(), history);
    assert_eq!((now.live_count(), now.max_seq_no()), (1, Some(0)));
    drop((view, now, store));
    let store = open(dir.path());
    assert!(store.lost_writes().is_empty());
    assert_eq!(all(&store, "T", Some("d")).len(), 1);
    assert_eq!(all(&store, "T", Some("a")).len(), 1);
}

#[test]
fn a_removal_cut_off_by_a_crash_goes_on_at_the_next_open() {
    let (dir, store) = store();
    tenanted(&store, "T", &["a", "b"]);
    tenant_put(&store, "a", 1).unwrap();
    tenant_put(&store, "b", 1).unwrap();
    let copy = tempfile::tempdir().unwrap();
    store.remove_tenants("T", &names(&["a"])).unwrap();
    copy_folder(dir.path(), copy.path());
    let copied = open(copy.path());
    assert!(copied.lost_writes().is_empty());
    let meta = copied.collection("T").unwrap();
    assert!(meta.shard("a").is_none());
    finish_removals(&copied, "T");
    copied.add_tenants("T", &hot(&["c"])).unwrap();
    assert!(all(&copied, "T", Some("c")).is_empty());
    assert_eq!(all(&copied, "T", Some("b")).len(), 1);
}

#[test]
fn searches_filter_sort_and_page() {
    let (_dir, store) = store();
    plain(&store, "A", &["x", "y", "z"]);
    let ops = (0..40u8).map(|n| put("A", n, json!({"n": 40 - i64::from(n), "even": n % 2 == 0})));
    for outcome in store.write_objects(ops.collect()) {
        outcome.unwrap();
    }
    let view = store.view().unwrap();
    let numbers = |query: ObjectQuery| -> Vec<u8> {
        let hits = view.search_objects(&query).unwrap();
        hits.iter().map(|hit| hit.object.id.0[15]).collect()
    };
    let query = || ObjectQuery {
        collection: "A".to_owned(),
        limit: 5,
        ..ObjectQuery::default()
    };
    let mut by_id: Vec<u8> = (0..40).collect();
    by_id.sort_by_key(|&n| id(n));
    assert_eq!(numbers(query()), by_id[..5]);
    assert_eq!(
        numbers(ObjectQuery {
            offset: 38,
            ..query()
        }),
        by_id[38..]
    );
    assert_eq!(
        numbers(ObjectQuery {
            after: Some(id(by_id[9])),
            ..query()
        }),
        by_id[10..15]
    );
    assert!(
        numbers(ObjectQuery {
            limit: 0,
            ..query()
        })
        .is_empty()
    );
    let even = || {
        Filter::Is(Condition {
            path: FilterPath::property("even"),
            comparison: Comparison::Equal(FilterValue::Boolean(true)),
        })
    };
    let evens: Vec<u8> = by_id.iter().copied().filter(|n| n % 2 == 0).collect();
    let filtered = || ObjectQuery {
        filter: Some(even()),
        ..query()
    };
    assert_eq!(numbers(filtered()), evens[..5]);
    assert_eq!(
        numbers(ObjectQuery {
            after: Some(id(evens[3])),
            ..filtered()
        }),
        evens[4..9]
    );
    assert_eq!(view.count_objects("A", None, Some(&even())).unwrap(), 20);
    assert_eq!(view.count_objects("A", None, None).unwrap(), 40);
    let sorted = ObjectQuery {
        sort: vec![ObjectSort {
            path: FilterPath::property("n"),
            descending: false,
            dates: false,
        }],
        offset: 1,
        ..filtered()
    };
    assert_eq!(numbers(sorted), [36, 34, 32, 30, 28]);
    let by_ids = Filter::Is(Condition {
        path: FilterPath::Id,
        comparison: Comparison::Equal(FilterValue::Text(id(3).to_string(), Tokenization::Exact)),
    });
    assert_eq!(
        numbers(ObjectQuery {
            filter: Some(by_ids),
            ..query()
        }),
        [3]
    );
    assert!(
        view.search_objects(&ObjectQuery {
            limit: MAX_WINDOW + 1,
            ..query()
        })
        .is_err()
    );
}

#[test]
fn the_nearest_come_first() {
    let (_dir, store) = store();
    plain(&store, "A", &["x", "y"]);
    let ops = (0..60u8).map(|n| {
        let mut object = object(n, json!({"n": n}));
        if n < 50 {
            object.vectors = vec![ObjectVector::single("v", vec![f32::from(n), 1.0])];
        }
        ObjectOp::put("A", None, object)
    });
    for outcome in store.write_objects(ops.collect()) {
        outcome.unwrap();
    }
    let view = store.view().unwrap();
    let near = |vector: Vec<f32>, max_distance| ObjectQuery {
        collection: "A".to_owned(),
        near: Some(NearVector {
            target: "v".to_owned(),
            vector: QueryVector::Single(vector),
            metric: Metric::L2Squared,
            max_distance,
        }),
        limit: 3,
        ..ObjectQuery::default()
    };
    let found = |query: &ObjectQuery| -> Vec<(u8, f32)> {
        let hits = view.search_objects(query).unwrap();
        hits.iter()
            .map(|hit| (hit.object.id.0[15], hit.distance.unwrap()))
            .collect()
    };
    assert_eq!(
        found(&near(vec![20.25, 1.0], None)),
        [(20, 0.0625), (21, 0.5625), (19, 1.5625)]
    );
    assert_eq!(
        found(&near(vec![49.0, 1.0], Some(1.0))),
        [(49, 0.0), (48, 1.0)]
    );
    let descending = ObjectQuery {
        sort: vec![ObjectSort {
            path: FilterPath::property("n"),
            descending: true,
            dates: false,
        }],
        ..near(vec![20.25, 1.0], None)
    };
    let order: Vec<u8> = found(&descending).iter().map(|hit| hit.0).collect();
    assert_eq!(order, [21, 20, 19]);
    assert!(matches!(
        view.search_objects(&near(vec![1.0], None)),
        Err(StoreError::VectorLength {
            expected: 2,
            found: 1,
            ..
        })
    ));
}

fn captured(store: &Store, name: &str) -> (Vec<Vec<RestoredDocument>>, Vec<ShardProof>) {
    let view = store.view().unwrap();
    let shards = view.collection(name).unwrap().shards.clone();
    shards
        .iter()
        .map(|shard| {
            let shard = view.collection_shard(name, shard.number).unwrap();
            let mut documents = Vec::new();
            shard
                .scan(0..u64::MAX, &mut |document| {
                    documents.push(RestoredDocument {
                        id: document.id.to_owned(),
                        routing: None,
                        version: document.version,
                        seq_no: document.seq_no,
                        source: document.source.to_vec(),
                        tail: document.tail.to_vec(),
                    });
                    ControlFlow::Continue(())
                })
                .unwrap();
            let proof = ShardProof {
                live: shard.live_count(),
                digest: shard.digest(),
            };
            (documents, proof)
        })
        .unzip()
}

fn restore_of(store: &Store, name: &str, target: &str) -> CollectionRestore {
    let meta = store.collection(name).unwrap();
    let shards = meta.shards.iter();
    CollectionRestore {
        name: target.to_owned(),
        class: meta.class.clone(),
        multi_tenant: meta.multi_tenant,
        shards: shards
            .map(|shard| (shard.name.clone(), shard.status))
            .collect(),
        aliases: names(&["Alias"]),
        overwrite_aliases: false,
        replace_existing: false,
        created_ms: Some(7),
    }
}

#[test]
fn collections_are_restored_together_or_not_at_all() {
    let (dir, store) = store();
    plain(&store, "A", &["x", "y"]);
    tenanted(&store, "T", &["a", "b"]);
    for n in 0..30 {
        let mut object = object(n, json!({"n": n}));
        object.vectors = vec![ObjectVector::single("", vec![f32::NAN, -0.0])];
        one(&store, ObjectOp::put("A", None, object)).unwrap();
    }
    tenant_put(&store, "b", 1).unwrap();
    store
        .set_tenants("T", &statuses(&["b"], TenantStatus::Cold))
        .unwrap();
    let ((first, first_proofs), (second, second_proofs)) =
        (captured(&store, "A"), captured(&store, "T"));
    let restores = || vec![restore_of(&store, "A", "A2"), restore_of(&store, "T", "T2")];
    let load = |target: &CollectionsRestoreTarget| {
        for (number, shards) in [&first, &second].into_iter().enumerate() {
            for (shard, objects) in shards.iter().enumerate() {
                target.load(number, shard as u16, objects.clone()).unwrap();
            }
        }
    };

    let target = store.begin_collections_restore(restores()).unwrap();
    assert_eq!(store.restoring_collections(), ["A2", "T2"]);
    assert!(matches!(
        store.begin_collections_restore(restores()),
        Err(StoreError::CollectionRestoring { .. })
    ));
    load(&target);
    let mut wrong = second_proofs.clone();
    wrong[1].digest ^= 1;
    let refused = target.finish(vec![first_proofs.clone(), wrong]);
    assert!(matches!(refused, Err(StoreError::ProofMismatch { .. })));
    assert_eq!(store.collections().len(), 2);
    assert!(store.restoring_collections().is_empty());

    let target = store.begin_collections_restore(restores()).unwrap();
    load(&target);
    target
        .finish(vec![first_proofs.clone(), second_proofs])
        .unwrap();
    assert_eq!(store.collection_aliases()["Alias"], "A2");
    let check = |store: &Store| {
        assert_eq!(all(store, "A2", None), all(store, "A", None));
        for n in 0..30 {
            assert!(store.get_object("A2", None, id(n)).unwrap().is_some());
        }
        let meta = store.collection("T2").unwrap();
        assert_eq!(meta.shard("b").unwrap().status, TenantStatus::Cold);
        assert_eq!(meta.created_ms, 7);
    };
    check(&store);
    one(&store, put("A2", 99, json!({}))).unwrap();
    one(&store, ObjectOp::delete("A2", None, id(99))).unwrap();

    // Over an existing one, which is usable until the end.
    assert!(matches!(
        store.begin_collections_restore(vec![restore_of(&store, "A", "A2")]),
        Err(StoreError::CollectionExists { .. })
    ));
    one(&store, put("A2", 98, json!({}))).unwrap();
    let replace = CollectionRestore {
        replace_existing: true,
        ..restore_of(&store, "A", "A2")
    };
    let uuid = store.collection("A2").unwrap().uuid.clone();
    let target = store.begin_collections_restore(vec![replace]).unwrap();
    for (shard, objects) in first.iter().enumerate() {
        target.load(0, shard as u16, objects.clone()).unwrap();
    }
    one(&store, put("A2", 97, json!({}))).unwrap();
    target.finish(vec![first_proofs]).unwrap();
    assert_ne!(store.collection("A2").unwrap().uuid, uuid);
    drop(store);
    let store = open(dir.path());
    assert!(store.lost_writes().is_empty());
    check(&store);
}

#[test]
fn a_restore_that_was_cut_off_leaves_the_replaced_collection() {
    let (dir, store) = store();
    plain(&store, "A", &["x"]);
    one(&store, put("A", 1, json!({"v": 1}))).unwrap();
    let (objects, _) = captured(&store, "A");
    let restore = CollectionRestore {
        replace_existing: true,
        ..restore_of(&store, "A", "A")
    };
    let target = store.begin_collections_restore(vec![restore]).unwrap();
    target.load(0, 0, objects[0].clone()).unwrap();
    let damaged = RestoredDocument {
        tail: vec![0; 4],
        ..objects[0][0].clone()
    };
    assert!(target.load(0, 0, vec![damaged]).is_err());
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let copied = open(copy.path());
    assert_eq!(all(&copied, "A", None).len(), 1);
    assert_eq!(keyspaces(&copied), 3);
    drop(target);
    assert!(store.restoring_collections().is_empty());
    assert_eq!(all(&store, "A", None).len(), 1);
}

#[test]
fn many_tenants_are_loaded_quickly() {
    let (dir, store) = store();
    tenanted(&store, "T", &[]);
    let tenants: Vec<String> = (0..3_000).map(|n| format!("t{n}")).collect();
    let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
    store.add_tenants("T", &hot(&tenants)).unwrap();
    let ops = tenants
        .iter()
        .map(|tenant| ObjectOp::put("T", Some((*tenant).to_owned()), object(1, json!({}))));
    for outcome in store.write_objects(ops.collect()) {
        outcome.unwrap();
    }
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.collection("T").unwrap().shards.len(), 3_000);
    assert_eq!(all(&store, "T", Some("t2999")).len(), 1);
}

#[test]
fn lost_acknowledged_objects_are_told_and_change_the_history() {
    let (dir, store) = store();
    tenanted(&store, "T", &["a", "b"]);
    tenant_put(&store, "b", 1).unwrap();
    store.flush().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let history = |store: &Store, number| {
        let shard = store.view().unwrap().collection_shard("T", number);
        shard.unwrap().history()
    };
    let before = (history(&store, 0), history(&store, 1));
    tenant_put(&store, "b", 2).unwrap();
    drop(store);
    // The journal as it was before the second write, the list of acknowledged writes as after it.
    let list = "acknowledged";
    std::fs::copy(dir.path().join(list), copy.path().join(list)).unwrap();
    let store = open(copy.path());
    let lost = store.lost_writes();
    assert_eq!(
        (lost.len(), lost[0].index.as_str(), lost[0].shard),
        (1, "T/b", 1)
    );
    assert_eq!(history(&store, 0), before.0);
    assert_ne!(history(&store, 1), before.1);
}

#[test]
fn concurrent_writers_and_changing_tenants_keep_the_counters_right() {
    let (dir, store) = store();
    tenanted(&store, "T", &["a", "b", "c"]);
    std::thread::scope(|scope| {
        for writer in 0..3u8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..30u8 {
                    let tenant = ["a", "b", "c"][usize::from(round % 3)];
                    let put = |n: u8| {
                        let object = object(n, json!({"round": round}));
                        ObjectOp::put("T", Some(tenant.to_owned()), object)
                    };
                    let count = ObjectOp::modify("T", Some(tenant.to_owned()), id(0), |object| {
                        let seen = object.properties.get("seen").and_then(Value::as_i64);
                        let seen = seen.unwrap_or(0) + 1;
                        object.properties.insert("seen".to_owned(), seen.into());
                        Ok(())
                    });
                    for outcome in store.write_objects(vec![put(writer + 1), put(round), count]) {
                        assert!(
                            outcome.as_ref().err().is_none_or(|error| matches!(
                                error,
                                StoreError::TenantNotActive { .. }
                                    | StoreError::TenantNotFound { .. }
                                    | StoreError::ObjectNotFound { .. }
                            )),
                            "{outcome:?}"
                        );
                    }
                }
            });
        }
        scope.spawn(|| {
            for round in 0..10 {
                let status = [TenantStatus::Cold, TenantStatus::Hot][round % 2];
                store.set_tenants("T", &statuses(&["b"], status)).unwrap();
                store.remove_tenants("T", &names(&["c"])).unwrap();
                store.add_tenants("T", &hot(&["c"])).unwrap();
            }
        });
    });
    let check = |store: &Store| {
        let view = store.view().unwrap();
        for shard in view.collection("T").unwrap().shards.iter() {
            let shard = view.collection_shard("T", shard.number).unwrap();
            let (mut digest, mut live) = (0u128, 0);
            shard
                .scan(0..u64::MAX, &mut |document| {
                    digest = digest.wrapping_add(document.hash());
                    live += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!((shard.digest(), shard.live_count()), (digest, live));
        }
    };
    check(&store);
    drop(store);
    let store = open(dir.path());
    assert!(store.lost_writes().is_empty());
    check(&store);
}

/// What a tenant should hold: id → properties and version.
type Model = BTreeMap<ObjectId, (Map<String, Value>, u64)>;

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, u8, u8)>),
    Remove(u8),
    Status(u8, bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let op = (0..4u8, 0..3u8, 0..8u8);
    prop_oneof![
        6 => prop::collection::vec(op, 1..12).prop_map(Step::Write),
        1 => (0..3u8).prop_map(Step::Remove),
        1 => (0..3u8, any::<bool>()).prop_map(|(tenant, is_hot)| Step::Status(tenant, is_hot)),
        1 => Just(Step::Reopen),
    ]
}

fn check(store: &Store, model: &BTreeMap<String, (bool, Model)>) {
    let view = store.view().unwrap();
    let meta = view.collection("T").unwrap();
    assert_eq!(meta.shards.len(), model.len());
    for (tenant, (is_hot, objects)) in model {
        let number = meta.shard(tenant).unwrap().number;
        let shard = view.collection_shard("T", number).unwrap();
        let mut digest = 0u128;
        let mut found = Model::new();
        shard
            .scan(0..u64::MAX, &mut |document| {
                digest = digest.wrapping_add(document.hash());
                let object = codec::decode(&document).unwrap();
                found.insert(object.id, (object.properties, object.version));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(&found, objects);
        assert_eq!(
            (shard.digest(), shard.live_count()),
            (digest, objects.len() as u64)
        );
        if *is_hot {
            let listed: Vec<ObjectId> = all(store, "T", Some(tenant))
                .iter()
                .map(|object| object.id)
                .collect();
            assert!(listed.iter().eq(objects.keys()));
        } else {
            assert!(view.count_objects("T", Some(tenant), None).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn tenants_agree_with_maps(steps in prop::collection::vec(step(), 1..25)) {
        let (dir, mut store) = store();
        tenanted(&store, "T", &[]);
        let mut model: BTreeMap<String, (bool, Model)> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(ops) => {
                    for (_, tenant, _) in &ops {
                        let tenant = format!("t{tenant}");
                        store.add_tenants("T", &hot(&[&tenant])).unwrap();
                        model.entry(tenant).or_insert((true, Model::new()));
                    }
                    let batch = ops.iter().map(|(kind, tenant, n)| {
                        let tenant = Some(format!("t{tenant}"));
                        match kind {
                            0 => ObjectOp::delete("T", tenant, id(*n)),
                            1 => ObjectOp::modify("T", tenant, id(*n), move |object| {
                                object.properties.insert("m".to_owned(), json!(number));
                                Ok(())
                            }),
                            _ => ObjectOp::put("T", tenant, object(*n, json!({"v": number}))),
                        }
                    });
                    let outcomes = store.write_objects(batch.collect());
                    for ((kind, tenant, n), outcome) in ops.iter().zip(outcomes) {
                        let (is_hot, objects) = model.get_mut(&format!("t{tenant}")).unwrap();
                        if !*is_hot {
                            prop_assert!(matches!(outcome, Err(StoreError::TenantNotActive { .. })), "{:?}", outcome);
                            continue;
                        }
                        match kind {
                            0 => {
                                outcome.unwrap();
                                objects.remove(&id(*n));
                            }
                            1 => match objects.get_mut(&id(*n)) {
                                Some((properties, version)) => {
                                    *version = outcome.unwrap().version;
                                    properties.insert("m".to_owned(), json!(number));
                                }
                                None => prop_assert!(outcome.unwrap_err().is_not_found()),
                            },
                            _ => {
                                let properties = object(*n, json!({"v": number})).properties;
                                objects.insert(id(*n), (properties, outcome.unwrap().version));
                            }
                        }
                    }
                }
                Step::Remove(tenant) => {
                    let tenant = format!("t{tenant}");
                    store.remove_tenants("T", std::slice::from_ref(&tenant)).unwrap();
                    model.remove(&tenant);
                }
                Step::Status(tenant, is_hot) => {
                    let tenant = format!("t{tenant}");
                    if let Some((known, _)) = model.get_mut(&tenant) {
                        *known = is_hot;
                        let status = if is_hot { TenantStatus::Hot } else { TenantStatus::Cold };
                        store.set_tenants("T", &[(tenant, status)]).unwrap();
                    }
                }
                Step::Reopen => {
                    drop(store);
                    store = open(dir.path());
                    prop_assert!(store.lost_writes().is_empty());
                }
            }
            check(&store, &model);
        }
    }
}
