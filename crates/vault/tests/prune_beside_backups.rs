//! Prunes beside backups that rely on what a prune takes out of the index: whatever the order of their steps, a snapshot that was
//! reported as stored can be read at once and after every later prune.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::Place;
use snapkeep_vault::storage::{FileEntry, FileKind, ObjectStorage, PutMode, Storage, StorageError};
use snapkeep_vault::{
    Backup, BackupOptions, CheckOptions, PruneOptions, ReadData, RepairOptions, Repository,
    SnapshotFile, SnapshotId, VaultError,
};
use std::sync::{Arc, Mutex};

const FILE: common::FileSpec = ("shared", 1, 2_000_000);

fn rewrite_everything() -> PruneOptions {
    PruneOptions {
        max_unused: 0.0,
        ..PruneOptions::default()
    }
}

/// A backup that takes over all of `snapshot`.
fn adopting(repository: &Repository, snapshot: SnapshotId) -> (Backup, SnapshotFile) {
    let root = repository.read_snapshot(&snapshot).unwrap().tree;
    let backup = repository.backup(BackupOptions::default()).unwrap();
    backup.adopt_tree(&root).unwrap();
    (backup, SnapshotFile::new(root))
}

fn assert_whole(place: &Place, snapshot: SnapshotId) {
    place.assert_restores(snapshot, &[FILE]);
    let options = CheckOptions {
        read_data: ReadData::All,
        ..CheckOptions::default()
    };
    assert_eq!(place.repository.check(&options).unwrap().problems, []);
}

#[test]
fn a_snapshot_that_relied_on_marked_packs_is_whole_as_soon_as_it_is_there() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    let (backup, snapshot) = adopting(&place.repository, first);
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(report.packs_waiting > 0, "{report:?}");
    let (second, _) = backup.finish(snapshot).unwrap();
    assert_whole(&place, second);
    place.repository.prune(&rewrite_everything()).unwrap();
    assert_whole(&place, second);
}

#[test]
fn a_snapshot_that_is_stored_between_the_plan_and_the_index_of_a_prune_is_whole() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hooked = Arc::new(Hooked {
        inner: ObjectStorage::memory(runtime.handle().clone()),
        hook: Mutex::default(),
    });
    let place = Place::on(Arc::clone(&hooked) as Arc<dyn Storage>);
    let first = place.save(&[FILE]);
    let (backup, snapshot) = adopting(&place.repository, first);
    place.repository.forget(&[first]).unwrap();
    let second = Arc::new(Mutex::new(None));
    let stored = Arc::clone(&second);
    *hooked.hook.lock().unwrap() = Some((
        FileKind::Side,
        Box::new(move || {
            *stored.lock().unwrap() = Some(backup.finish(snapshot).unwrap().0);
        }),
    ));
    place.repository.prune(&rewrite_everything()).unwrap();
    let second = second.lock().unwrap().unwrap();
    assert_whole(&place, second);
}

#[test]
fn a_prune_between_the_index_and_the_snapshot_of_a_backup_does_not_cost_it_its_own_packs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hooked = Arc::new(Hooked {
        inner: ObjectStorage::memory(runtime.handle().clone()),
        hook: Mutex::default(),
    });
    let place = Place::on(Arc::clone(&hooked) as Arc<dyn Storage>);
    let repository = place.repository.clone();
    let prune = move || {
        let report = repository.prune(&rewrite_everything()).unwrap();
        assert!(report.packs_marked > 0, "{report:?}");
    };
    *hooked.hook.lock().unwrap() = Some((FileKind::Snapshot, Box::new(prune)));
    let snapshot = place.save(&[FILE]);
    assert_whole(&place, snapshot);
}

#[test]
fn a_check_does_not_miss_packs_that_were_written_since_it_listed_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hooked = Arc::new(Hooked {
        inner: ObjectStorage::memory(runtime.handle().clone()),
        hook: Mutex::default(),
    });
    let place = Arc::new(Place::on(Arc::clone(&hooked) as Arc<dyn Storage>));
    place.save(&[FILE]);
    let beside = Arc::clone(&place);
    let save = move || {
        beside.save(&[("new", 2, 100_000)]);
    };
    *hooked.hook.lock().unwrap() = Some((FileKind::Data, Box::new(save)));
    let report = place.repository.check(&CheckOptions::default()).unwrap();
    assert_eq!((report.problems, report.losses), (vec![], vec![]));
    assert!(hooked.hook.lock().unwrap().is_none());
}

#[test]
fn a_prune_puts_back_the_directories_of_a_snapshot_whose_writer_was_killed() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    let file = place.storage.get(FileKind::Snapshot, &first.to_string());
    let (backup, _) = adopting(&place.repository, first);
    place.repository.forget(&[first]).unwrap();
    place.repository.prune(&rewrite_everything()).unwrap();
    // As if the writer had got its snapshot written and nothing more.
    place
        .storage
        .put(
            FileKind::Snapshot,
            &first.to_string(),
            file.unwrap(),
            PutMode::Create,
        )
        .unwrap();
    drop(backup);
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(report.packs_put_back > 0, "{report:?}");
    assert_whole(&place, first);
}

