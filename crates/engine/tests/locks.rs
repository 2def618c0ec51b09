//! Locked snapshots.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{World, open_at, some_documents};
use snapkeep_engine::{
    Clock, EngineError, Expected, NameTemplate, PolicyKey, PolicySpec, Retention, RunState,
    SimulatedTime,
};

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_767_227_400_000;

async fn world() -> (World, Clock, SimulatedTime) {
    let (clock, time) = Clock::simulated(START_MS);
    let world = open_at(Arc::new(tempfile::tempdir().unwrap()), clock.clone()).await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 20));
    (world, clock, time)
}

async fn delete(world: &World, names: &[&str]) -> Result<(), EngineError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    world.engine.delete_snapshots("backup", &names).await
}

fn is_locked<T>(result: &Result<T, EngineError>, until: i64) -> bool {
    matches!(result, Err(EngineError::SnapshotLocked { until_ms, .. }) if *until_ms == until)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_snapshot_is_deleted_by_nobody_until_its_date() {
    let (world, _, time) = world().await;
    world.snapshot("backup", "one", &["a"]).await;
    world.snapshot("backup", "two", &["a"]).await;
    let until = START_MS + 10 * DAY_MS;
    let locked = world
        .engine
        .lock_snapshot("backup", "one", until)
        .await
        .unwrap();
    assert_eq!(locked.locked_until_ms, Some(until));
    assert_eq!(
        world.engine.snapshot("backup", "one").await.unwrap(),
        locked
    );

    let refused = delete(&world, &["one"]).await;
    assert!(is_locked(&refused, until));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "[backup:one] is locked until 2026-01-11T00:30:00Z and cannot be deleted before"
    );
    // All or none.
    assert!(is_locked(&delete(&world, &["two", "one"]).await, until));
    assert_eq!(world.engine.snapshots("backup").await.unwrap().len(), 2);
    // Nor is it overwritten by a clone.
    let clone = world
        .engine
        .clone_snapshot("backup", "two", "one", &["a".into()])
        .await;
    assert!(matches!(clone, Err(EngineError::SnapshotExists { .. })));
    delete(&world, &["two"]).await.unwrap();

    time.set(until - 1);
    assert!(is_locked(&delete(&world, &["one"]).await, until));
    time.set(until);
    delete(&world, &["one"]).await.unwrap();
    let locks = world.repository_dir("backup").join("snapkeep/locks");
    assert_eq!(std::fs::read_dir(locks).map_or(0, Iterator::count), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_extended_but_not_shortened() {
    let (world, _, time) = world().await;
    world.snapshot("backup", "one", &["a"]).await;
    let lock = async |until| world.engine.lock_snapshot("backup", "one", until).await;
    let until = START_MS + 10 * DAY_MS;
    lock(until).await.unwrap();
    lock(until).await.unwrap();
    for shorter in [until - 1, START_MS, 0] {
        assert!(matches!(
            lock(shorter).await,
            Err(EngineError::LockShortened { until_ms, .. }) if until_ms == until
        ));
    }
    lock(until + DAY_MS).await.unwrap();
    time.set(until);
    assert!(is_locked(&delete(&world, &["one"]).await, until + DAY_MS));
    for wrong in [i64::MAX, START_MS + 200 * 366 * DAY_MS] {
        assert!(matches!(
            lock(wrong).await,
            Err(EngineError::LockRefused { .. })
        ));
    }
    // One that has ended is over.
    time.set(until + DAY_MS);
    assert!(matches!(
        lock(until).await,
        Err(EngineError::LockRefused { .. })
    ));
    delete(&world, &["one"]).await.unwrap();
    assert!(matches!(
        lock(until + 9 * DAY_MS).await,
        Err(EngineError::SnapshotMissing { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_survives_a_restart_and_a_lost_catalogue() {
    let (world, clock, _) = world().await;
    world.snapshot("backup", "one", &["a"]).await;
    let until = START_MS + 10 * DAY_MS;
    world
        .engine
        .lock_snapshot("backup", "one", until)
        .await
        .unwrap();
    let world = world.restart_at(clock.clone()).await;
    assert!(is_locked(&delete(&world, &["one"]).await, until));

    world.engine.shutdown(Duration::from_secs(5)).await;
    let folder = Arc::clone(&world.folder);
    drop(world);
    for name in [
        "catalogue.sqlite",
        "catalogue.sqlite-wal",
        "catalogue.sqlite-shm",
    ] {
        let _ = std::fs::remove_file(folder.path().join("data").join(name));
    }
    let world = open_at(folder, clock).await;
    world.register("backup").await;
    let found = world.engine.snapshot("backup", "one").await.unwrap();
    assert_eq!(found.locked_until_ms, Some(until));
    assert!(is_locked(&delete(&world, &["one"]).await, until));
    // Registered again under another name.
    world
        .register_with("other", serde_json::json!({ "location": "backup" }))
        .await
        .unwrap();
    let other = world
        .engine
        .delete_snapshots("other", &["one".into()])
        .await;
    assert!(is_locked(&other, until));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_in_the_repository_counts_whatever_the_catalogue_says() {
    let (world, _, _) = world().await;
    let info = world.snapshot("backup", "one", &["a"]).await;
    let until = START_MS + 10 * DAY_MS;
    let locks = world.repository_dir("backup").join("snapkeep/locks");
    std::fs::create_dir_all(&locks).unwrap();
    let file = locks.join(&info.uuid);
    let lock =
        serde_json::json!({ "format": 1, "uuid": info.uuid, "snapshot": "one", "until_ms": until });
    std::fs::write(&file, lock.to_string()).unwrap();
    assert!(is_locked(&delete(&world, &["one"]).await, until));
    // One that cannot be read does not look like none.
    std::fs::write(&file, "{").unwrap();
    assert!(matches!(
        delete(&world, &["one"]).await,
        Err(EngineError::RepositoryUnavailable { .. })
    ));
    std::fs::remove_file(&file).unwrap();
    delete(&world, &["one"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_locks_what_it_takes_and_its_retention_waits() {
    let (world, _, time) = world().await;
    let key = PolicyKey::native("locked");
    let template = NameTemplate::EpochMillis { prefix: "s".into() };
    let spec = PolicySpec {
        lock_ms: Some(3 * DAY_MS),
        retention: Retention {
            max_count: Some(1),
            ..Retention::default()
        },
        ..PolicySpec::new("backup", template)
    };
    world
        .engine
        .put_policy(&key, spec, Expected::Anything)
        .await
        .unwrap();
    let mut names = Vec::new();
    for day in 0..5 {
        if day > 0 {
            time.advance(DAY_MS);
        }
        let ticket = world.engine.run_policy(&key).await.unwrap();
        let info = world.engine.wait_snapshot(&ticket).await.unwrap();
        names.push(info.name.clone());
        // Also while it was still taken.
        assert!(is_locked(
            &delete(&world, &[&info.name]).await,
            info.start_ms + 3 * DAY_MS
        ));
        world.engine.run_due_policies().await.unwrap();
    }
    // Four days in: the first two locks have ended.
    assert_eq!(world.names().await, &names[2..]);
    let tomorrow = Some(START_MS + 5 * DAY_MS);
    let preview = world
        .engine
        .preview_retention(&key, tomorrow)
        .await
        .unwrap();
    let deleted: Vec<bool> = preview.iter().map(|verdict| verdict.delete).collect();
    assert_eq!(deleted, [true, false, false]);
    time.advance(DAY_MS);
    // The scheduler may have been faster.
    let run = world.engine.run_retention(&key).await.unwrap();
    assert_eq!(run.state, RunState::Success);
    assert_eq!(world.names().await, &names[3..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_snapshot_is_not_held_by_the_lock_of_its_policy() {
    let (world, _, time) = world().await;
    let key = PolicyKey::native("locked");
    let template = NameTemplate::EpochMillis { prefix: "s".into() };
    let spec = PolicySpec {
        lock_ms: Some(DAY_MS),
        ..PolicySpec::new("backup", template)
    };
    world
        .engine
        .put_policy(&key, spec, Expected::Anything)
        .await
        .unwrap();
    world
        .register_with(
            "backup",
            serde_json::json!({ "location": "backup", "max_snapshot_bytes_per_sec": "20kb" }),
        )
        .await
        .unwrap();
    world.put("a", some_documents(20, 20_000));
    let ticket = world.engine.run_policy(&key).await.unwrap();
    assert!(is_locked(
        &delete(&world, &[&ticket.name]).await,
        START_MS + DAY_MS
    ));
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    world.engine.run_due_policies().await.unwrap();
    time.advance(1);
    delete(&world, &[&ticket.name]).await.unwrap();
    assert!(world.engine.snapshots("backup").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_lock_and_a_deletion_at_the_same_moment_one_at_most_succeeds() {
    let (world, _, _) = world().await;
    let until = START_MS + DAY_MS;
    let (mut locked, mut deleted) = (0, 0);
    for round in 0..40_u64 {
        let name = format!("s-{round}");
        world.snapshot("backup", &name, &["a"]).await;
        let names = vec![name.clone()];
        let lock = async {
            tokio::time::sleep(Duration::from_micros(round * 97 % 1500)).await;
            world.engine.lock_snapshot("backup", &name, until).await
        };
        let (lock, delete) = tokio::join!(lock, world.engine.delete_snapshots("backup", &names));
        let there = world.engine.snapshot("backup", &name).await.is_ok();
        assert!(
            !(lock.is_ok() && delete.is_ok()),
            "{name} was locked and deleted"
        );
        assert_eq!(there, delete.is_err(), "{name}");
        locked += u32::from(lock.is_ok());
        deleted += u32::from(delete.is_ok());
    }
    assert!(locked + deleted > 0);
}
