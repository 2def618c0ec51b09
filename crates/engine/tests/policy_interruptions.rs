//! Runs of policies that meet another, take too long, or are cut off.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::open_at;
use common::policies::{HOUR_MS, MINUTE_MS, START_MS, hourly, policy_world};
use serde_json::json;
use snapkeep_engine::{EngineError, PolicyKey, PolicyOrigin, PolicySpec, RunState, WhenRunning};

#[tokio::test(flavor = "multi_thread")]
async fn a_due_run_is_skipped_while_another_is_under_way_and_one_that_takes_too_long_is_cancelled()
{
    let (world, _, time) = policy_world().await;
    world.slow_down().await;
    let key = PolicyKey::native("hourly");
    let spec = PolicySpec {
        time_limit_ms: Some(3 * HOUR_MS),
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    let cluster = PolicyOrigin::HuaweiCss {
        cluster: "c-1".into(),
    };
    let of_cluster = PolicyKey::new(cluster, "auto");
    let spec = PolicySpec {
        when_running: WhenRunning::SkipWhenBusy,
        ..hourly()
    };
    let ticket = world.engine.run_policy(&key).await.unwrap();
    assert!(matches!(
        world.engine.run_policy(&key).await,
        Err(EngineError::PolicyRunning { .. })
    ));
    world.put_policy(&of_cluster, spec).await;
    let in_progress = world
        .engine
        .policy_state(&key)
        .await
        .unwrap()
        .in_progress
        .unwrap();
    assert_eq!(in_progress.snapshot_uuid, Some(ticket.uuid));

    time.advance(HOUR_MS);
    let skipped = world
        .run_that(&key, |run| run.state == RunState::Skipped)
        .await;
    assert_eq!(
        skipped.reason.as_deref(),
        Some("the run before it was still under way")
    );
    let skipped = world
        .run_that(&of_cluster, |run| run.state == RunState::Skipped)
        .await;
    assert_eq!(
        skipped.reason.as_deref(),
        Some("another snapshot or restore was under way")
    );
    assert_eq!(
        world.engine.policy_state(&key).await.unwrap().stats.skipped,
        1
    );

    time.advance(3 * HOUR_MS);
    let cancelled = world
        .run_that(&key, |run| run.state == RunState::Failed)
        .await;
    assert_eq!(
        cancelled.reason.as_deref(),
        Some("it took longer than 3 hours")
    );
    assert_eq!(cancelled.scheduled_ms, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_begins_when_the_other_has_ended() {
    let (world, _, time) = policy_world().await;
    world.slow_down().await;
    let key = PolicyKey::native("hourly");
    let spec = PolicySpec {
        when_running: WhenRunning::Queue,
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    let ticket = world.engine.run_policy(&key).await.unwrap();
    time.advance(HOUR_MS);
    for _ in 0..200 {
        if world.engine.policy_state(&key).await.unwrap().queued {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.runs(&key).await.len(), 1);
    let fast = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "0" });
    world.register_with("backup", fast).await.unwrap();
    world.engine.wait_snapshot(&ticket).await.unwrap();
    let run = world
        .run_that(&key, |run| {
            run.scheduled_ms.is_some() && run.ended_ms.is_some()
        })
        .await;
    assert_eq!(run.state, RunState::Success);
    assert_eq!(run.scheduled_ms, Some(START_MS + 30 * MINUTE_MS));
    assert!(!world.engine.policy_state(&key).await.unwrap().queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cut_off_by_the_end_of_the_server_has_failed() {
    let (world, clock, time) = policy_world().await;
    world.slow_down().await;
    let key = PolicyKey::slm("hourly");
    world.put_policy(&key, hourly()).await;
    let ticket = world.engine.run_policy(&key).await.unwrap();
    // What the disk of a process that dies now says.
    let folder = Arc::new(tempfile::tempdir().unwrap());
    copy_dir(
        &world.folder.path().join("data"),
        &folder.path().join("data"),
    );
    world.engine.cancel_job(&ticket.job_id).await.unwrap();
    drop(world);
    time.advance(MINUTE_MS);

    let world = open_at(folder, clock).await;
    let state = world.engine.policy_state(&key).await.unwrap();
    assert!(state.in_progress.is_none());
    assert_eq!(state.stats.failed, 1);
    assert_eq!(state.last_failure.unwrap().snapshot, ticket.name);
    let run = world.runs(&key).await.remove(0);
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(
        run.reason.as_deref(),
        Some("the server stopped before it was done")
    );
    assert!(run.ended_ms.is_some());
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if entry.file_name() != "engine.lock" {
            // A file may go while it is copied: those of the repository do.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_runs_with_the_reason() {
    let (world, clock, _) = policy_world().await;
    world.slow_down().await;
    let key = PolicyKey::slm("hourly");
    world.put_policy(&key, hourly()).await;
    world.engine.run_policy(&key).await.unwrap();
    world.engine.shutdown(Duration::ZERO).await;
    let world = world.restart_at(clock).await;
    let run = world.runs(&key).await.remove(0);
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.reason.as_deref(), Some("the server was shut down"));
}