#[test]
fn a_repair_brings_back_marked_packs_that_a_snapshot_needs() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    let file = place.storage.get(FileKind::Snapshot, &first.to_string());
    let (backup, _) = adopting(&place.repository, first);
    place.repository.forget(&[first]).unwrap();
    place.repository.prune(&rewrite_everything()).unwrap();
    place
        .storage
        .put(
            FileKind::Snapshot,
            &first.to_string(),
            file.unwrap(),
            PutMode::Create,
        )
        .unwrap();
    drop(backup);
    let report = place.repository.repair(&RepairOptions::default()).unwrap();
    assert_eq!(report.blobs_lost, []);
    assert_whole(&place, first);
}

#[test]
fn a_prune_waits_for_backups_of_the_same_repository_opened_a_second_time() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    let again = place.reopen();
    let (backup, snapshot) = adopting(&again, first);
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert_eq!(report.packs_deleted, 0, "{report:?}");
    let (second, _) = backup.finish(snapshot).unwrap();
    assert_whole(&place, second);
}

#[test]
fn a_pack_marked_twice_waits_for_the_writers_of_the_later_mark() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    let (backup, snapshot) = adopting(&place.repository, first);
    place.repository.forget(&[first]).unwrap();
    place.repository.prune(&rewrite_everything()).unwrap();
    let (second, _) = backup.finish(snapshot).unwrap();
    let (backup, snapshot) = adopting(&place.repository, second);
    place.repository.forget(&[second]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert_eq!(report.packs_deleted, 0, "{report:?}");
    let (third, _) = backup.finish(snapshot).unwrap();
    assert_whole(&place, third);
}

type Hook = Box<dyn FnOnce() + Send>;

/// Calls a hook before the next file of a kind is written, or, for packs, after they are listed.
struct Hooked {
    inner: ObjectStorage,
    hook: Mutex<Option<(FileKind, Hook)>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl Storage for Hooked {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        let is_awaited = |hook: &mut (FileKind, Hook)| {
            hook.0 == kind
                && kind != FileKind::Data
                && (kind != FileKind::Side || name.starts_with("prune/"))
        };
        let hook = self.hook.lock().unwrap().take_if(is_awaited);
        if let Some((_, hook)) = hook {
            hook();
        }
        self.inner.put(kind, name, data, mode)
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        self.inner.get(kind, name)
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        self.inner.get_range(kind, name, offset, len)
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        let listed = self.inner.list(kind);
        if kind == FileKind::Data {
            let hook = self.hook.lock().unwrap().take_if(|hook| hook.0 == kind);
            if let Some((_, hook)) = hook {
                hook();
            }
        }
        listed
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        self.inner.size(kind, name)
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        self.inner.delete(kind, name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[test]
fn a_prune_waits_for_another_machine_of_the_same_name_and_process_number() {
    let place = Place::new();
    let first = place.save(&[FILE]);
    // Its lock, written again under another name after ours is gone: this process does not hold it.
    let held = place.repository.lock(false).unwrap();
    let name = place.storage.list(FileKind::Lock).unwrap().remove(0).name;
    let lock = place.storage.get(FileKind::Lock, &name).unwrap();
    drop(held);
    place
        .storage
        .put(FileKind::Lock, &name, lock, PutMode::Create)
        .unwrap();
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert_eq!(report.packs_deleted, 0, "{report:?}");
    place.storage.delete(FileKind::Lock, &name).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(report.packs_deleted > 0, "{report:?}");
}

#[test]
fn nothing_is_written_where_the_repository_is_no_longer_or_another_one_is() {
    let place = Place::new();
    place.save(&[FILE]);
    let config = place.storage.get(FileKind::Config, "").unwrap();
    place.storage.delete(FileKind::Config, "").unwrap();
    let before = place.all_files();
    let error = place.repository.backup(BackupOptions::default());
    assert!(matches!(error, Err(VaultError::NotARepository { .. })));
    let mut other = config.to_vec();
    other[40] ^= 1;
    let other = Bytes::from(other);
    place
        .storage
        .put(FileKind::Config, "", other, PutMode::Create)
        .unwrap();
    let error = place.repository.backup(BackupOptions::default());
    assert!(matches!(error, Err(VaultError::Replaced { .. })));
    let error = place.repository.prune(&rewrite_everything());
    assert!(matches!(error, Err(VaultError::Replaced { .. })));
    place.storage.delete(FileKind::Config, "").unwrap();
    assert_eq!(place.all_files(), before);
}
