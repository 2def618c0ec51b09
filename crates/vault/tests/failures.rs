//! Storages that fail: a backup either succeeds whole or leaves nothing that anybody refers to.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, assert_file, content, open, password};
use snapkeep_vault::storage::{
    FaultPlan, Faulty, FileKind, RateLimits, Storage, StorageErrorKind, Throttled,
};
use snapkeep_vault::{
    BackupOptions, BytesSource, CancelFlag, FileSource, Node, Repository, RepositoryOptions,
    SnapshotFile, Time, Tree, VaultError,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn faulty(place: &Place) -> (Arc<Faulty>, Repository) {
    let faulty = Arc::new(Faulty::new(
        Arc::clone(&place.storage),
        FaultPlan::default(),
    ));
    let storage: Arc<dyn Storage> = Arc::clone(&faulty) as Arc<dyn Storage>;
    let repository = Repository::open(storage, &password(), &RepositoryOptions::default()).unwrap();
    (faulty, repository)
}

/// Stores one file of these bytes.
fn save(repository: &Repository, bytes: &[u8]) -> Result<snapkeep_vault::SnapshotId, VaultError> {
    let backup = repository.backup(BackupOptions::default())?;
    let source = BytesSource(bytes);
    let stored = backup
        .store_files(&[&source as &dyn FileSource])?
        .pop()
        .unwrap();
    let node = Node::file("file", Time::EPOCH, stored.content, stored.size_bytes);
    let root = backup.save_tree(&Tree::new(vec![node]).unwrap())?;
    Ok(backup.finish(SnapshotFile::new(root))?.0)
}

#[test]
fn a_storage_that_sometimes_does_not_answer_is_asked_again() {
    for seed in 0..2 {
        let place = Place::new();
        let (faulty, repository) = faulty(&place);
        faulty.set_plan(FaultPlan {
            seed,
            unavailable: 0.1,
            lost_answer: 0.1,
            ..FaultPlan::default()
        });
        let id = save(&repository, &content(1, 6 << 20)).unwrap();
        assert_file(&place.reopen(), id, ("file", 1, 6 << 20));
        assert_eq!(place.count(FileKind::Lock), 0);
    }
}

#[test]
fn a_storage_that_dies_at_any_change_leaves_no_snapshot_and_the_earlier_ones_whole() {
    // Side by side, as most of the time is spent waiting for the storage to come back.
    std::thread::scope(|scope| {
        for changes in 0..8 {
            scope.spawn(move || die_after(changes));
        }
    });
}

fn die_after(changes: u64) {
    let place = Place::new();
    let earlier = place.save(&[("earlier", 1, 100_000)]);
    let (faulty, repository) = faulty(&place);
    faulty.set_plan(FaultPlan {
        dies_after_changes: Some(changes),
        ..FaultPlan::default()
    });
    let result = save(&repository, &content(2, 18 << 20));
    let reopened = place.reopen();
    place.assert_file(earlier, ("earlier", 1, 100_000));
    let snapshots = reopened.list_snapshots().unwrap();
    match result {
        Ok(id) => assert_file(&reopened, id, ("file", 2, 18 << 20)),
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            // The answer to the snapshot may be what was lost; then it is there, and complete.
            for (id, _) in snapshots.iter().filter(|(id, _)| *id != earlier) {
                assert_file(&reopened, *id, ("file", 2, 18 << 20));
            }
        }
    }
    let next = save(&reopened, &content(3, 1000)).unwrap();
    assert_file(&reopened, next, ("file", 3, 1000));
}

#[test]
fn a_full_storage_is_told_as_such_and_left_clean() {
    let place = Place::new();
    let (faulty, repository) = faulty(&place);
    faulty.set_plan(FaultPlan {
        full_after_bytes: Some(20 << 20),
        ..FaultPlan::default()
    });
    let error = save(&repository, &content(1, 60 << 20)).unwrap_err();
    assert!(
        matches!(&error, VaultError::Storage(error) if error.kind == StorageErrorKind::NoSpace),
        "{error}"
    );
    for kind in [
        FileKind::Data,
        FileKind::Index,
        FileKind::Snapshot,
        FileKind::Lock,
    ] {
        assert_eq!(place.count(kind), 0, "{kind}");
    }
}

