//! Prints the rates of a collection on this machine: bulk load, scan, search, listing, restore.
//!
//! `cargo run --release -p snapkeep-store --example collection_rates [objects] [dimensions]`

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Map, Value};
use snapkeep_store::collections::{
    CollectionRestore, CollectionSpec, Comparison, Condition, Filter, FilterPath, FilterValue,
    Metric, NearVector, NewObject, ObjectId, ObjectOp, ObjectQuery, ObjectVector, QueryVector,
    TenantStatus,
};
use snapkeep_store::{RestoredDocument, ShardProof, ShardView, Store, StoreOptions};

const BATCH: usize = 1_000;
const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let objects: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let dims: usize = arguments.next().map_or(Ok(768), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), &StoreOptions::default())?;
    store.create_collection(CollectionSpec {
        name: "Article".to_owned(),
        shards: vec!["s".to_owned()],
        ..CollectionSpec::default()
    })?;

    let start = Instant::now();
    load(&store, objects, dims);
    report("load, batches of 1,000, made on the way", start, objects);
    println!("    memory {} MB", memory_mb("VmRSS:"));

    let view = store.view()?;
    let shard = view.collection_shard("Article", 0).ok_or("no shard")?;
    let start = Instant::now();
    let digest = scan(&shard);
    report("scan with digest", start, objects);
    assert_eq!(digest, shard.digest());

    for metric in [Metric::Cosine, Metric::L2Squared] {
        let start = Instant::now();
        let hits = view.search_objects(&ObjectQuery {
            collection: "Article".to_owned(),
            near: Some(NearVector {
                target: String::new(),
                vector: QueryVector::Single(vector(7, dims)),
                metric,
                max_distance: None,
            }),
            limit: 10,
            ..ObjectQuery::default()
        })?;
        assert_eq!(hits[0].object.id, id(7));
        report(&format!("nearest 10, {metric:?}"), start, objects);
    }
    let filter = Filter::Is(Condition {
        path: FilterPath::property("n"),
        comparison: Comparison::LessThan(FilterValue::Number(10.0)),
    });
    let start = Instant::now();
    assert_eq!(view.count_objects("Article", None, Some(&filter))?, 10);
    report("count with a filter", start, objects);
    let start = Instant::now();
    let mut listed = 0;
    view.objects_after("Article", None, None, &mut |_| {
        listed += 1;
        ControlFlow::Continue(())
    })?;
    assert_eq!(listed, objects);
    report("list all by id", start, objects);

    let mut all = Vec::with_capacity(objects);
    shard.scan(0..u64::MAX, &mut |document| {
        all.push(RestoredDocument {
            id: document.id.to_owned(),
            routing: None,
            version: document.version,
            seq_no: document.seq_no,
            source: document.source.to_vec(),
            tail: document.tail.to_vec(),
        });
        ControlFlow::Continue(())
    })?;
    let proof = ShardProof {
        live: shard.live_count(),
        digest,
    };
    let start = Instant::now();
    restore(&store, all, proof)?;
    report("restore", start, objects);
    println!(
        "peak memory {} MB (the copy to restore included)",
        memory_mb("VmHWM:")
    );
    Ok(())
}

fn load(store: &Store, objects: usize, dims: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= objects {
                        return;
                    }
                    let numbers = from..(from + BATCH).min(objects);
                    let ops = numbers.map(|n| ObjectOp::put("Article", None, object(n, dims)));
                    for outcome in store.write_objects(ops.collect()) {
                        assert!(outcome.is_ok(), "{outcome:?}");
                    }
                }
            });
        }
    });
}

fn scan(shard: &ShardView) -> u128 {
    let ranges = shard.split(4 << 20);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            let mut digest = 0u128;
            while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                let scanned = shard.scan(range.clone(), &mut |document| {
                    digest = digest.wrapping_add(document.hash());
                    ControlFlow::Continue(())
                });
                assert!(scanned.is_ok());
            }
            digest
        };
        let handles: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or(0))
            .fold(0, u128::wrapping_add)
    })
}

fn restore(
    store: &Store,
    mut all: Vec<RestoredDocument>,
    proof: ShardProof,
) -> Result<(), Box<dyn Error>> {
    let restore = CollectionRestore {
        name: "Restored".to_owned(),
        class: Value::Null,
        multi_tenant: false,
        shards: vec![("s".to_owned(), TenantStatus::Hot)],
        aliases: Vec::new(),
        overwrite_aliases: false,
        replace_existing: false,
        created_ms: None,
    };
    let target = store.begin_collections_restore(vec![restore], &BTreeMap::new())?;
    let half = all.split_off(all.len() / 2);
    std::thread::scope(|scope| {
        for part in [all, half] {
            let target = &target;
            scope.spawn(move || {
                let mut part = part.into_iter().peekable();
                while part.peek().is_some() {
                    let loaded = target.load(0, 0, part.by_ref().take(BATCH).collect());
                    assert!(loaded.is_ok(), "{loaded:?}");
                }
            });
        }
    });
    target.finish(vec![vec![proof]])?;
    Ok(())
}

fn id(n: usize) -> ObjectId {
    // Spread over all ids, as random ones are.
    let mixed = (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    ObjectId(mixed.to_be_bytes())
}

fn vector(n: usize, dims: usize) -> Vec<f32> {
    let mut state = n as u64 + 1;
    (0..dims)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn object(n: usize, dims: usize) -> NewObject {
    let mut properties = Map::new();
    properties.insert("n".to_owned(), Value::from(n));
    let text: String = (0..8)
        .map(|part| format!("{:x} ", (n + part) * 2_654_435_761))
        .collect();
    properties.insert("title".to_owned(), Value::from(text.as_str()));
    properties.insert("text".to_owned(), Value::from(text.repeat(3)));
    let mut object = NewObject::new(id(n), properties);
    object.vectors = vec![ObjectVector::single("", vector(n, dims))];
    object
}

fn report(what: &str, start: Instant, objects: usize) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {seconds:.2} s, {:.0} objects/s",
        objects as f64 / seconds
    );
}

fn memory_mb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) >> 10
}
