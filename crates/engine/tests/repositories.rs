//! Registering, changing, verifying and sharing repositories.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;

use common::{object, open, request, restore_request, some_documents, world};
use serde_json::{Value, json};
use snapkeep_engine::{
    CheckRequest, CreationFailure, EngineError, InUse, JobState, ReadonlyOperation, RepositorySpec,
};

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_given_back_as_they_came() {
    let world = world().await;
    let settings = json!({
        "location": "my_backup", "compress": true, "chunk_size": null, "max_snapshot_bytes_per_sec": "50mb",
        "custom": { "nested": [1, "two"] }
    });
    world
        .register_with("my_backup", settings.clone())
        .await
        .unwrap();
    let info = world.engine.repository("my_backup").await.unwrap();
    assert_eq!(Value::Object(info.settings), settings);
    assert_eq!(info.snapshot_bytes_per_sec, Some(50 << 20));
    assert_eq!(info.uuid.unwrap().len(), 64);
    let verified = world.engine.verify_repository("my_backup").await.unwrap();
    assert!(verified.probe_bytes > 0);
    let probes = world.repository_dir("my_backup").join("snapkeep");
    let left = std::fs::read_dir(probes).map(|entries| {
        let is_probe = |name: &str| name.starts_with("tests-");
        entries
            .filter(|e| is_probe(&e.as_ref().unwrap().file_name().to_string_lossy()))
            .count()
    });
    assert_eq!(left.unwrap_or(0), 0);
    world.engine.remove_repository("my_backup").await.unwrap();
    let missing = world.engine.repository("my_backup").await.unwrap_err();
    assert!(matches!(missing, EngineError::RepositoryMissing { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_nothing_is_registered() {
    let world = world().await;
    let failure = |error| match error {
        EngineError::RepositoryCreation { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    let outside = world
        .register_with("r", json!({ "location": "../x" }))
        .await
        .unwrap_err();
    assert!(matches!(
        failure(outside),
        CreationFailure::LocationOutsideRoots { .. }
    ));
    let missing = world.register_with("r", json!({})).await.unwrap_err();
    assert_eq!(failure(missing), CreationFailure::MissingLocation);
    let rate = json!({ "location": "r", "max_restore_bytes_per_sec": "50" });
    let size = world.register_with("r", rate).await.unwrap_err();
    assert!(
        failure(size)
            .to_string()
            .ends_with("unit is missing or unrecognized")
    );
    let spec = RepositorySpec {
        kind: "s4".into(),
        settings: object(json!({})),
    };
    let kind = world
        .engine
        .put_repository("r", spec, true)
        .await
        .unwrap_err();
    assert!(matches!(kind, EngineError::RepositoryTypeUnknown { .. }));
    let name = world
        .register_with("a b", json!({ "location": "r" }))
        .await
        .unwrap_err();
    assert!(matches!(name, EngineError::InvalidRepositoryName { .. }));
    assert!(world.engine.repositories().await.unwrap().is_empty());
    assert!(!world.repository_dir("r").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_written_stays_registered_with_the_reason() {
    let world = world().await;
    let roots = world.folder.path().join("data/repositories");
    std::fs::create_dir_all(&roots).unwrap();
    std::fs::write(roots.join("file"), b"in the way").unwrap();
    let error = world
        .register_with("r", json!({ "location": "file" }))
        .await
        .unwrap_err();
    assert!(
        matches!(error, EngineError::RepositoryVerification { .. }),
        "{error}"
    );
    let info = world.engine.repository("r").await.unwrap();
    assert!(info.trouble.is_some());
    let used = world.begin("r", "one", &[]).await.unwrap_err();
    assert!(matches!(used, EngineError::RepositoryUnavailable { .. }));
    // And it does not keep the server from starting.
    let world = world.restart().await;
    assert_eq!(world.engine.repositories().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_server_with_the_same_key_lists_and_restores_everything() {
    let old = world().await;
    old.register("backup").await;
    old.create_index("a", 2);
    old.put("a", some_documents(0, 500));
    old.snapshot("backup", "one", &["a"]).await;
    old.put("a", some_documents(500, 5));
    let second = old.snapshot("backup", "two", &["a"]).await;
    let documents = old.documents("a");
    old.engine.shutdown(std::time::Duration::from_secs(5)).await;

    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("repositories")).unwrap();
    std::fs::copy(
        old.folder.path().join("data/repository.key"),
        data.join("repository.key"),
    )
    .unwrap();
    std::fs::rename(
        old.repository_dir("backup"),
        data.join("repositories/moved"),
    )
    .unwrap();
    let new = open(folder).await;
    new.register_with("found", json!({ "location": "moved" }))
        .await
        .unwrap();
    let mut listed = new.engine.snapshots("found").await.unwrap();
    assert_eq!(listed.len(), 2);
    let mut expected = second;
    expected.repository = "found".into();
    assert_eq!(listed.pop().unwrap(), expected);
    new.restore("found", "two", restore_request(&["a"]))
        .await
        .unwrap();
    assert_eq!(new.documents("a"), documents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_another_password_is_told_apart_and_left_alone() {
    let one = world().await;
    one.register("backup").await;
    one.engine.shutdown(std::time::Duration::from_secs(5)).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir_all(folder.path().join("data/repositories")).unwrap();
    std::fs::rename(
        one.repository_dir("backup"),
        folder.path().join("data/repositories/foreign"),
    )
    .unwrap();
    let two = open(folder).await;
    let error = two
        .register_with("foreign", json!({ "location": "foreign" }))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not open it"), "{error}");
    assert!(two.engine.repositories().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readonly_registration_reads_what_others_write_and_writes_nothing() {
    let world = world().await;
    world.register("backup").await;
    world
        .register_with("view", json!({ "location": "backup", "readonly": true }))
        .await
        .unwrap();
    world.create_index("a", 1);
    world.put("a", some_documents(0, 10));
    world.snapshot("backup", "one", &["a"]).await;
    assert_eq!(world.engine.snapshots("view").await.unwrap().len(), 1);
    let create = world.begin("view", "two", &["a"]).await.unwrap_err();
    let create_refused = matches!(
        create,
        EngineError::RepositoryReadonly {
            operation: ReadonlyOperation::CreateSnapshot,
            ..
        }
    );
    assert!(create_refused, "{create}");
    let delete = world
        .engine
        .delete_snapshots("view", &["one".into()])
        .await
        .unwrap_err();
    assert!(matches!(delete, EngineError::RepositoryReadonly { .. }));
    assert!(matches!(
        world.engine.cleanup("view").await,
        Err(EngineError::RepositoryReadonly { .. })
    ));
    world.store.delete_index("a").unwrap();
    world
        .restore("view", "one", restore_request(&["a"]))
        .await
        .unwrap();
    assert_eq!(world.documents("a").len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_change_while_a_snapshot_runs_and_nothing_else_does() {
    let world = world().await;
    let slow = json!({ "location": "backup", "max_snapshot_bytes_per_sec": "50kb" });
    world.register_with("backup", slow).await.unwrap();
    world.create_index("a", 1);
    world.put("a", some_documents(0, 8000));
    let ticket = world
        .engine
        .create_snapshot("backup", request("one", &["a"]))
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let running = world.engine.running_snapshots(Some("backup")).await;
    assert_eq!(running.len(), 1);
    let moved = world
        .register_with("backup", json!({ "location": "elsewhere" }))
        .await
        .unwrap_err();
    assert!(
        matches!(
            moved,
            EngineError::RepositoryInUse {
                by: InUse::Snapshot,
                ..
            }
        ),
        "{moved}"
    );
    assert!(matches!(
        world.engine.remove_repository("backup").await,
        Err(EngineError::RepositoryInUse {
            by: InUse::Snapshot,
            ..
        })
    ));
    world
        .register_with("backup", json!({ "location": "backup" }))
        .await
        .unwrap();
    let info = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(info.state, snapkeep_engine::SnapshotState::Success);
    let status = world.engine.snapshot_status("backup", "one").await.unwrap();
    assert!(status.throttled_ns > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_added_listed_and_removed() {
    let world = world().await;
    world.register("backup").await;
    let id = world
        .engine
        .add_key("backup", "correct horse", "ops")
        .await
        .unwrap();
    let keys = world.engine.keys("backup").await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(
        keys.iter()
            .any(|key| key.id == id && key.username == "ops" && !key.current)
    );
    let own = keys.iter().find(|key| key.current).unwrap();
    assert!(matches!(
        world.engine.remove_key("backup", &own.id).await,
        Err(EngineError::Key { .. })
    ));
    world.engine.remove_key("backup", &id[..12]).await.unwrap();
    assert!(matches!(
        world.engine.remove_key("backup", &id).await,
        Err(EngineError::Key { .. })
    ));
    let environment = world.engine.repository_environment("backup").await.unwrap();
    assert_eq!(
        environment.repository,
        world.repository_dir("backup").display().to_string()
    );
    assert_eq!(environment.password.len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_repository_that_is_gone_is_not_replaced_by_an_empty_one() {
    let world = world().await;
    world.register("mounted").await;
    let place = world.repository_dir("mounted");
    let elsewhere = world.folder.path().join("unmounted");
    std::fs::rename(&place, &elsewhere).unwrap();
    let check = world.engine.check("mounted", CheckRequest::Structure);
    let check = world
        .engine
        .wait_job(&check.await.unwrap().job_id)
        .await
        .unwrap();
    assert_eq!(check.state, JobState::Failed, "{check:?}");
    assert!(!place.exists());

    let world = world.restart().await;
    let refused = world.engine.refresh_repository("mounted").await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is its storage mounted"), "{refused}");
    assert!(!place.exists());

    std::fs::rename(&elsewhere, &place).unwrap();
    world.engine.refresh_repository("mounted").await.unwrap();
}
