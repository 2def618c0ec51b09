//! Policies over simulated time: runs, retention, verification, restarts.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::policies::{DAY_MS, HOUR_MS, MINUTE_MS, START_MS, hourly, policy_world, schedule};
use serde_json::json;
use snapkeep_engine::{
    DayOfWeek, EngineError, Expected, Gfs, NameTemplate, OriginKind, PolicyKey, PolicySpec,
    Retention, RunKind, RunState, ScheduleKind, Selection, SnapshotState, VerificationPlan,
};
use snapkeep_store::collections::CollectionSpec;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_runs_when_it_is_due_and_its_runs_are_recorded() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::slm("hourly");
    let spec = PolicySpec {
        metadata: Some(json!({ "by": "me" }).as_object().cloned().unwrap()),
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.next_run_ms, Some(START_MS + 30 * MINUTE_MS));

    world.live(&time, 29 * MINUTE_MS).await;
    assert!(world.names().await.is_empty());
    world.live(&time, MINUTE_MS).await;
    assert_eq!(world.names().await, ["s-20260101-010000"]);
    let info = world
        .engine
        .snapshot("backup", "s-20260101-010000")
        .await
        .unwrap();
    assert_eq!(info.state, SnapshotState::Success);
    assert_eq!(info.policy.as_deref(), Some("slm/hourly"));
    let metadata = serde_json::to_value(&info.metadata).unwrap();
    assert_eq!(metadata, json!({ "by": "me", "policy": "hourly" }));

    let run = world.runs(&key).await.remove(0);
    assert_eq!(run.scheduled_ms, Some(START_MS + 30 * MINUTE_MS));
    assert_eq!(
        (run.kind, run.state, run.missed),
        (RunKind::Snapshot, RunState::Success, 0)
    );
    assert_eq!(run.snapshot_uuid.as_ref(), Some(&info.uuid));
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.next_run_ms, Some(START_MS + 90 * MINUTE_MS));
    assert_eq!((state.stats.taken, state.stats.failed), (1, 0));
    assert_eq!(state.last_success.unwrap().snapshot, info.name);
    assert!(state.in_progress.is_none() && !state.queued);

    // The name is taken in this second.
    assert!(matches!(
        world.engine.run_policy(&key).await,
        Err(EngineError::SnapshotExists { .. })
    ));
    time.advance(1000);
    let ticket = world.engine.run_policy(&key).await.unwrap();
    assert_eq!(ticket.name, "s-20260101-010001");
    world.engine.wait_snapshot(&ticket).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_wakes_by_itself() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::native("hourly");
    world.put_policy(&key, hourly()).await;
    for hour in 1..=3 {
        time.advance(HOUR_MS);
        let run = world
            .run_that(&key, |run| {
                run.started_ms == START_MS + hour * HOUR_MS && run.ended_ms.is_some()
            })
            .await;
        assert_eq!(run.state, RunState::Success);
    }
    let workers = world.engine.workers();
    assert!(
        workers
            .iter()
            .any(|worker| worker.name == "policy-scheduler" && worker.errors == 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_the_server_was_down_is_caught_up_once() {
    let (world, clock, time) = policy_world().await;
    let key = PolicyKey::native("hourly");
    world.put_policy(&key, hourly()).await;
    world.live(&time, HOUR_MS).await;
    world.engine.shutdown(Duration::from_secs(5)).await;
    time.advance(10 * HOUR_MS);
    let world = world.restart_at(clock).await;
    world.engine.run_due_policies().await.unwrap();
    let runs = world.runs(&key).await;
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].missed, 9);
    assert_eq!(
        runs[0].scheduled_ms,
        Some(START_MS + 10 * HOUR_MS + 30 * MINUTE_MS)
    );
    assert_eq!(
        world.engine.policy_state(&key).await.unwrap().stats.taken,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn months_of_daily_runs_leave_what_gfs_keeps() {
    let (world, clock, time) = policy_world().await;
    let key = PolicyKey::native("daily");
    let spec = PolicySpec {
        schedule: schedule(ScheduleKind::Daily {
            hour: 2,
            minute: 30,
        }),
        retention: Retention {
            gfs: Some(Gfs {
                daily: 7,
                weekly: 4,
                monthly: 6,
                ..Gfs::default()
            }),
            ..Retention::default()
        },
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    let foreign = world.snapshot("backup", "by-hand", &["a"]).await;
    for _ in 0..120 {
        world.live(&time, DAY_MS).await;
    }
    let world = world.restart_at(clock).await;
    for _ in 120..200 {
        world.live(&time, DAY_MS).await;
    }
    let names = world.names().await;
    assert_eq!(
        names,
        [
            "by-hand",
            "s-20260228-003000",
            "s-20260331-003000",
            "s-20260430-003000",
            "s-20260531-003000",
            "s-20260630-003000",
            "s-20260705-003000",
            "s-20260712-003000",
            "s-20260714-003000",
            "s-20260715-003000",
            "s-20260716-003000",
            "s-20260717-003000",
            "s-20260718-003000",
            "s-20260719-003000",
            "s-20260720-003000",
        ]
    );
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.stats.taken, 200);
    assert_eq!(state.stats.deleted, 200 - 14);
    let totals = world
        .engine
        .policy_totals(OriginKind::Native)
        .await
        .unwrap();
    assert_eq!((totals.stats.taken, totals.retention_failed), (200, 0));
    // Bounded, and snapshots and retention side by side.
    let runs = world.runs(&key).await;
    assert_eq!(runs.len(), 200);
    assert!(
        runs.iter()
            .any(|run| run.kind == RunKind::Retention && run.deleted.len() == 1)
    );
    assert_eq!(world.engine.policy_snapshots(&key).await.unwrap().len(), 14);
    assert_eq!(
        world.engine.snapshot("backup", "by-hand").await.unwrap(),
        foreign
    );
    let preview = world.engine.preview_retention(&key, None).await.unwrap();
    assert!(preview.iter().all(|verdict| !verdict.delete));
    // Age plays no part in it.
    let later = START_MS + 300 * DAY_MS;
    let preview = world
        .engine
        .preview_retention(&key, Some(later))
        .await
        .unwrap();
    assert!(preview.len() == 14 && preview.iter().all(|verdict| !verdict.delete));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deleted_is_recorded_and_tried_again() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::slm("hourly");
    let spec = PolicySpec {
        retention: Retention {
            max_count: Some(1),
            ..Retention::default()
        },
        // Runs by itself only later: the test has its turn.
        retention_schedule: schedule(ScheduleKind::Daily {
            hour: 12,
            minute: 0,
        }),
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    world.live(&time, HOUR_MS).await;
    world.live(&time, HOUR_MS).await;
    let readonly = json!({ "location": "backup", "readonly": true });
    world.register_with("backup", readonly).await.unwrap();
    let run = world.engine.run_retention(&key).await.unwrap();
    assert_eq!(
        (run.state, run.deletion_failures.len()),
        (RunState::Failed, 1)
    );
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.deletion_failures[0].snapshot, "s-20260101-013000");
    assert!(state.deletion_failures[0].reason.contains("readonly"));
    assert_eq!(state.stats.deletion_failures, 1);
    // Sooner than by its schedule.
    assert_eq!(
        state.next_retention_ms,
        Some(START_MS + 2 * HOUR_MS + 15 * MINUTE_MS)
    );

    world.register("backup").await;
    world.live(&time, 15 * MINUTE_MS).await;
    assert_eq!(world.names().await, ["s-20260101-023000"]);
    let state = world.engine.policy_state(&key).await.unwrap();
    assert!(state.deletion_failures.is_empty());
    assert_eq!(state.stats.deleted, 1);
    assert_eq!(state.last_retention.unwrap().deleted, ["s-20260101-013000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_begin_has_failed_with_the_reason() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::slm("hourly");
    let spec = PolicySpec {
        selection: Selection {
            indices: vec!["a".into(), "missing".into()],
            ..Selection::default()
        },
        ..hourly()
    };
    world.put_policy(&key, spec.clone()).await;
    world.live(&time, HOUR_MS).await;
    let run = world.runs(&key).await.remove(0);
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.reason.as_deref(), Some("no such index [missing]"));
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.stats.failed, 1);
    let failure = state.last_failure.unwrap();
    assert_eq!(failure.details, run.reason);
    assert_eq!(failure.snapshot, "s-20260101-013000");
    assert!(matches!(
        world.engine.run_policy(&key).await,
        Err(EngineError::IndexMissing { .. })
    ));
    let mut spec = spec;
    spec.selection.ignore_unavailable = true;
    world.put_policy(&key, spec).await;
    world.live(&time, HOUR_MS).await;
    assert_eq!(world.runs(&key).await[0].state, RunState::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_verified_and_damage_is_found() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::native("daily");
    let spec = PolicySpec {
        schedule: schedule(ScheduleKind::Daily { hour: 2, minute: 0 }),
        verification: VerificationPlan {
            sample_after_run: Some(1.0),
            full: schedule(ScheduleKind::Weekly {
                days: vec![DayOfWeek::Sun],
                hour: 5,
                minute: 0,
            }),
        },
        ..hourly()
    };
    world.put_policy(&key, spec).await;
    world.live(&time, DAY_MS).await;
    let run = world.runs(&key).await.remove(0);
    let verification = run.verification.unwrap();
    assert_eq!((verification.ok, verification.problem), (Some(true), None));

    // The first Sunday of 2026 is the fourth.
    world.live(&time, 3 * DAY_MS).await;
    let state = world.engine.policy_state(&key).await.unwrap();
    assert_eq!(state.last_verification.unwrap().ok, Some(true));
    let full = world
        .run_that(&key, |run| run.kind == RunKind::Verification)
        .await;
    assert_eq!(full.state, RunState::Success);

    damage_a_pack(&world.repository_dir("backup").join("data"));
    world.live(&time, 7 * DAY_MS).await;
    let state = world.engine.policy_state(&key).await.unwrap();
    let verification = state.last_verification.unwrap();
    assert_eq!(verification.ok, Some(false));
    assert!(!verification.problem.unwrap().is_empty());
    let full = world
        .run_that(&key, |run| {
            run.kind == RunKind::Verification && run.state == RunState::Failed
        })
        .await;
    assert!(full.reason.is_some());
}

/// Turns a bit in the middle of the largest pack.
fn damage_a_pack(data: &std::path::Path) {
    let mut packs = Vec::new();
    for folder in std::fs::read_dir(data).unwrap() {
        for pack in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            packs.push(pack.unwrap().path());
        }
    }
    let pack = packs
        .into_iter()
        .max_by_key(|pack| std::fs::metadata(pack).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = std::fs::metadata(&pack).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    std::fs::set_permissions(&pack, permissions).unwrap();
    std::fs::write(&pack, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_scheduler_and_a_disabled_policy_catch_nothing_up() {
    let (world, clock, time) = policy_world().await;
    let slm = PolicyKey::slm("hourly");
    let sm = PolicyKey::sm("hourly");
    let named = |prefix: &str| PolicySpec {
        name_template: NameTemplate::EpochMillis {
            prefix: prefix.into(),
        },
        ..hourly()
    };
    world.put_policy(&slm, named("slm")).await;
    world.put_policy(&sm, named("sm")).await;
    world.engine.pause_scheduler(OriginKind::Slm).await.unwrap();
    let world = world.restart_at(clock).await;
    assert!(
        world
            .engine
            .scheduler_paused(OriginKind::Slm)
            .await
            .unwrap()
    );
    assert!(!world.engine.scheduler_paused(OriginKind::Sm).await.unwrap());
    world.live(&time, 3 * HOUR_MS).await;
    assert!(world.runs(&slm).await.is_empty());
    assert_eq!(world.runs(&sm).await.len(), 1);
    assert_eq!(
        world.engine.policy_state(&slm).await.unwrap().next_run_ms,
        None
    );

    world
        .engine
        .resume_scheduler(OriginKind::Slm)
        .await
        .unwrap();
    world.live(&time, 0).await;
    assert!(world.runs(&slm).await.is_empty());
    let policy = world.engine.set_policy_enabled(&sm, false).await.unwrap();
    assert_eq!((policy.version, policy.spec.enabled), (2, false));
    world.live(&time, HOUR_MS).await;
    assert_eq!(world.runs(&slm).await.len(), 1);
    assert_eq!(world.runs(&sm).await.len(), 1);
    world.engine.set_policy_enabled(&sm, true).await.unwrap();
    world.live(&time, 0).await;
    assert_eq!(world.runs(&sm).await.len(), 1);
    // Asked for, it runs whatever is switched off.
    world.engine.set_policy_enabled(&sm, false).await.unwrap();
    world.engine.run_policy(&sm).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_keeps_versions_and_refuses_what_is_stale_or_wrong() {
    let (world, _, time) = policy_world().await;
    let engine = &world.engine;
    let key = PolicyKey::slm("daily");
    let put = engine
        .put_policy(&key, hourly(), Expected::Absent)
        .await
        .unwrap();
    assert!(put.created && put.changed);
    time.advance(1000);
    let same = engine
        .put_policy(&key, hourly(), Expected::Anything)
        .await
        .unwrap();
    assert!(!same.changed && !same.created);
    assert_eq!(same.policy, put.policy);
    let other = PolicySpec {
        lock_ms: Some(1000),
        ..hourly()
    };
    let changed = engine
        .put_policy(&key, other.clone(), Expected::Version(1))
        .await
        .unwrap();
    assert_eq!(changed.policy.version, 2);
    assert_eq!(
        (changed.policy.created_ms, changed.policy.modified_ms),
        (START_MS, START_MS + 1000)
    );
    assert!(matches!(
        engine
            .put_policy(&key, hourly(), Expected::Version(1))
            .await,
        Err(EngineError::PolicyConflict {
            current: 2,
            expected: 1,
            ..
        })
    ));
    assert!(matches!(
        engine.put_policy(&key, hourly(), Expected::Absent).await,
        Err(EngineError::PolicyExists { .. })
    ));
    // The same name elsewhere is another policy.
    let sm = PolicyKey::sm("daily");
    assert!(matches!(
        engine.put_policy(&sm, hourly(), Expected::Present).await,
        Err(EngineError::PolicyMissing { .. })
    ));
    engine
        .put_policy(&sm, hourly(), Expected::Absent)
        .await
        .unwrap();
    assert_eq!(engine.policies(None).await.unwrap().len(), 2);
    assert_eq!(
        engine.policies(Some(OriginKind::Sm)).await.unwrap()[0].key,
        sm
    );
    let elsewhere = PolicySpec {
        repository: "missing".into(),
        ..hourly()
    };
    assert!(matches!(
        engine.put_policy(&key, elsewhere, Expected::Anything).await,
        Err(EngineError::RepositoryMissing { name }) if name == "missing"
    ));
    engine.remove_policy(&sm).await.unwrap();
    assert!(matches!(
        engine.remove_policy(&sm).await,
        Err(EngineError::PolicyMissing { .. })
    ));
    assert!(engine.policy_runs(&sm, 1).await.is_err());
    // Intervals go on counting from where they began.
    let every = PolicySpec {
        schedule: schedule(ScheduleKind::Every {
            interval_ms: HOUR_MS,
            anchor_ms: None,
        }),
        ..hourly()
    };
    engine
        .put_policy(&sm, every.clone(), Expected::Anything)
        .await
        .unwrap();
    time.advance(MINUTE_MS);
    let same = engine
        .put_policy(&sm, every, Expected::Anything)
        .await
        .unwrap();
    assert!(!same.changed);
    let next = engine.policy_state(&sm).await.unwrap().next_run_ms;
    assert_eq!(next, Some(START_MS + 1000 + HOUR_MS));
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_and_collections_are_selected_anew_at_each_run() {
    let (world, _, time) = policy_world().await;
    let key = PolicyKey::native("both");
    let spec = PolicySpec {
        selection: Selection {
            indices: vec!["*".into(), "-b*".into()],
            collections: vec!["Art*".into()],
            ..Selection::default()
        },
        ..hourly()
    };
    world.put_policy(&key, spec.clone()).await;
    let collection = |name: &str| CollectionSpec {
        name: name.to_owned(),
        class: json!({ "class": name }),
        multi_tenant: false,
        shards: vec!["one".to_owned()],
    };
    world.live(&time, HOUR_MS).await;
    world.create_index("b1", 1);
    world.create_index("c", 1);
    world
        .store
        .create_collection(collection("Article"))
        .unwrap();
    world.store.create_collection(collection("Other")).unwrap();
    world.live(&time, HOUR_MS).await;
    let taken = world.engine.policy_snapshots(&key).await.unwrap();
    let names: Vec<(Vec<String>, usize)> = taken
        .iter()
        .map(|info| (info.index_names(), info.collections.len()))
        .collect();
    assert_eq!(
        names,
        [
            (vec!["a".to_owned()], 0),
            (vec!["a".to_owned(), "c".to_owned()], 1)
        ]
    );
    assert_eq!(taken[1].collections[0].name, "Article");

    let only_collections = PolicySpec {
        selection: Selection {
            indices: Vec::new(),
            collections: vec!["Missing".into()],
            include_global_state: false,
            ..Selection::default()
        },
        ..spec
    };
    world.put_policy(&key, only_collections).await;
    world.live(&time, HOUR_MS).await;
    let run = world.runs(&key).await.remove(0);
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.unwrap().contains("[Missing]"));
}
