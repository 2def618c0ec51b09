//! Tenants against a model: maps of objects. Counters, digests, listings and reopening must agree with it
//! after any sequence of operations.

use super::*;

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
