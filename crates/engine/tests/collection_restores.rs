//! Restoring collections: all or none, what is there already, tenants, cancelling, restarts, damage.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::collections::{
    Objects, backup_request, collections_renamed, collections_request, id, plain_object,
};
use common::rollbacks::{copy_of_state, start_from};
use common::{World, object, world};
use serde_json::json;
use snapkeep_engine::{
    EngineError, JobState, OnConflict, RepositorySpec, RestoreProblem, RestoreRequest, RestoreRun,
    RestoreStage, RestoreState, SnapshotState,
};
use snapkeep_store::collections::{CollectionSpec, NewObject};

fn objects(range: std::ops::Range<u64>, dims: usize) -> Vec<NewObject> {
    range.map(|number| plain_object(number, dims)).collect()
}

/// `A` and `B` with some objects each, backed up as `one`.
async fn two() -> World {
    let world = world().await;
    world.register("backup").await;
    for (name, first) in [("A", 0), ("B", 1000)] {
        world.create_collection(name, 1);
        world.put_objects(name, None, objects(first..first + 200, 16));
    }
    backed_up(&world, "backup", "one", &["A", "B"]).await;
    world
}

async fn backed_up(world: &World, repository: &str, name: &str, collections: &[&str]) {
    let info = world.back_up(repository, name, collections).await;
    assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
}

