//! Running, cancelling, deleting and cloning snapshots; restarts.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{World, config, folder_bytes, restore_request, some_documents, world};
use serde_json::json;
use snapkeep_engine::{
    CheckRequest, Clock, Engine, EngineError, JobKind, JobState, SnapshotPhase, SnapshotState,
};

/// A world with a snapshot `slow` of 20,000 documents that would take minutes.
async fn with_slow_snapshot() -> (World, snapkeep_engine::SnapshotTicket) {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 100));
    world.snapshot("backup", "before", &["a"]).await;
    world.put("a", some_documents(0, 20_000));
    let slow = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "20kb" });
    world.register_with("backup", slow).await.unwrap();
    let ticket = world.begin("backup", "slow", &["a"]).await.unwrap();
    (world, ticket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_snapshot_is_listed_and_its_name_is_taken() {
    let (world, ticket) = with_slow_snapshot().await;
    let listed = world.engine.snapshots("backup").await.unwrap();
    assert_eq!(listed[1].state, SnapshotState::InProgress);
    assert_eq!((listed[1].end_ms, listed[1].shards_total), (None, 1));
    let status = world
        .engine
        .snapshot_status("backup", "slow")
        .await
        .unwrap();
    assert!(matches!(
        status.phase,
        SnapshotPhase::Init | SnapshotPhase::Started
    ));
    assert_eq!(status.indices[0].shards.len(), 1);
    let taken = world.begin("backup", "slow", &["a"]).await.unwrap_err();
    assert!(
        matches!(taken, EngineError::SnapshotExists { running: true, .. }),
        "{taken}"
    );
    assert!(matches!(
        world.engine.cleanup("backup").await,
        Err(EngineError::CleanupWhileRunning { running, .. }) if running == ["slow"]
    ));
    assert_eq!(world.engine.indices_in_snapshots(), ["a"]);
    let jobs = world.engine.jobs().await.unwrap();
    assert_eq!(
        (jobs[0].id.as_str(), jobs[0].state, jobs[0].kind),
        (ticket.job_id.as_str(), JobState::Running, JobKind::Snapshot)
    );
    world
        .engine
        .delete_snapshots("backup", &["slow".into()])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_running_snapshot_stops_it_within_two_seconds_and_leaves_the_repository_as_it_was()
 {
    let (world, ticket) = with_slow_snapshot().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    world
        .engine
        .delete_snapshots("backup", &["slow".into()])
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let names: Vec<String> = world
        .engine
        .snapshots("backup")
        .await
        .unwrap()
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(names, ["before"]);
    assert!(matches!(
        world.engine.wait_snapshot(&ticket).await,
        Err(EngineError::SnapshotMissing { .. })
    ));
    assert_eq!(
        world.engine.job(&ticket.job_id).await.unwrap().state,
        JobState::Cancelled
    );
    let snapshots = std::fs::read_dir(world.repository_dir("backup").join("snapshots"))
        .unwrap()
        .count();
    assert_eq!(snapshots, 1);
    let check = world
        .engine
        .check("backup", CheckRequest::All)
        .await
        .unwrap();
    let report = world.engine.wait_job(&check.job_id).await.unwrap();
    assert_eq!(report.state, JobState::Succeeded, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_deleted_and_taken_while_one_runs_and_everybody_is_told() {
    let (world, slow) = with_slow_snapshot().await;
    let mut events = world.engine.subscribe();
    world
        .engine
        .delete_snapshots("backup", &["before".into()])
        .await
        .unwrap();
    world
        .register_with("other", json!({ "location": "other" }))
        .await
        .unwrap();
    let other = world.snapshot("other", "quick", &["a"]).await;
    assert_eq!(other.state, SnapshotState::Success);
    assert!(
        !world
            .engine
            .job(&slow.job_id)
            .await
            .unwrap()
            .state
            .is_finished()
    );
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push((event.job.kind, event.job.state));
    }
    for expected in [
        (JobKind::Delete, JobState::Running),
        (JobKind::Delete, JobState::Succeeded),
        (JobKind::Snapshot, JobState::Succeeded),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    world
        .register_with("backup", json!({ "location": "backup" }))
        .await
        .unwrap();
    let info = world.engine.wait_snapshot(&slow).await.unwrap();
    assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
    let before = world.documents("a");
    world.store.delete_index("a").unwrap();
    world
        .restore("backup", "slow", restore_request(&["a"]))
        .await
        .unwrap();
    assert_eq!(world.documents("a"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_leaves_a_failed_snapshot_with_the_reason() {
    let (world, ticket) = with_slow_snapshot().await;
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    let info = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(
        (info.state, info.reason.as_deref()),
        (SnapshotState::Failed, Some("cancelled on request"))
    );
    let refused = world
        .restore("backup", "slow", restore_request(&["a"]))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("unsupported snapshot state [FAILED]"),
        "{refused}"
    );
    world
        .engine
        .delete_snapshots("backup", &["slow".into()])
        .await
        .unwrap();
    assert_eq!(world.engine.snapshots("backup").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_fails_what_does_not_end_in_time_with_the_reason() {
    let (world, _) = with_slow_snapshot().await;
    let begun = Instant::now();
    world.engine.shutdown(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    let world = common::open(folder).await;
    let info = world.engine.snapshot("backup", "slow").await.unwrap();
    assert_eq!(
        (info.state, info.reason.as_deref()),
        (SnapshotState::Failed, Some("the server was shut down"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_show_the_moment_they_were_asked_for_and_run_side_by_side() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 500));
    let mut moments = Vec::new();
    for number in 0..8_u64 {
        let name = format!("s{number}");
        moments.push((
            world.begin("backup", &name, &["a"]).await.unwrap(),
            world.documents("a"),
        ));
        world.put("a", some_documents(number * 100, 120));
    }
    for (ticket, documents) in moments {
        let info = world.engine.wait_snapshot(&ticket).await.unwrap();
        assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
        let restored = common::renamed(&["a"], "a", &ticket.name);
        world
            .restore("backup", &ticket.name, restored)
            .await
            .unwrap();
        assert_eq!(world.documents(&ticket.name), documents);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_follow_the_rules_before_anything_else() {
    let world = world().await;
    let refused = world.begin("nowhere", "Upper", &[]).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "[nowhere:Upper] Invalid snapshot name [Upper], must be lowercase"
    );
    let missing = world.begin("nowhere", "lower", &[]).await.unwrap_err();
    assert!(matches!(missing, EngineError::RepositoryMissing { .. }));
    world.register("backup").await;
    world.snapshot("backup", "one", &[]).await;
    let exists = world.begin("backup", "one", &[]).await.unwrap_err();
    assert!(matches!(
        exists,
        EngineError::SnapshotExists { running: false, .. }
    ));
    let index = world.begin("backup", "two", &["nope"]).await.unwrap_err();
    assert!(matches!(index, EngineError::IndexMissing { .. }));
    assert_eq!(world.engine.snapshots("backup").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn date_math_in_a_name_is_resolved_by_the_clock() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let store =
        snapkeep_store::Store::open(&folder.path().join("store"), &Default::default()).unwrap();
    let mut config = config(&folder);
    config.clock = Clock::from_fn(|| 1_795_256_430_456);
    let driver = std::sync::Arc::new(snapkeep_drivers::StoreDriver::new(store.clone()));
    let engine = Engine::start(config, driver).await.unwrap();
    let world = World {
        folder,
        store,
        engine,
    };
    world.register("backup").await;
    let ticket = world.begin("backup", "<snap-{now/d}>", &[]).await.unwrap();
    assert_eq!(ticket.name, "snap-2026.11.21");
    let info = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(info.start_ms, 1_795_256_430_456);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_holds_some_indices_and_outlives_its_source() {
    let world = world().await;
    world.register("backup").await;
    for name in ["a", "b"] {
        world.create_index(name, 1);
        world.put(name, some_documents(0, 200));
    }
    world.snapshot("backup", "source", &["a", "b"]).await;
    let before = world.documents("a");
    let size = folder_bytes(&world.repository_dir("backup").join("data"));
    let clone = world
        .engine
        .clone_snapshot("backup", "source", "copy", &["a".into()])
        .await
        .unwrap();
    assert_eq!(
        (clone.state, clone.index_names()),
        (SnapshotState::Success, vec!["a".to_owned()])
    );
    assert!(folder_bytes(&world.repository_dir("backup").join("data")) < size + 8192);
    let nothing = world
        .engine
        .clone_snapshot("backup", "source", "other", &["c".into()])
        .await
        .unwrap_err();
    assert!(matches!(nothing, EngineError::CloneNothing { .. }));
    let taken = world
        .engine
        .clone_snapshot("backup", "source", "copy", &["a".into()])
        .await
        .unwrap_err();
    assert!(matches!(taken, EngineError::SnapshotExists { .. }));
    world
        .engine
        .delete_snapshots("backup", &["source".into()])
        .await
        .unwrap();
    world.engine.cleanup("backup").await.unwrap();
    world.store.delete_index("a").unwrap();
    world
        .restore("backup", "copy", restore_request(&["a"]))
        .await
        .unwrap();
    assert_eq!(world.documents("a"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_all_gives_the_space_back() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 5000));
    world.snapshot("backup", "one", &["a"]).await;
    let data = world.repository_dir("backup").join("data");
    let before = folder_bytes(&data);
    let missing = world
        .engine
        .delete_snapshots("backup", &["one".into(), "nope".into()])
        .await
        .unwrap_err();
    assert!(matches!(missing, EngineError::SnapshotMissing { snapshot, .. } if snapshot == "nope"));
    assert_eq!(world.engine.snapshots("backup").await.unwrap().len(), 1);
    world
        .engine
        .delete_snapshots("backup", &["one".into()])
        .await
        .unwrap();
    world.engine.cleanup("backup").await.unwrap();
    let after = folder_bytes(&data);
    assert!(after * 20 < before, "{after} of {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_survive_a_restart_and_one_engine_has_the_folder() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 50));
    let info = world.snapshot("backup", "one", &["a"]).await;
    let driver = std::sync::Arc::new(snapkeep_drivers::StoreDriver::new(world.store.clone()));
    let second = Engine::start(config(&world.folder), driver)
        .await
        .unwrap_err();
    assert!(
        matches!(second, EngineError::DataDirectoryInUse { .. }),
        "{second}"
    );
    let world = world.restart().await;
    assert_eq!(world.engine.snapshots("backup").await.unwrap(), [info]);
    world.put("a", some_documents(50, 5));
    let next = world.snapshot("backup", "two", &["a"]).await;
    assert_eq!(next.indices[0].max_segments_per_shard, 2);
    let workers = world.engine.workers();
    assert!(
        workers.iter().all(|worker| worker.errors == 0),
        "{workers:?}"
    );
}
