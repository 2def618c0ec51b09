//! Collections and their objects as specifications.

use super::*;

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
