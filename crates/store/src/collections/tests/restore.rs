//! Restores of collections as specifications.

use super::*;

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

    let target = store
        .begin_collections_restore(restores(), &BTreeMap::new())
        .unwrap();
    assert_eq!(store.restoring_collections(), ["A2", "T2"]);
    assert!(matches!(
        store.begin_collections_restore(restores(), &BTreeMap::new()),
        Err(StoreError::CollectionRestoring { .. })
    ));
    load(&target);
    let mut wrong = second_proofs.clone();
    wrong[1].digest ^= 1;
    let refused = target.finish(vec![first_proofs.clone(), wrong]);
    assert!(matches!(refused, Err(StoreError::ProofMismatch { .. })));
    assert_eq!(store.collections().len(), 2);
    assert!(store.restoring_collections().is_empty());

    let target = store
        .begin_collections_restore(restores(), &BTreeMap::new())
        .unwrap();
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
        store.begin_collections_restore(vec![restore_of(&store, "A", "A2")], &BTreeMap::new()),
        Err(StoreError::CollectionExists { .. })
    ));
    one(&store, put("A2", 98, json!({}))).unwrap();
    let replace = CollectionRestore {
        replace_existing: true,
        ..restore_of(&store, "A", "A2")
    };
    let uuid = store.collection("A2").unwrap().uuid.clone();
    let target = store
        .begin_collections_restore(vec![replace], &BTreeMap::new())
        .unwrap();
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
    let target = store
        .begin_collections_restore(vec![restore], &BTreeMap::new())
        .unwrap();
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
fn references_follow_what_is_renamed_and_the_proof_is_over_what_was_captured() {
    let (dir, store) = store();
    for (name, property) in [("A", json!(["A"])), ("B", json!(["A", "C"]))] {
        let class = json!({"class": name, "properties": [{"name": "to", "dataType": property}]});
        let spec = CollectionSpec {
            name: name.to_owned(),
            class,
            multi_tenant: false,
            shards: names(&["x", "y"]),
        };
        store.create_collection(spec).unwrap();
        for n in 0..50 {
            let to =
                |class: &str| json!({"beacon": format!("weaviate://localhost/{class}/{}", id(n))});
            let properties = json!({"to": [to("A"), to("C")], "text": format!("weaviate://localhost/A/{}", id(n))});
            one(&store, put(name, n, properties)).unwrap();
        }
    }
    let originals = ["A", "B"].map(|name| captured(&store, name));
    let renamed: BTreeMap<_, _> = [("A", "Longer"), ("B", "B2")]
        .map(|(old, new)| (old.to_owned(), new.to_owned()))
        .into();
    let restores = || {
        vec![
            restore_of(&store, "A", "Longer"),
            restore_of(&store, "B", "B2"),
        ]
    };
    let load = || {
        let target = store
            .begin_collections_restore(restores(), &renamed)
            .unwrap();
        for (number, (shards, _)) in originals.iter().enumerate() {
            for (shard, objects) in shards.iter().enumerate() {
                target.load(number, shard as u16, objects.clone()).unwrap();
            }
        }
        target
    };
    let proofs = || {
        originals
            .iter()
            .map(|(_, proofs)| proofs.clone())
            .collect::<Vec<_>>()
    };
    let mut wrong = proofs();
    wrong[1][0].digest ^= 1;
    let refused = load().finish(wrong);
    assert!(matches!(refused, Err(StoreError::ProofMismatch { .. })));
    load().finish(proofs()).unwrap();

    let check = |store: &Store| {
        for (old, new) in &renamed {
            let (_, before) = captured(store, old);
            let (shards, after) = captured(store, new);
            for ((objects, before), after) in shards.iter().zip(&before).zip(&after) {
                assert_eq!(before.live, after.live);
                assert_ne!(before.digest, after.digest);
                // The count and the digest of the new collection are those of what is in it.
                assert_eq!(*after, proof_of(objects));
            }
            for (before, after) in all(store, old, None).into_iter().zip(all(store, new, None)) {
                let expected = before.properties["to"]
                    .to_string()
                    .replace("/A/", "/Longer/");
                assert_eq!(after.properties["to"].to_string(), expected);
                assert_eq!(after.properties["text"], before.properties["text"]);
            }
        }
        let class = &store.collection("B2").unwrap().class;
        assert_eq!(class["properties"][0]["dataType"], json!(["Longer", "C"]));
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

fn proof_of(objects: &[RestoredDocument]) -> ShardProof {
    let hash = |object: &RestoredDocument| {
        let RestoredDocument {
            id,
            version,
            seq_no,
            source,
            tail,
            ..
        } = object;
        crate::document_hash(id, None, *version, *seq_no, source, tail)
    };
    ShardProof {
        live: objects.len() as u64,
        digest: objects.iter().map(hash).fold(0, u128::wrapping_add),
    }
}
