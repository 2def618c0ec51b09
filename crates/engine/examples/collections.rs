//! Prints how fast a collection of random vectors is backed up and restored on this machine, what that stores, and how much writes
//! suffer meanwhile.
//!
//! `cargo run --release -p snapkeep-engine --example collections [objects] [dimensions]`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{
    CreateSnapshot, Engine, EngineConfig, NameRules, RepositorySpec, RestoreRequest, SnapshotState,
};
use snapkeep_store::collections::{CollectionSpec, NewObject, ObjectId, ObjectOp, ObjectVector};
use snapkeep_store::{Store, StoreOptions};

const BATCH: u64 = 500;
const CLASS: &str = "Article";

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u64| arguments.next().map_or(Ok(or), |text| text.parse());
    let (objects, dims) = (number(100_000)?, number(768)? as usize);
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("store"), &StoreOptions::default())?;
    let config = EngineConfig {
        snapshot_bytes_per_sec: None,
        restore_bytes_per_sec: None,
        ..EngineConfig::new(folder.path().join("data"))
    };
    let engine = Engine::start(config, Arc::new(StoreDriver::new(store.clone()))).await?;
    let settings = Map::from_iter([("location".to_owned(), json!("r"))]);
    let kind = "fs".to_owned();
    let spec = RepositorySpec { kind, settings };
    engine.put_repository("r", spec, true).await?;
    store.create_collection(CollectionSpec {
        name: CLASS.to_owned(),
        class: json!({ "class": CLASS }),
        multi_tenant: false,
        shards: vec!["shard".to_owned()],
    })?;

    let started = Instant::now();
    for first in (0..objects).step_by(BATCH as usize) {
        put(
            &store,
            (first..objects.min(first + BATCH)).map(|at| object(at, at, dims)),
        )?;
    }
    report("load", started, objects);

    let base = resident_mib("VmRSS:");
    back_up(&engine, "first", base).await?;
    back_up(&engine, "unchanged", base).await?;
    put(
        &store,
        (0..objects / 100).map(|at| object(at * 97 % objects, at + objects, dims)),
    )?;
    back_up(&engine, "one-percent", base).await?;

    for (label, replaces) in [("restore", false), ("restore over it", true)] {
        let started = Instant::now();
        let mut request = RestoreRequest {
            collections: vec![CLASS.to_owned()],
            ..RestoreRequest::default()
        };
        if replaces {
            request.on_conflict = snapkeep_engine::OnConflict::Overwrite;
        } else {
            request
                .collection_rename
                .insert(CLASS.to_owned(), "Copy".to_owned());
        }
        let ticket = engine.restore("r", "one-percent", request).await?;
        let restored = engine.wait_restore(&ticket).await?;
        if let Some(error) = restored.error {
            return Err(error.into());
        }
        report(label, started, objects);
    }

    let idle = writes(&store, dims, objects, || false)?;
    let settings = Map::from_iter([("location".to_owned(), json!("busy"))]);
    let kind = "fs".to_owned();
    engine
        .put_repository("busy", RepositorySpec { kind, settings }, true)
        .await?;
    let ended = Arc::new(AtomicBool::new(false));
    let busy = {
        let (store, ended) = (store.clone(), Arc::clone(&ended));
        tokio::task::spawn_blocking(move || {
            writes(&store, dims, objects, || ended.load(Ordering::Relaxed))
        })
    };
    let started = Instant::now();
    let request = request("busy");
    let ticket = engine.create_snapshot("busy", request).await?;
    engine.wait_snapshot(&ticket).await?;
    let took = started.elapsed();
    ended.store(true, Ordering::Relaxed);
    let busy = busy.await??;
    println!(
        "writes: {idle:.0} objects/s idle, {busy:.0} beside a backup of {took:.1?} ({:.0} %)",
        busy / idle * 100.0
    );
    engine.shutdown(Duration::from_secs(30)).await;
    Ok(())
}

fn request(name: &str) -> CreateSnapshot {
    CreateSnapshot {
        name: name.to_owned(),
        collections: vec![CLASS.to_owned()],
        naming: NameRules::Free,
        ..CreateSnapshot::default()
    }
}

async fn back_up(engine: &Engine, name: &str, base_mib: u64) -> Fallible<()> {
    let started = Instant::now();
    let peak = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let watch = {
        let (peak, ended) = (Arc::clone(&peak), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident_mib("RssAnon:"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let before = resident_mib("RssAnon:");
    let ticket = engine.create_snapshot("r", request(name)).await?;
    let info = engine.wait_snapshot(&ticket).await?;
    let took = started.elapsed();
    ended.store(true, Ordering::Relaxed);
    let _ = watch.join();
    if info.state != SnapshotState::Success {
        return Err(info.reason.unwrap_or_default().into());
    }
    let status = engine.snapshot_status("r", name).await?;
    println!(
        "backup {name}: {took:.2?}, {:.2} MiB stored, memory {before} MiB before, {} MiB at most (RSS at first {base_mib} MiB)",
        status.stored_bytes as f64 / f64::from(1 << 20),
        peak.load(Ordering::Relaxed)
    );
    Ok(())
}

/// Overwrites objects for three seconds, or until told; objects a second.
fn writes(store: &Store, dims: usize, objects: u64, ended: impl Fn() -> bool) -> Fallible<f64> {
    let started = Instant::now();
    let mut written = 0;
    while started.elapsed() < Duration::from_secs(3) && !ended() {
        put(
            store,
            (written..written + 20).map(|at| object(at % objects, at, dims)),
        )?;
        written += 20;
    }
    Ok(written as f64 / started.elapsed().as_secs_f64())
}

fn put(store: &Store, objects: impl Iterator<Item = NewObject>) -> Fallible<()> {
    let ops = objects
        .map(|object| ObjectOp::put(CLASS, None, object))
        .collect();
    for outcome in store.write_objects(ops) {
        outcome?;
    }
    Ok(())
}

/// 400 bytes of words, and a vector of random numbers.
fn object(number: u64, seed: u64, dims: usize) -> NewObject {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let text: String = (0..50)
        .map(|_| format!("{:07x} ", next() & 0xFFF_FFFF))
        .collect();
    let values = (0..dims).map(|_| (next() >> 40) as f32 / 8_388_608.0 - 1.0);
    let vectors = vec![ObjectVector::single("", values.collect())];
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0xD129_1A2B_9E37_79B9).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    let properties = Map::from_iter([("text".to_owned(), Value::from(text))]);
    NewObject {
        vectors,
        ..NewObject::new(ObjectId(id), properties)
    }
}

fn report(label: &str, started: Instant, objects: u64) {
    let took = started.elapsed();
    println!(
        "{label}: {took:.2?}, {:.0} objects/s",
        objects as f64 / took.as_secs_f64()
    );
}

/// A line of /proc/self/status in MiB; 0 where there is none.
fn resident_mib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
