//! The main job: documents come back byte for byte.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{object, renamed, restore_request, some_documents, world};
use serde_json::{Value, json};
use snapkeep_engine::{RecoveryStage, SnapshotPhase, SnapshotState};
use snapkeep_store::{IndexSpec, WriteOp, WriteOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_is_restored_with_every_document_as_it_was() {
    let world = world().await;
    world.register("backup").await;
    world
        .store
        .create_index(
            "books",
            IndexSpec {
                settings: json!({ "number_of_shards": 3 }),
                mappings: json!({ "properties": { "title": { "type": "keyword" } } }),
                aliases: json!({ "library": {} }),
            },
        )
        .unwrap();
    world.put("books", some_documents(0, 2000));
    world.put("books", some_documents(100, 50));
    world.delete_documents("books", ["doc-7".to_owned(), "doc-8".to_owned()]);
    let pretty = b"{\n  \"title\": \"with\\nbreaks\",\r\n \"n\": 1.0 }\n".to_vec();
    let mut odd = WriteOp::index("books", Some("odd \"id\"".into()), pretty);
    odd.routing = Some("elsewhere".into());
    world.store.write(vec![odd], &WriteOptions::default())[0]
        .as_ref()
        .unwrap();
    let before = world.documents("books");
    let meta_before = world.store.index("books").unwrap();

    let info = world.snapshot("backup", "snapshot_1", &["books"]).await;
    assert_eq!(info.state, SnapshotState::Success, "{info:?}");
    assert_eq!(
        (
            info.shards_total,
            info.shards_successful,
            info.shards_failed
        ),
        (3, 3, 0)
    );
    assert_eq!(info.indices[0].documents, before.len() as u64);
    assert_eq!(info.uuid.len(), 22);
    let listed = world.engine.snapshots("backup").await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&info));
    let status = world
        .engine
        .snapshot_status("backup", "snapshot_1")
        .await
        .unwrap();
    assert_eq!(status.phase, SnapshotPhase::Success);
    assert_eq!(status.indices[0].shards.len(), 3);

    world.store.delete_index("books").unwrap();
    let restored = world
        .restore("backup", "snapshot_1", restore_request(&["books"]))
        .await
        .unwrap();
    assert_eq!(
        (
            restored.shards_total,
            restored.shards_failed,
            restored.error
        ),
        (3, 0, None)
    );
    assert_eq!(world.documents("books"), before);
    let meta = world.store.index("books").unwrap();
    assert_eq!(meta.mappings, meta_before.mappings);
    assert_eq!(meta.aliases, meta_before.aliases);
    assert_ne!(meta.uuid, meta_before.uuid);

    let recoveries = world.engine.recoveries().await.unwrap();
    assert_eq!(recoveries.len(), 3);
    for recovery in &recoveries {
        assert_eq!(recovery.stage, RecoveryStage::Done);
        assert_eq!(recovery.bytes_recovered, recovery.bytes_total);
        assert!(!recovery.is_active());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_index_and_an_empty_snapshot_are_fine() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("empty", 2);
    let info = world.snapshot("backup", "one", &["empty"]).await;
    assert_eq!(info.state, SnapshotState::Success);
    assert!(info.indices[0].size_bytes > 0);
    world.store.delete_index("empty").unwrap();
    world
        .restore("backup", "one", restore_request(&["empty"]))
        .await
        .unwrap();
    assert!(world.documents("empty").is_empty());
    let nothing = world.snapshot("backup", "two", &[]).await;
    assert_eq!(
        (nothing.state, nothing.shards_total),
        (SnapshotState::Success, 0)
    );
    let restored = world
        .restore("backup", "two", restore_request(&[]))
        .await
        .unwrap();
    assert_eq!((restored.indices.len(), restored.shards_total), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_larger_than_a_blob_come_back() {
    let world = world().await;
    world.register("backup").await;
    world.create_index("large", 1);
    let mut documents = some_documents(0, 300);
    for (number, megabytes) in [(1, 3), (2, 11), (3, 20)] {
        documents.push((
            format!("large-{number}"),
            json!({ "text": "x y".repeat(megabytes * 350_000) }),
        ));
    }
    documents.extend(some_documents(300, 300));
    world.put("large", documents);
    let before = world.documents("large");
    world.snapshot("backup", "one", &["large"]).await;
    let restored = world
        .restore("backup", "one", renamed(&["large"], "large", "again"))
        .await
        .unwrap();
    assert_eq!(restored.error, None);
    assert!(world.documents("again") == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn global_state_comes_back_only_when_asked_for() {
    let world = world().await;
    world.register("backup").await;
    let persistent = |value: Value| {
        world
            .store
            .put_cluster_settings(&value, &json!({}))
            .unwrap()
    };
    persistent(json!({ "a.b": "1" }));
    let template = json!({ "index_patterns": ["logs-*"], "settings": { "number_of_shards": "2" } });
    world
        .store
        .put_template(
            snapkeep_store::TemplateKind::Legacy,
            "logs",
            template.clone(),
        )
        .unwrap();
    let info = world.snapshot("backup", "one", &[]).await;
    assert!(info.include_global_state);
    persistent(json!({ "a.b": null, "c.d": "2" }));
    world
        .store
        .delete_template(snapkeep_store::TemplateKind::Legacy, "logs")
        .unwrap();

    world
        .restore("backup", "one", restore_request(&[]))
        .await
        .unwrap();
    assert!(
        world
            .store
            .cluster_settings()
            .persistent
            .contains_key("c.d")
    );
    let mut request = restore_request(&[]);
    request.include_global_state = true;
    let restored = world.restore("backup", "one", request).await.unwrap();
    assert_eq!(restored.error, None);
    let settings: serde_json::Map<_, _> = world
        .store
        .cluster_settings()
        .persistent
        .into_iter()
        .collect();
    assert_eq!(settings, object(json!({ "a.b": "1" })));
    assert_eq!(
        world
            .store
            .templates(snapkeep_store::TemplateKind::Legacy)
            .len(),
        1
    );
}
