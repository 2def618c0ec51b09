//! What a restore may do, and what it refuses.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, object, renamed, restore_request, some_documents, world};
use serde_json::json;
use snapkeep_engine::{EngineError, RestoreProblem};
use snapkeep_store::IndexState;

async fn prepared() -> World {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a1", 1);
    world.create_index("a2", 2);
    world.put("a1", some_documents(0, 50));
    world.put("a2", some_documents(50, 50));
    world.snapshot("backup", "one", &["a1", "a2"]).await;
    world
}

fn problem(result: Result<snapkeep_engine::RestoreInfo, EngineError>) -> RestoreProblem {
    match result {
        Err(EngineError::Restore { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_index_is_never_touched() {
    let world = prepared().await;
    let refused = problem(
        world
            .restore("backup", "one", restore_request(&["a1"]))
            .await,
    );
    assert_eq!(
        refused,
        RestoreProblem::OpenIndexExists { index: "a1".into() }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_index_is_replaced_in_place_and_keeps_its_uuid() {
    let world = prepared().await;
    let before = world.documents("a1");
    let uuid = world.store.index("a1").unwrap().uuid.clone();
    world.put("a1", some_documents(900, 5));
    world.store.close_index("a1").unwrap();
    world
        .restore("backup", "one", restore_request(&["a1"]))
        .await
        .unwrap();
    let meta = world.store.index("a1").unwrap();
    assert_eq!(
        (meta.uuid.as_str(), meta.state),
        (uuid.as_str(), IndexState::Open)
    );
    assert_eq!(world.documents("a1"), before);
    world.store.close_index("a2").unwrap();
    let refused = problem(
        world
            .restore("backup", "one", renamed(&["a1"], "a1", "a2"))
            .await,
    );
    assert!(matches!(
        refused,
        RestoreProblem::ShardCountDiffers {
            index_shards: 2,
            source_shards: 1,
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_collide_or_cannot_be_are_refused() {
    let world = prepared().await;
    let same = problem(
        world
            .restore("backup", "one", renamed(&["a1", "a2"], "a.", "b"))
            .await,
    );
    assert!(matches!(same, RestoreProblem::RenamedIntoSame { .. }));
    let invalid = world
        .restore("backup", "one", renamed(&["a1"], "a", "A"))
        .await
        .unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "Invalid index name [A1], must be lowercase"
    );
    let group = world
        .restore("backup", "one", renamed(&["a1"], "(a)", "$2"))
        .await
        .unwrap_err();
    assert_eq!(group.to_string(), "No group 2");
    let missing = world
        .restore("backup", "one", restore_request(&["nope"]))
        .await
        .unwrap_err();
    assert!(matches!(missing, EngineError::IndexMissing { .. }));
    let snapshot = problem(world.restore("backup", "nope", restore_request(&[])).await);
    assert_eq!(snapshot, RestoreProblem::SnapshotMissing);
    assert_eq!(world.store.indices().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_aliases_are_as_asked_for() {
    let world = prepared().await;
    let action = snapkeep_store::AliasAction::Add {
        index: "a1".into(),
        alias: "all".into(),
        spec: snapkeep_store::Alias::default(),
    };
    world.store.update_aliases(&[action]).unwrap();
    world.snapshot("backup", "two", &["a1"]).await;
    let mut request = renamed(&["a1"], "a1", "with");
    request.index_settings = object(json!({ "index": { "number_of_replicas": 3 } }));
    world.restore("backup", "two", request).await.unwrap();
    let with = world.store.index("with").unwrap();
    assert_eq!(with.setting("index.number_of_replicas"), Some("3"));
    assert!(with.aliases.contains_key("all"));
    let mut request = renamed(&["a1"], "a1", "without");
    request.include_aliases = false;
    request.ignore_index_settings = vec!["index.refresh_interval".into()];
    world.restore("backup", "two", request).await.unwrap();
    assert!(world.store.index("without").unwrap().aliases.is_empty());
    let mut request = renamed(&["a1"], "a1", "other");
    request.index_settings = object(json!({ "number_of_shards": 3 }));
    let refused = problem(world.restore("backup", "two", request).await);
    assert!(matches!(
        refused,
        RestoreProblem::CannotModifySetting { .. }
    ));
    assert!(world.store.index("other").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_finds_damage_leaves_nothing_behind() {
    let world = prepared().await;
    world.store.delete_index("a1").unwrap();
    // Packs with content are damaged; those with directories still tell what should be there.
    let data = world.repository_dir("backup").join("data");
    let mut largest = Vec::new();
    for folder in std::fs::read_dir(&data).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap();
            largest.push((file.metadata().unwrap().len(), file.path()));
        }
    }
    largest.sort();
    let (_, pack) = largest.pop().unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    for byte in bytes.iter_mut().take(2000) {
        *byte ^= 0x55;
    }
    std::fs::write(&pack, bytes).unwrap();
    let restored = world
        .restore("backup", "one", restore_request(&["a1"]))
        .await;
    match restored {
        Ok(info) => {
            assert_eq!(
                (info.shards_failed, info.shards_successful),
                (1, 0),
                "{info:?}"
            );
            assert!(info.error.unwrap().contains("damaged"));
            let recoveries = world.engine.recoveries().await.unwrap();
            assert!(recoveries[0].failure.is_some() && !recoveries[0].is_active());
        }
        Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
    }
    assert!(world.store.index("a1").is_none());
    assert!(world.engine.indices_in_restores().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_read_cannot_be_deleted_and_its_restore_can_be_cancelled() {
    let world = prepared().await;
    world.put("a1", some_documents(0, 20_000));
    world.snapshot("backup", "large", &["a1"]).await;
    let slow = json!({ "location": "backup", "max_restore_bytes_per_sec": "100kb" });
    world.register_with("backup", slow).await.unwrap();
    let ticket = world
        .engine
        .restore("backup", "large", renamed(&["a1"], "a1", "b"))
        .await
        .unwrap();
    let refused = world
        .engine
        .delete_snapshots("backup", &["large".into()])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EngineError::SnapshotInUse { .. }),
        "{refused}"
    );
    assert_eq!(world.engine.indices_in_restores(), ["b"]);
    let begun = std::time::Instant::now();
    assert!(world.engine.cancel_restore_of("b").await.unwrap());
    assert!(begun.elapsed().as_secs() < 5);
    let info = world.engine.wait_restore(&ticket).await.unwrap();
    assert_eq!(
        (info.shards_failed, info.error.as_deref()),
        (1, Some("the index was deleted"))
    );
    assert!(world.store.index("b").is_none());
    world
        .engine
        .delete_snapshots("backup", &["large".into()])
        .await
        .unwrap();
}
