//! Later snapshots store what changed and nothing else, and every one is complete in itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{folder_bytes, renamed, restore_request, some_documents, world};
use snapkeep_engine::{FileStats, SnapshotState};

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_snapshots_restores_its_own_moment() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 2);
    let mut moments = Vec::new();
    for round in 0..12_u64 {
        world.put("a", some_documents(round * 40, 100));
        world.delete_documents(
            "a",
            (0..20).map(|at| format!("doc-{}", round * 40 + at * 3)),
        );
        let name = format!("round-{round}");
        let info = world.snapshot("backup", &name, &["a"]).await;
        assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
        moments.push((name, world.documents("a")));
    }
    for (name, documents) in moments {
        let restored = world
            .restore("backup", &name, renamed(&["a"], "a", &name))
            .await
            .unwrap();
        assert_eq!(restored.error, None, "{name}");
        assert_eq!(world.documents(&name), documents, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_percent_of_changes_costs_about_one_percent() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 20_000));
    world.snapshot("backup", "first", &["a"]).await;
    let data = world.repository_dir("backup").join("data");
    let first = folder_bytes(&data);
    world.put(
        "a",
        some_documents(20_000, 200)
            .into_iter()
            .enumerate()
            .map(|(at, (_, source))| (format!("doc-{}", at * 97), source)),
    );
    let second = world.snapshot("backup", "second", &["a"]).await;
    let added = folder_bytes(&data) - first;
    assert!(added < first / 50, "{added} of {first}");
    assert_eq!(second.indices[0].documents, 20_000);
    assert_eq!(second.indices[0].max_segments_per_shard, 2);
    let status = world
        .engine
        .snapshot_status("backup", "second")
        .await
        .unwrap();
    let shard = &status.indices[0].shards[0];
    assert_eq!((shard.incremental.files, shard.total.files), (3, 4));
    assert!(shard.incremental.bytes * 50 < shard.total.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_taken_over_by_reference() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.create_index("b", 1);
    world.put("a", some_documents(0, 5000));
    world.put("b", some_documents(0, 10));
    world.snapshot("backup", "first", &["a", "b"]).await;
    world.put("b", some_documents(10, 10));
    world.snapshot("backup", "second", &["a", "b"]).await;
    let status = world
        .engine
        .snapshot_status("backup", "second")
        .await
        .unwrap();
    let unchanged = &status.indices[0].shards[0];
    assert_eq!(unchanged.incremental, FileStats::default());
    assert_eq!(unchanged.total.files, 2);
    // Also when the base itself was taken over, and after its origin is gone.
    world
        .engine
        .delete_snapshots("backup", &["first".into()])
        .await
        .unwrap();
    world.snapshot("backup", "third", &["a"]).await;
    world
        .engine
        .delete_snapshots("backup", &["second".into()])
        .await
        .unwrap();
    world.engine.cleanup("backup").await.unwrap();
    let before = world.documents("a");
    world.store.delete_index("a").unwrap();
    world
        .restore("backup", "third", restore_request(&["a"]))
        .await
        .unwrap();
    assert_eq!(world.documents("a"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn much_garbage_makes_a_shard_be_written_anew() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 1000));
    world.snapshot("backup", "first", &["a"]).await;
    world.put("a", some_documents(0, 600));
    world.snapshot("backup", "second", &["a"]).await;
    world.delete_documents("a", (0..300).map(|number| format!("doc-{number}")));
    let info = world.snapshot("backup", "third", &["a"]).await;
    assert_eq!(
        (
            info.indices[0].max_segments_per_shard,
            info.indices[0].documents
        ),
        (1, 700)
    );
    let before = world.documents("a");
    world
        .restore("backup", "third", renamed(&["a"], "a", "b"))
        .await
        .unwrap();
    assert_eq!(world.documents("b"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_segments_are_merged() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 3000));
    let mut most = 0;
    for round in 0..70_u64 {
        world.put("a", some_documents(2000 + round * 7, 10));
        if round % 3 == 0 {
            world.delete_documents("a", [format!("doc-{}", round * 11)]);
        }
        let info = world
            .snapshot("backup", &format!("round-{round}"), &["a"])
            .await;
        assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
        most = most.max(info.indices[0].max_segments_per_shard);
    }
    assert_eq!(most, 64);
    let last = world.engine.snapshot("backup", "round-69").await.unwrap();
    assert!(last.indices[0].max_segments_per_shard < 10, "{last:?}");
    let before = world.documents("a");
    let restored = world
        .restore("backup", "round-69", renamed(&["a"], "a", "b"))
        .await
        .unwrap();
    assert_eq!(restored.error, None);
    assert_eq!(world.documents("b"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_anew_under_the_same_name_is_read_anew() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 100));
    world.snapshot("backup", "first", &["a"]).await;
    world.store.delete_index("a").unwrap();
    world.create_index("a", 1);
    world.put("a", some_documents(500, 30));
    world.snapshot("backup", "second", &["a"]).await;
    let before = world.documents("a");
    world
        .restore("backup", "second", renamed(&["a"], "a", "b"))
        .await
        .unwrap();
    assert_eq!(world.documents("b"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_index_goes_on_with_increments() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 1000));
    world.snapshot("backup", "first", &["a"]).await;
    world.store.close_index("a").unwrap();
    world
        .restore("backup", "first", restore_request(&["a"]))
        .await
        .unwrap();
    world.put("a", some_documents(1000, 10));
    world.snapshot("backup", "second", &["a"]).await;
    world.put("a", some_documents(500, 10));
    let third = world.snapshot("backup", "third", &["a"]).await;
    assert_eq!(third.indices[0].max_segments_per_shard, 2);
    let before = world.documents("a");
    world
        .restore("backup", "third", renamed(&["a"], "a", "b"))
        .await
        .unwrap();
    assert_eq!(world.documents("b"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_waits_for_its_base_to_be_read_can_be_cancelled() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 1);
    world.put("a", some_documents(0, 100));
    world.snapshot("backup", "first", &["a"]).await;
    world.put("a", some_documents(100, 1));
    // At one byte a second the description of the base alone would take hours.
    let settings = serde_json::json!({ "location": "backup", "max_restore_bytes_per_sec": "1b" });
    world.register_with("backup", settings).await.unwrap();
    world.begin("backup", "second", &["a"]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let names = ["second".to_owned()];
    let deleted = world.engine.delete_snapshots("backup", &names);
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, deleted).await.unwrap().unwrap();
}