async fn brought_back(world: &World, repository: &str, name: &str, request: RestoreRequest) {
    let run = world.bring_back(repository, name, request).await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exists_fails_the_accepted_restore_and_nothing_is_restored() {
    let world = two().await;
    assert_eq!(
        world.engine.latest_restore("backup", "one").await.unwrap(),
        None
    );
    world.store.delete_collection("B").unwrap();
    world.delete_objects("A", None, 0..10);
    let before = world.objects("A");
    let run = world
        .bring_back("backup", "one", collections_request(&["A", "B"]))
        .await;
    assert_eq!(run.state, RestoreState::Failed);
    assert_eq!(run.conflicts, ["A"]);
    assert!(run.error.unwrap().contains("[A] already exist"));
    assert!(world.store.collection("B").is_none());
    assert_eq!(world.objects("A"), before);
    assert!(world.engine.running_restores(None).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exists_can_be_skipped_or_overwritten() {
    let world = two().await;
    let both = (world.objects("A"), world.objects("B"));
    world.store.delete_collection("B").unwrap();
    world.delete_objects("A", None, 0..10);
    let changed = world.objects("A");
    let on_conflict = |on_conflict| RestoreRequest {
        on_conflict,
        ..collections_request(&["A", "B"])
    };
    let run = world
        .bring_back("backup", "one", on_conflict(OnConflict::Skip))
        .await;
    assert_eq!(
        (run.state, run.conflicts),
        (RestoreState::Success, vec!["A".to_owned()])
    );
    assert_eq!(
        (world.objects("A"), world.objects("B")),
        (changed, both.1.clone())
    );

    let old = world.store.collection("A").unwrap().uuid.clone();
    brought_back(&world, "backup", "one", on_conflict(OnConflict::Overwrite)).await;
    assert_eq!((world.objects("A"), world.objects("B")), both);
    assert_ne!(world.store.collection("A").unwrap().uuid, old);
    // What is overwritten goes on as a history of its own.
    world.put_objects("A", None, objects(5000..5010, 16));
    let now = world.objects("A");
    backed_up(&world, "backup", "two", &["A"]).await;
    world
        .bring_back("backup", "two", collections_renamed(&[("A", "C")]))
        .await;
    assert_eq!(world.objects("C"), now);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked_before_anything_is_begun() {
    let world = two().await;
    let refused = async |request| {
        world
            .engine
            .restore("backup", "one", request)
            .await
            .unwrap_err()
    };
    let error = refused(collections_request(&["A", "Z"])).await;
    assert!(matches!(error, EngineError::CollectionMissing { collection } if collection == "Z"));
    let error = refused(RestoreRequest {
        collection_rename: [("Z".to_owned(), "Y".to_owned())].into(),
        ..collections_request(&["A"])
    })
    .await;
    assert!(matches!(error, EngineError::CollectionMissing { .. }));
    let error = refused(collections_renamed(&[("A", "C"), ("B", "C")])).await;
    let EngineError::Restore { problem, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        problem.to_string(),
        "collections [A] and [B] are renamed into the same collection [C]"
    );
    let error = refused(RestoreRequest {
        tenants: Some(vec!["t".into()]),
        ..collections_request(&["A"])
    })
    .await;
    assert!(matches!(error, EngineError::TenantMissing { tenant, .. } if tenant == "t"));
    let missing = world
        .engine
        .create_snapshot("backup", backup_request("x", &["Z"]))
        .await;
    assert!(matches!(
        missing,
        Err(EngineError::CollectionMissing { .. })
    ));
    assert!(matches!(
        world
            .engine
            .restore("backup", "none", collections_request(&["A"]))
            .await,
        Err(EngineError::Restore {
            problem: RestoreProblem::SnapshotMissing,
            ..
        })
    ));
    // Swapped names are no collision.
    for name in ["A", "B"] {
        world.store.delete_collection(name).unwrap();
    }
    let run = world
        .bring_back(
            "backup",
            "one",
            collections_renamed(&[("A", "B"), ("B", "A")]),
        )
        .await;
    assert_eq!(run.state, RestoreState::Success, "{:?}", run.error);
    assert!(world.store.get_object("B", None, id(3)).unwrap().is_some());
}

/// Creates `A` and `B`, whose objects refer to objects of `A`, `B`, `C`, and to none that exists.
fn referring(world: &World) {
    for name in ["A", "B"] {
        world
            .store
            .create_collection(CollectionSpec {
                name: name.into(),
                class: json!({ "class": name, "properties": [
                    { "name": "to", "dataType": ["A", "B", "C"] }, { "name": "text", "dataType": ["text"] }
                ] }),
                multi_tenant: false,
                shards: vec!["shard0".into(), "shard1".into()],
            })
            .unwrap();
        let referring = (0..100).map(|number| {
            let to = |class: &str| json!({ "beacon": format!("weaviate://localhost/{class}/{}", id(number)) });
            let properties = json!({ "to": [to("A"), to("C"), to("B")], "text": "weaviate://localhost/A/" });
            NewObject {
                properties: object(properties),
                ..plain_object(number, 8)
            }
        });
        world.put_objects(name, None, referring);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_lead_to_the_names_that_the_same_restore_gives() {
    let world = world().await;
    world.register("backup").await;
    referring(&world);
    let before = [world.objects("A"), world.objects("B")];
    backed_up(&world, "backup", "one", &["A", "B"]).await;
    let led = |objects: &Objects, renamed: &[(&str, &str)]| {
        let mut objects = objects.clone();
        for (_, source, ..) in objects.values_mut().flatten() {
            for (old, new) in renamed {
                // In text it stays.
                let beacon = |class| format!("{{\"beacon\":\"weaviate://localhost/{class}/");
                *source = source.replace(&beacon(old), &beacon(new));
            }
        }
        objects
    };

    // Both: references between them follow; what is not part of the restore stays.
    let both = [("A", "Renamed"), ("B", "B2")];
    brought_back(&world, "backup", "one", collections_renamed(&both)).await;
    assert_eq!(world.objects("Renamed"), led(&before[0], &both));
    assert_eq!(world.objects("B2"), led(&before[1], &both));
    assert_eq!(
        world.class("B2")["properties"][0]["dataType"],
        json!(["Renamed", "B2", "C"])
    );
    assert_eq!(
        [world.objects("A"), world.objects("B")],
        before,
        "the originals are as they were"
    );

    // One alone: its references to the other, which is restored under its own name or not at all, stay.
    brought_back(&world, "backup", "one", collections_renamed(&[("B", "B3")])).await;
    assert_eq!(world.objects("B3"), led(&before[1], &[("B", "B3")]));

    // What came back so is as sound as any other: it can be backed up and brought back itself.
    backed_up(&world, "backup", "two", &["Renamed", "B2"]).await;
    let back = [("Renamed", "A3"), ("B2", "B4")];
    brought_back(&world, "backup", "two", collections_renamed(&back)).await;
    assert_eq!(
        world.objects("A3"),
        led(&before[0], &[("A", "A3"), ("B", "B4")])
    );

    // One that is there and left alone is still what references are led to.
    world.store.delete_collection("B2").unwrap();
    let kept = world.objects("Renamed");
    let request = RestoreRequest {
        on_conflict: OnConflict::Skip,
        ..collections_renamed(&both)
    };
    brought_back(&world, "backup", "one", request).await;
    assert_eq!(world.objects("B2"), led(&before[1], &both));
    assert_eq!(world.objects("Renamed"), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tenants_can_be_restored_under_another_name() {
    let world = world().await;
    world.register("backup").await;
    world.create_multi_tenant("Notes", &["a", "b%/ü", "c"]);
    for tenant in ["a", "b%/ü", "c"] {
        world.put_objects("Notes", Some(tenant), objects(0..50, 4));
    }
    let mut all = world.objects("Notes");
    world.back_up("backup", "one", &["Notes"]).await;
    let wanted = RestoreRequest {
        tenants: Some(vec!["b%/ü".into(), "c".into()]),
        ..collections_renamed(&[("Notes", "Some")])
    };
    brought_back(&world, "backup", "one", wanted.clone()).await;
    all.remove("a");
    assert_eq!(world.objects("Some"), all);
    let overwriting = RestoreRequest {
        on_conflict: OnConflict::Overwrite,
        ..wanted
    };
    let refused = world.engine.restore("backup", "one", overwriting).await;
    assert!(matches!(refused, Err(EngineError::Refused { .. })));
}

/// A collection large enough to be caught at work, in a repository that is slow to write or to read.
async fn slow(setting: &str) -> World {
    let world = world().await;
    world.create_collection("Large", 2);
    for batch in 0..6 {
        world.put_objects(
            "Large",
            None,
            objects(batch * 1000..batch * 1000 + 1000, 768),
        );
    }
    limit(&world, setting, "1mb").await;
    world
}

/// Registers the slow repository with this limit.
async fn limit(world: &World, setting: &str, rate: &str) {
    let settings = json!({ "location": "slow", setting: rate });
    world.register_with("slow", settings).await.unwrap();
}

async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_ends_at_once_and_its_id_can_be_used_again() {
    let world = slow("max_snapshot_bytes_per_sec").await;
    let ticket = world
        .engine
        .create_snapshot("slow", backup_request("id", &["Large"]))
        .await
        .unwrap();
    until(async || {
        let status = world.engine.snapshot_status("slow", "id").await.unwrap();
        (status.collections[0].shards[0].processed.bytes > 0).then_some(())
    })
    .await;
    let asked = Instant::now();
    let cancelled = world.engine.cancel_snapshot("slow", "id").await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(
        (cancelled.state, cancelled.cancelled),
        (SnapshotState::Failed, true)
    );
    assert_eq!(
        world.engine.snapshot("slow", "id").await.unwrap(),
        cancelled
    );
    assert_eq!(
        world.engine.job(&ticket.job_id).await.unwrap().state,
        JobState::Cancelled
    );
    let again = world.engine.cancel_snapshot("slow", "id").await.unwrap();
    assert_eq!(again, cancelled);
    assert!(matches!(
        world.engine.cancel_snapshot("slow", "none").await,
        Err(EngineError::SnapshotMissing { .. })
    ));

    limit(&world, "max_snapshot_bytes_per_sec", "1gb").await;
    let info = world.back_up("slow", "id", &["Large"]).await;
    assert_eq!(
        (info.state, info.cancelled),
        (SnapshotState::Success, false)
    );
    assert_ne!(info.uuid, cancelled.uuid);
    assert_eq!(world.engine.snapshots("slow").await.unwrap().len(), 1);
    assert!(matches!(
        world
            .engine
            .create_snapshot("slow", backup_request("id", &["Large"]))
            .await,
        Err(EngineError::SnapshotExists { running: false, .. })
    ));
    // One that has ended well stays as it is.
    let done = world.engine.cancel_snapshot("slow", "id").await.unwrap();
    assert_eq!(done.state, SnapshotState::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_leaves_nothing_and_can_be_repeated() {
    let world = slow("max_restore_bytes_per_sec").await;
    backed_up(&world, "slow", "id", &["Large"]).await;
    let request = collections_renamed(&[("Large", "Copy")]);
    let ticket = world
        .engine
        .restore("slow", "id", request.clone())
        .await
        .unwrap();
    let transferring = RestoreState::Running {
        stage: RestoreStage::Transferring,
    };
    let running: RestoreRun = until(async || {
        let run = world
            .engine
            .latest_restore("slow", "id")
            .await
            .unwrap()
            .unwrap();
        (run.state == transferring && run.bytes_done > 0).then_some(run)
    })
    .await;
    assert_eq!(
        (&running.uuid, running.bytes_total > running.bytes_done),
        (&ticket.uuid, true)
    );
    assert_eq!(world.engine.running_restores(Some("slow")).await.len(), 1);
    assert!(
        world
            .engine
            .running_restores(Some("other"))
            .await
            .is_empty()
    );
    assert!(matches!(
        world.engine.delete_snapshots("slow", &["id".into()]).await,
        Err(EngineError::SnapshotInUse { .. })
    ));
    let asked = Instant::now();
    let cancelled = world.engine.cancel_restore(&ticket.uuid).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(cancelled.state, RestoreState::Cancelled);
    assert!(world.store.collection("Copy").is_none());
    assert_eq!(
        world.engine.cancel_restore(&ticket.uuid).await.unwrap(),
        cancelled
    );
    assert!(matches!(
        world.engine.cancel_restore("none").await,
        Err(EngineError::RestoreMissing { .. })
    ));

    let world = world.restart().await;
    let known = world
        .engine
        .latest_restore("slow", "id")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known, cancelled);
    limit(&world, "max_restore_bytes_per_sec", "1gb").await;
    brought_back(&world, "slow", "id", request).await;
    assert_eq!(world.objects("Copy"), world.objects("Large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_cuts_off_has_failed_with_that_reason() {
    let world = slow("max_restore_bytes_per_sec").await;
    world.back_up("slow", "id", &["Large"]).await;
    let request = collections_renamed(&[("Large", "Copy")]);
    let ticket = world.engine.restore("slow", "id", request).await.unwrap();
    until(async || {
        let run = world
            .engine
            .latest_restore("slow", "id")
            .await
            .unwrap()
            .unwrap();
        (run.bytes_done > 0).then_some(())
    })
    .await;
    // What a killed server leaves: its catalogue as it is now.
    let copy = copy_of_state(&world);
    world.engine.cancel_restore(&ticket.uuid).await.unwrap();
    let engine = start_from(&world, &copy).await;
    let run = engine.latest_restore("slow", "id").await.unwrap().unwrap();
    assert_eq!((&run.uuid, run.state), (&ticket.uuid, RestoreState::Failed));
    assert_eq!(
        run.error.as_deref(),
        Some("the server stopped before it was done")
    );
    assert!(run.end_ms.is_some());
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_fails_the_restore_and_leaves_nothing() {
    let world = world().await;
    world.register("backup").await;
    world.create_collection("A", 1);
    world.create_collection("B", 1);
    world.put_objects("A", None, objects(0..10, 4));
    world.put_objects("B", None, objects(0..3000, 256));
    world.back_up("backup", "one", &["A", "B"]).await;
    // A byte in the middle of the largest pack, which is full of vectors.
    let largest = walk(&world.repository_dir("backup").join("data"))
        .into_iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = largest.metadata().unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    std::fs::set_permissions(&largest, permissions).unwrap();
    std::fs::write(&largest, bytes).unwrap();
    let renamed = collections_renamed(&[("A", "A2"), ("B", "B2")]);
    let run = world.bring_back("backup", "one", renamed).await;
    assert_eq!(run.state, RestoreState::Failed);
    assert!(run.error.unwrap().contains("damaged"));
    assert!(world.store.collection("A2").is_none() && world.store.collection("B2").is_none());
    // The next backup does not rely on what is damaged where it reads anew, and the rest can be restored.
    brought_back(&world, "backup", "one", collections_renamed(&[("A", "A2")])).await;
    assert_eq!(world.objects("A2"), world.objects("A"));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_during_a_backup_and_are_not_seen_by_it() {
    let world = Arc::new(slow("max_snapshot_bytes_per_sec").await);
    world.register("backup").await;
    let moment = world.objects("Large");
    let ticket = world
        .engine
        .create_snapshot("backup", backup_request("id", &["Large"]))
        .await
        .unwrap();
    let writer = {
        let world = Arc::clone(&world);
        tokio::task::spawn_blocking(move || {
            for batch in 0..20 {
                world.put_objects("Large", None, objects(batch * 50..batch * 50 + 100, 768));
                world.delete_objects("Large", None, batch * 100 + 7..batch * 100 + 20);
            }
        })
    };
    let info = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
    writer.await.unwrap();
    brought_back(
        &world,
        "backup",
        "id",
        collections_renamed(&[("Large", "Copy")]),
    )
    .await;
    assert_eq!(world.objects("Copy"), moment);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialects_own_repository_is_registered_once() {
    let world = world().await;
    let spec = |location: &str| RepositorySpec {
        kind: "fs".into(),
        settings: common::object(json!({ "location": location })),
    };
    let made = world
        .engine
        .ensure_repository("filesystem", spec("weaviate"))
        .await
        .unwrap();
    let kept = world
        .engine
        .ensure_repository("filesystem", spec("elsewhere"))
        .await
        .unwrap();
    assert_eq!(made, kept);
    world.create_collection("A", 1);
    backed_up(&world, "filesystem", "one", &["A"]).await;
    assert!(world.repository_dir("weaviate").join("config").exists());
}
