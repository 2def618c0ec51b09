//! What others do to a repository while it is in use: nothing may be lost by it, and nothing told that is not so.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{World, request, restore_request, some_documents, world};
use snapkeep_engine::{SnapshotInfo, SnapshotState};
use snapkeep_vault::storage::{ObjectStorage, Storage};
use snapkeep_vault::{
    BackupOptions, Password, Repository, RepositoryOptions, SnapshotFile, SnapshotId, Tree,
};

async fn prepared() -> (World, SnapshotInfo) {
    let world = world().await;
    world.register("backup").await;
    world.create_index("a", 2);
    world.put("a", some_documents(0, 300));
    let info = world.snapshot("backup", "one", &["a"]).await;
    assert_eq!(info.state, SnapshotState::Success);
    (world, info)
}

async fn names(world: &World) -> Vec<String> {
    let snapshots = world.engine.snapshots("backup").await.unwrap();
    snapshots.into_iter().map(|info| info.name).collect()
}

/// Works in the repository as another program does.
async fn elsewhere<T: Send + 'static>(
    world: &World,
    work: impl FnOnce(Repository) -> T + Send + 'static,
) -> T {
    let environment = world.engine.repository_environment("backup").await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let place = std::path::PathBuf::from(environment.repository);
        let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::local(&place, runtime).unwrap());
        let password = Password::from(environment.password.as_str());
        work(Repository::open(storage, &password, &RepositoryOptions::default()).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_vanishes_under_a_running_server_is_not_written_to_and_forgets_nothing() {
    let (world, _) = prepared().await;
    let place = world.repository_dir("backup");
    let aside = world.folder.path().join("unmounted");
    std::fs::rename(&place, &aside).unwrap();
    std::fs::create_dir(&place).unwrap();
    if let Ok(ticket) = world.begin("backup", "two", &["a"]).await {
        let info = world.engine.wait_snapshot(&ticket).await.unwrap();
        assert_eq!(info.state, SnapshotState::Failed, "{info:?}");
    }
    world.engine.refresh_repository("backup").await.unwrap_err();
    assert!(names(&world).await.contains(&"one".to_owned()));
    assert_eq!(common::folder_bytes(&place), 0);

    std::fs::remove_dir_all(&place).unwrap();
    std::fs::rename(&aside, &place).unwrap();
    world.engine.refresh_repository("backup").await.unwrap();
    let three = world.snapshot("backup", "three", &["a"]).await;
    assert_eq!(three.state, SnapshotState::Success);
    let documents = world.documents("a");
    world.store.delete_index("a").unwrap();
    let restored = world.restore("backup", "one", restore_request(&["a"]));
    assert_eq!(restored.await.unwrap().error, None);
    assert_eq!(world.documents("a"), documents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_tags_stock_restic_changed_is_deleted_all_the_same() {
    let (world, info) = prepared().await;
    let old: SnapshotId = info.restic_id.unwrap().parse().unwrap();
    // As `restic tag` does: the same under a new id, then the old file goes.
    elsewhere(&world, move |repository| {
        let mut file = repository.read_snapshot(&old).unwrap();
        file.tags.push("changed".to_owned());
        let backup = repository.backup(BackupOptions::default()).unwrap();
        backup.adopt_tree(&file.tree).unwrap();
        backup.finish(file).unwrap();
        repository.forget(&[old]).unwrap();
    })
    .await;
    world
        .engine
        .delete_snapshots("backup", &["one".to_owned()])
        .await
        .unwrap();
    world.engine.refresh_repository("backup").await.unwrap();
    assert_eq!(names(&world).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_file_is_damaged_is_still_listed_and_restores() {
    let (world, info) = prepared().await;
    let snapshots = world.repository_dir("backup").join("snapshots");
    let file = snapshots.join(info.restic_id.unwrap());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    world.engine.refresh_repository("backup").await.unwrap();
    assert_eq!(names(&world).await, ["one"]);
    world.store.delete_index("a").unwrap();
    let restored = world.restore("backup", "one", restore_request(&["a"]));
    assert_eq!(restored.await.unwrap().error, None);
    assert_eq!(world.documents("a").len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_cut_out_of_a_snapshot_is_not_restored_as_an_empty_one() {
    let (world, info) = prepared().await;
    let old: SnapshotId = info.restic_id.unwrap().parse().unwrap();
    // As `restic rewrite --exclude /indices/a/1 --forget` does.
    elsewhere(&world, move |repository| {
        let file = repository.read_snapshot(&old).unwrap();
        let backup = repository.backup(BackupOptions::default()).unwrap();
        backup.adopt_tree(&file.tree).unwrap();
        let without = |tree: &Tree, name: &str, changed: Option<snapkeep_vault::BlobId>| {
            let nodes = tree.nodes().iter().cloned().filter_map(|mut node| {
                if node.name == name.as_bytes() {
                    node.subtree = Some(changed?);
                }
                Some(node)
            });
            backup
                .save_tree(&Tree::new(nodes.collect()).unwrap())
                .unwrap()
        };
        let child = |tree: &Tree, name: &str| {
            let node = tree.find(name.as_bytes()).unwrap();
            repository.read_tree(&node.subtree.unwrap()).unwrap()
        };
        let root = repository.read_tree(&file.tree).unwrap();
        let indices = child(&root, "indices");
        let index = without(&child(&indices, "a"), "1", None);
        let indices = without(&indices, "a", Some(index));
        let root = without(&root, "indices", Some(indices));
        let rewritten = SnapshotFile { tree: root, ..file };
        backup.finish(rewritten).unwrap();
        repository.forget(&[old]).unwrap();
    })
    .await;
    world.engine.refresh_repository("backup").await.unwrap();
    world.store.delete_index("a").unwrap();
    let restored = world.restore("backup", "one", restore_request(&["a"]));
    let refused = restored.await.unwrap_err().to_string();
    assert!(
        refused.contains("shard 1 of index a is missing"),
        "{refused}"
    );
    assert!(world.store.index("a").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_snapshots_of_one_name_at_once_one_is_taken() {
    let (world, _) = prepared().await;
    for round in 0..10 {
        let name = format!("round-{round}");
        let asked = (0..8).map(|_| {
            let (engine, request) = (world.engine.clone(), request(&name, &[]));
            tokio::spawn(async move {
                let ticket = engine.create_snapshot("backup", request).await.ok()?;
                engine.wait_snapshot(&ticket).await.ok()
            })
        });
        let mut taken = BTreeSet::new();
        for asked in asked.collect::<Vec<_>>() {
            taken.extend(asked.await.unwrap().map(|info| info.uuid));
        }
        assert_eq!(taken.len(), 1, "{name}");
        let copy = format!("copy-{round}");
        let indices = ["a".to_owned()];
        let clone = || {
            world
                .engine
                .clone_snapshot("backup", "one", &copy, &indices)
        };
        let (first, second, third) = tokio::join!(clone(), clone(), clone());
        let made = [first, second, third]
            .iter()
            .filter(|made| made.is_ok())
            .count();
        assert_eq!(made, 1, "{copy}");
    }
    world.engine.refresh_repository("backup").await.unwrap();
    assert_eq!(names(&world).await.len(), 21);
}
