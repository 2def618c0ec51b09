//! Prints the store's rates on this machine: bulk load, view, scan, overwrite, search, restore.
//!
//! `cargo run --release -p snapkeep-store --example rates [documents]`

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;
use snapkeep_store::search::{SearchRequest, search};
use snapkeep_store::{
    IndexSpec, RestoreSpec, RestoredDocument, ShardProof, ShardView, Store, StoreOptions, WriteOp,
    WriteOptions,
};

const BATCH: usize = 2_000;
const WORDS: [&str; 16] = [
    "north", "harbour", "signal", "copper", "lantern", "meadow", "ledger", "river", "granite",
    "window", "orchard", "timber", "compass", "violet", "summit", "anchor",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let documents: usize = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 300_000,
    };
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), &StoreOptions::default())?;
    let sources: Vec<Vec<u8>> = (0..documents).map(|n| source(n as u64)).collect();
    let bytes: usize = sources.iter().map(Vec::len).sum();
    println!(
        "{documents} documents of {} bytes",
        bytes / documents.max(1)
    );

    for (index, threads, has_id) in [("one", 1, true), ("two", 2, true), ("auto", 2, false)] {
        let start = Instant::now();
        let slowest = load(&store, index, &sources, threads, has_id);
        let label = format!(
            "bulk load, {threads} thread(s), ids {}",
            if has_id { "given" } else { "made" }
        );
        report(&label, start, documents, bytes);
        let memory = memory_mb("VmRSS:").saturating_sub(bytes as u64 >> 20);
        println!("    slowest batch {slowest} ms; memory {memory} MB");
    }
    store.delete_index("two")?;
    store.delete_index("auto")?;

    let start = Instant::now();
    for n in 0..100 {
        store.create_index(&format!("small-{n}"), IndexSpec::default())?;
    }
    println!("creation of 100 indices: {:?}", start.elapsed());
    let start = Instant::now();
    for n in 0..100 {
        store.delete_index(&format!("small-{n}"))?;
    }
    println!("deletion of 100 indices: {:?}", start.elapsed());

    let start = Instant::now();
    let view = store.view()?;
    println!("view: {:?}", start.elapsed());
    let shard = view.shard("one", 0).ok_or("no shard")?;
    for threads in [1, 2] {
        let start = Instant::now();
        let digest = scan(&shard, threads);
        report(
            &format!("scan with digest, {threads} thread(s)"),
            start,
            documents,
            bytes,
        );
        assert_eq!(digest, shard.digest());
    }

    let mut all = Vec::with_capacity(documents);
    shard.scan(0..u64::MAX, &mut |document| {
        all.push(RestoredDocument {
            id: document.id.to_owned(),
            routing: None,
            version: document.version,
            seq_no: document.seq_no,
            source: document.source.to_vec(),
            tail: Vec::new(),
        });
        ControlFlow::Continue(())
    })?;
    let proof = ShardProof {
        live: shard.live_count(),
        digest: shard.digest(),
    };
    let start = Instant::now();
    restore(&store, all, proof)?;
    report("restore, 2 threads", start, documents, bytes);

    let start = Instant::now();
    let changed = documents / 100;
    let ops = (0..changed)
        .map(|n| {
            let n = n * 97 % documents;
            WriteOp::index(
                "one",
                Some(format!("doc-{n}")),
                source(n as u64 + 1_000_000),
            )
        })
        .collect();
    store.write(ops, &WriteOptions::default());
    report(
        "overwrite 1 % in one batch",
        start,
        changed,
        changed * bytes / documents.max(1),
    );

    for body in [
        json!({"query": {"match": {"text": "harbour"}}, "track_total_hits": true}),
        json!({"sort": [{"n": "desc"}]}),
        json!({"size": 1000}),
    ] {
        let request = SearchRequest::parse(&body)?;
        let start = Instant::now();
        search(&store.peek(), &["one".to_owned()], &request)?;
        println!("search {body}: {:?}", start.elapsed());
    }
    let peak = memory_mb("VmHWM:");
    println!("peak memory {peak} MB (the generated sources included)");
    Ok(())
}

fn source(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let text: Vec<&str> = (0..100).map(|_| WORDS[(random() % 16) as usize]).collect();
    let hex: String = (0..4).map(|_| format!("{:016x}", random())).collect();
    json!({
        "status": WORDS[(random() % 4) as usize], "n": n, "price": (random() % 10_000) as f64 / 100.0,
        "when": "2026-11-21T10:00:00Z", "text": text.join(" "), "hex": hex,
    })
    .to_string()
    .into_bytes()
}

/// Returns the slowest batch in milliseconds.
fn load(store: &Store, index: &str, sources: &[Vec<u8>], threads: usize, has_id: bool) -> u128 {
    let next = AtomicUsize::new(0);
    let slowest = std::sync::Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= sources.len() {
                        return;
                    }
                    let to = (from + BATCH).min(sources.len());
                    let ops = (from..to)
                        .map(|n| {
                            let id = has_id.then(|| format!("doc-{n}"));
                            WriteOp::index(index, id, sources[n].clone())
                        })
                        .collect();
                    let start = Instant::now();
                    let outcomes = store.write(ops, &WriteOptions::default());
                    assert!(outcomes.iter().all(Result::is_ok));
                    if let Ok(mut slowest) = slowest.lock() {
                        *slowest = start.elapsed().as_millis().max(*slowest);
                    }
                }
            });
        }
    });
    slowest.into_inner().unwrap_or(0)
}

fn scan(shard: &ShardView, threads: usize) -> u128 {
    let ranges = shard.split(4 << 20);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut digest = 0u128;
        while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = shard.scan(range.clone(), &mut |document| {
                digest = digest.wrapping_add(document.hash());
                ControlFlow::Continue(())
            });
            assert!(outcome.is_ok());
        }
        digest
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .fold(0u128, u128::wrapping_add)
    })
}

fn restore(
    store: &Store,
    all: Vec<RestoredDocument>,
    proof: ShardProof,
) -> Result<(), Box<dyn std::error::Error>> {
    let target = store.begin_restore(RestoreSpec {
        name: "restored".to_owned(),
        settings: Default::default(),
        mappings: json!({}),
        aliases: Default::default(),
        shards: 1,
        replace_closed: false,
    })?;
    let mut parts: Vec<Vec<RestoredDocument>> = Vec::new();
    for document in all {
        match parts.last_mut() {
            Some(part) if part.len() < 1_000 => part.push(document),
            _ => parts.push(vec![document]),
        }
    }
    let parts = std::sync::Mutex::new(parts.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let part = parts.lock().ok().and_then(|mut parts| parts.next());
                    let Some(part) = part else { return };
                    assert!(target.load(0, part).is_ok());
                }
            });
        }
    });
    target.finish(vec![proof])?;
    Ok(())
}

fn report(what: &str, start: Instant, documents: usize, bytes: usize) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {seconds:.2} s, {:.0} documents/s, {:.0} MB/s",
        documents as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
}

fn memory_mb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}
