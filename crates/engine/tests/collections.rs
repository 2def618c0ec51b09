//! Snapshots of collections: bit-exact, incremental, readable with nothing but the repository.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::collections::{collections_renamed, collections_request, id, noise, plain_object};
use common::{folder_bytes, object, restore_request, some_documents, world};
use serde_json::json;
use snapkeep_engine::{
    ResourceKind, RestoreRequest, RestoreState, ShardStage, SnapshotState, TenantStatus,
};
use snapkeep_store::collections::{NewObject, ObjectVector, TenantStatus as StoreStatus};

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_vectors_come_back_bit_for_bit() {
    let world = world().await;
    world.register("backup").await;
    world.create_collection("Article", 3);
    world
        .store
        .put_collection_alias("Story", "Article")
        .unwrap();
    let odd = [
        -0.0,
        f32::MIN_POSITIVE / 3.0,
        f32::MAX,
        f32::INFINITY,
        16_777_217.0,
    ];
    let named = NewObject {
        vectors: vec![
            ObjectVector::single("title", noise(7, 384)),
            ObjectVector::single("odd", odd.to_vec()),
            ObjectVector::multi("colbert", &[noise(1, 128), noise(2, 128), noise(3, 128)]).unwrap(),
        ],
        created_ms: Some(1_600_000_000_123),
        updated_ms: Some(1_600_000_000_456),
        ..NewObject::new(
            id(1_000_000),
            object(json!({
                "text": "line\nbreak", "int": 9_007_199_254_740_993_u64, "number": 1.5, "nested": {"a": [{"b": null}]},
                "ref": [{"beacon": "weaviate://localhost/Article/5f3b"}], "date": "2026-11-21T00:00:00.123456789+05:30"
            })),
        )
    };
    let without = NewObject::new(id(1_000_001), object(json!({})));
    world.put_objects(
        "Article",
        None,
        (0..3000).map(|number| plain_object(number, 96)),
    );
    world.put_objects("Article", None, [named, without]);
    world.delete_objects("Article", None, (0..3000).step_by(7));
    world.put_objects(
        "Article",
        None,
        (0..50).map(|number| plain_object(number * 2, 96)),
    );
    let (before, listed) = (world.objects("Article"), world.listed("Article", None));
    let class = world.class("Article");

    let info = world.back_up("backup", "one", &["Article"]).await;
    assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
    assert_eq!(info.collection_names(), ["Article"]);
    assert!(info.indices.is_empty());
    let article = &info.collections[0];
    assert_eq!(article.documents, listed.len() as u64);
    assert_eq!((article.shards.len(), info.shards_successful), (3, 3));

    world.store.delete_collection("Article").unwrap();
    let run = world
        .bring_back("backup", "one", collections_request(&["Article"]))
        .await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
    assert_eq!(run.bytes_done, run.bytes_total);
    assert_eq!(world.objects("Article"), before);
    assert_eq!(world.listed("Article", None), listed);
    assert_eq!(world.class("Article"), class);
    assert_eq!(world.store.collection_aliases()["Story"], "Article");
    let odd_again = world
        .store
        .get_object("Article", None, id(1_000_000))
        .unwrap()
        .unwrap();
    let bits = |values: &[f32]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&odd_again.vector("odd").unwrap().values), bits(&odd));
    assert_eq!(odd_again.created_ms, 1_600_000_000_123);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_kept_with_their_status_and_the_cold_ones_with_their_objects() {
    let world = world().await;
    world.register("backup").await;
    world.create_multi_tenant("Notes", &["hot", "cold", "frozen", "empty", "leaves"]);
    for tenant in ["hot", "cold", "frozen", "leaves"] {
        world.put_objects(
            "Notes",
            Some(tenant),
            (0..200).map(|number| plain_object(number, 8)),
        );
    }
    world.set_tenant("Notes", "cold", StoreStatus::Cold);
    world.set_tenant("Notes", "frozen", StoreStatus::Frozen);
    let mut before = world.objects("Notes");
    let first = world.back_up("backup", "first", &["Notes"]).await;
    assert_eq!(first.state, SnapshotState::Success, "{:?}", first.reason);
    let notes = &first.collections[0];
    assert_eq!(notes.shards, ["hot", "cold", "frozen", "empty", "leaves"]);
    assert_eq!(notes.documents, 600);
    assert_eq!(
        notes
            .left_out
            .iter()
            .map(|it| (it.shard.as_str(), it.status))
            .collect::<Vec<_>>(),
        [("frozen", TenantStatus::Frozen)]
    );
    let status = world
        .engine
        .snapshot_status("backup", "first")
        .await
        .unwrap();
    assert!(status.indices.is_empty());
    let frozen = &status.collections[0].shards[2];
    assert_eq!(
        (frozen.name.as_deref(), frozen.stage),
        (Some("frozen"), ShardStage::Done)
    );
    assert!(frozen.reason.as_deref().unwrap().contains("frozen"));

    // One leaves, one comes, one of the old name begins anew, one that was frozen is used again.
    world
        .store
        .remove_tenants("Notes", &["leaves".into(), "empty".into()])
        .unwrap();
    let hot = snapkeep_store::collections::TenantStatus::Hot;
    world
        .store
        .add_tenants("Notes", &[("comes".into(), hot), ("leaves".into(), hot)])
        .unwrap();
    world.put_objects(
        "Notes",
        Some("leaves"),
        (900..910).map(|number| plain_object(number, 8)),
    );
    world.set_tenant("Notes", "frozen", StoreStatus::Hot);
    let later = world.objects("Notes");
    let second = world.back_up("backup", "second", &["Notes"]).await;
    assert_eq!(second.state, SnapshotState::Success, "{:?}", second.reason);
    assert_eq!(second.collections[0].documents, 610);
    assert!(second.collections[0].left_out.is_empty());

    let run = world
        .bring_back(
            "backup",
            "first",
            collections_renamed(&[("Notes", "First")]),
        )
        .await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
    before.insert("frozen".into(), Vec::new());
    assert_eq!(world.objects("First"), before);
    let restored = world.store.collection("First").unwrap();
    assert_eq!(restored.shard("cold").unwrap().status, StoreStatus::Cold);
    assert_eq!(
        restored.shard("frozen").unwrap().status,
        StoreStatus::Frozen
    );
    assert_eq!(world.class("First")["class"], "First");
    let run = world
        .bring_back(
            "backup",
            "second",
            collections_renamed(&[("Notes", "Second")]),
        )
        .await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
    assert_eq!(world.objects("Second"), later);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_stored_and_nothing_else() {
    let world = world().await;
    world.register("backup").await;
    world.create_collection("Article", 1);
    world.put_objects(
        "Article",
        None,
        (0..5000).map(|number| plain_object(number, 256)),
    );
    world.back_up("backup", "first", &["Article"]).await;
    let data = world.repository_dir("backup").join("data");
    let first = folder_bytes(&data);
    assert!(first > 5000 * 1024 / 100 * 90, "{first}");

    let unchanged = world.back_up("backup", "unchanged", &["Article"]).await;
    assert_eq!(unchanged.state, SnapshotState::Success);
    let nothing = folder_bytes(&data) - first;
    assert!(nothing < 20_000, "{nothing}");

    let changed: Vec<NewObject> = (0..50)
        .map(|at| NewObject {
            vectors: vec![ObjectVector::single("", noise(at + 77_000, 256))],
            ..plain_object(at * 97, 256)
        })
        .collect();
    world.put_objects("Article", None, changed);
    let now = world.objects("Article");
    let third = world.back_up("backup", "third", &["Article"]).await;
    let added = folder_bytes(&data) - first - nothing;
    assert!(added < first / 50, "{added} of {first}");
    assert_eq!(third.collections[0].documents, 5000);
    assert_eq!(third.collections[0].max_segments_per_shard, 2);
    let status = world
        .engine
        .snapshot_status("backup", "third")
        .await
        .unwrap();
    let shard = &status.collections[0].shards[0];
    // Objects, vectors, dead copies and the description are new.
    assert_eq!((shard.incremental.files, shard.total.files), (4, 6));

    world.store.delete_collection("Article").unwrap();
    let run = world
        .bring_back("backup", "third", collections_request(&["Article"]))
        .await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
    assert_eq!(world.objects("Article"), now);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_snapshots_restores_its_own_moment_through_merges() {
    let world = world().await;
    world.register("backup").await;
    world.create_collection("Article", 2);
    let mut moments = Vec::new();
    for round in 0..10_u64 {
        let objects = (round * 30..round * 30 + 90).map(|number| plain_object(number, 16));
        world.put_objects("Article", None, objects);
        world.delete_objects("Article", None, (0..25).map(|at| round * 30 + at * 3));
        let name = format!("Round{round}");
        let info = world.back_up("backup", &name, &["Article"]).await;
        assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
        moments.push((name, world.objects("Article")));
    }
    for (name, objects) in moments {
        let request = collections_renamed(&[("Article", &name)]);
        let run = world.bring_back("backup", &name, request).await;
        assert_eq!(run.error, None, "{name}");
        assert_eq!(world.objects(&name), objects, "{name}");
    }
    let check = world
        .engine
        .check("backup", snapkeep_engine::CheckRequest::All)
        .await
        .unwrap();
    let job = world.engine.wait_job(&check.job_id).await.unwrap();
    assert_eq!(job.error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_moment_holds_indices_and_collections_and_names_may_be_the_same() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("same", 1);
    world.create_collection("same", 1);
    world.create_collection("empty", 1);
    world.put("same", some_documents(0, 100));
    world.put_objects("same", None, (0..100).map(|number| plain_object(number, 4)));
    let mut request = common::request("both", &["same"]);
    request.collections = vec!["same".into(), "empty".into()];
    request.policy = Some("nightly".into());
    let ticket = world
        .engine
        .create_snapshot("backup", request)
        .await
        .unwrap();
    let info = world.engine.wait_snapshot(&ticket).await.unwrap();
    assert_eq!(info.state, SnapshotState::Success, "{:?}", info.reason);
    assert_eq!(
        (info.index_names(), info.collection_names()),
        (vec!["same".to_owned()], vec!["empty".into(), "same".into()])
    );
    assert_eq!(
        (info.policy.as_deref(), info.shards_total),
        (Some("nightly"), 3)
    );
    let (documents, objects) = (world.documents("same"), world.objects("same"));
    world.store.delete_index("same").unwrap();
    world.store.delete_collection("same").unwrap();
    world.store.delete_collection("empty").unwrap();

    let run = world
        .bring_back(
            "backup",
            "both",
            RestoreRequest {
                indices: vec!["same".into()],
                ..collections_request(&["same", "empty"])
            },
        )
        .await;
    assert_eq!((run.state, run.error), (RestoreState::Success, None));
    let kinds: Vec<ResourceKind> = run.resources.iter().map(|it| it.kind).collect();
    assert_eq!(
        kinds,
        [
            ResourceKind::Index,
            ResourceKind::Collection,
            ResourceKind::Collection
        ]
    );
    assert_eq!(world.documents("same"), documents);
    assert_eq!(world.objects("same"), objects);
    assert!(world.objects("empty")["shard0"].is_empty());
    let recoveries = world.engine.recoveries().await.unwrap();
    assert_eq!(recoveries.len(), 1, "recoveries are those of indices");

    // A clone takes over indices.
    let clone = world
        .engine
        .clone_snapshot("backup", "both", "clone", &["same".into()])
        .await
        .unwrap();
    assert!(clone.collections.is_empty());
    let restored = world
        .restore(
            "backup",
            "clone",
            common::renamed(&["same"], "same", "cloned"),
        )
        .await
        .unwrap();
    assert_eq!(restored.error, None);
    assert_eq!(world.documents("cloned"), documents);
    world
        .restore("backup", "clone", restore_request(&["none"]))
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_catalogue_comes_back_from_the_repository() {
    let world = world().await;
    world.register("backup").await;
    world.create_multi_tenant("Notes", &["a", "b"]);
    world.put_objects(
        "Notes",
        Some("a"),
        (0..100).map(|number| plain_object(number, 4)),
    );
    let mut info = world.back_up("backup", "Kept-Name", &["Notes"]).await;
    let folder = std::sync::Arc::clone(&world.folder);
    let objects = world.objects("Notes");
    world
        .engine
        .shutdown(std::time::Duration::from_secs(30))
        .await;
    drop(world);
    std::fs::remove_file(folder.path().join("data/catalogue.sqlite")).unwrap();
    let world = common::open(folder).await;
    world.register("backup").await;
    let found = world.engine.snapshot("backup", "Kept-Name").await.unwrap();
    info.end_ms = found.end_ms;
    assert_eq!(found, info);
    let run = world
        .bring_back(
            "backup",
            "Kept-Name",
            collections_renamed(&[("Notes", "Again")]),
        )
        .await;
    assert_eq!(run.error, None);
    assert_eq!(world.objects("Again"), objects);
}