#[test]
fn a_bit_that_turns_on_the_way_is_noticed_and_the_blob_read_again() {
    let place = Place::new();
    let id = place.save(&[("file", 1, 3 << 20)]);
    let (faulty, repository) = faulty(&place);
    let root = repository.read_snapshot(&id).unwrap().tree;
    let blobs = repository
        .find(root, "file")
        .unwrap()
        .unwrap()
        .content
        .unwrap();
    let mut read = 0;
    for seed in 0..20 {
        faulty.set_plan(FaultPlan {
            seed,
            damaged_read: 0.3,
            ..FaultPlan::default()
        });
        match repository.read_file(&blobs, u64::MAX) {
            Ok(bytes) => {
                assert!(bytes == content(1, 3 << 20));
                read += 1;
            }
            Err(error) => assert!(error.is_damage(), "{error}"),
        }
    }
    assert!(read > 10, "{read} of 20");
}

#[test]
fn a_backup_that_is_throttled_to_a_crawl_stops_when_it_is_cancelled() {
    let place = Place::new();
    // An hour a pack.
    let throttled = Throttled::new(
        Arc::clone(&place.storage),
        Arc::new(RateLimits::new(Some(5000), None)),
    );
    let cancel = CancelFlag::new();
    for has_own_way in [true, false] {
        let cancel = if has_own_way {
            cancel.clone()
        } else {
            CancelFlag::new()
        };
        let storage: Arc<dyn Storage> = if has_own_way {
            Arc::new(throttled.with_cancel(cancel.clone()))
        } else {
            // A storage that notices nothing: then its upload is left behind.
            Arc::new(throttled.with_cancel(CancelFlag::new()))
        };
        let repository = place.repository.with_storage(storage);
        let options = BackupOptions {
            cancel: cancel.clone(),
            ..BackupOptions::default()
        };
        let backup = repository.backup(options).unwrap();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
            Instant::now()
        });
        let bytes = content(7, 200 << 20);
        let error = backup.store_files(&[&BytesSource(&bytes)]).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        drop(backup);
        // Generous: the point is that it does not take an hour.
        assert!(canceller.join().unwrap().elapsed() < Duration::from_secs(20));
        assert_eq!(place.count(FileKind::Data), 0);
        // The lock goes with the upload that was under way, which may end a moment after the backup.
        if has_own_way {
            let deadline = Instant::now() + Duration::from_secs(20);
            while place.count(FileKind::Lock) > 0 {
                assert!(
                    Instant::now() < deadline,
                    "the lock of a cancelled backup stays"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

#[test]
fn an_index_file_that_cannot_be_read_is_told_and_its_packs_are_read_all_the_same() {
    let place = Place::new();
    let first = place.save(&[("a", 1, 100_000)]);
    let index_of_first = place.storage.list(FileKind::Index).unwrap()[0].name.clone();
    let second = place.save(&[("b", 2, 100_000)]);
    place.damage(FileKind::Index, &index_of_first);

    let repository = place.reopen();
    assert_eq!(repository.warnings().len(), 1);
    assert_eq!(
        repository.warnings()[0].object,
        format!("index/{index_of_first}")
    );
    assert_file(&repository, first, ("a", 1, 100_000));
    assert_file(&repository, second, ("b", 2, 100_000));

    // A new snapshot must not rely on packs that no index names: it stores the content again.
    let root = repository.read_snapshot(&first).unwrap().tree;
    let blobs = repository
        .find(root, "a")
        .unwrap()
        .unwrap()
        .content
        .unwrap();
    let backup = repository.backup(BackupOptions::default()).unwrap();
    assert!(matches!(
        backup.adopt(&blobs),
        Err(VaultError::MissingBlob { .. })
    ));
    let stored = backup.store_bytes(&content(1, 100_000)).unwrap();
    assert!(stored.stored_bytes > 0);
    drop(backup);
    // It is told once, however often the index is looked at.
    repository.refresh().unwrap();
    assert_eq!(repository.warnings().len(), 1);
}

#[test]
fn a_damaged_pack_fails_the_read_and_names_the_blob() {
    let place = Place::new();
    let id = place.save(&[("file", 1, 400_000)]);
    place.damage_largest_pack();
    let repository = open(&place.storage);
    let root = repository.read_snapshot(&id).unwrap().tree;
    let blobs = repository
        .find(root, "file")
        .unwrap()
        .unwrap()
        .content
        .unwrap();
    let error = repository
        .read_blobs(&blobs, &Default::default(), &|_, _| Ok(()))
        .unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(error.to_string().contains(&blobs[0].to_string()), "{error}");
}
