//! Searches as specifications.

use super::*;

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
