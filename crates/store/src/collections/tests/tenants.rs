//! Tenants as specifications.

use super::*;

/// Waits until the rows of removed tenants are gone.
fn finish_removals(store: &Store, collection: &str) {
    let catalogue = store.core.catalogue();
    let shared = &catalogue.collections.get(collection).unwrap().shared;
    while !shared.purged().is_empty() {
        store.core.doomed.purge(&store.core.db, &store.core.guard);
        std::thread::yield_now();
    }
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
fn thousands_of_tenants_are_written_in_one_batch() {
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
