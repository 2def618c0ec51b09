//! Opening, keys, locks, and several writers.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{Place, content, password};
use snapkeep_vault::format::{Compressor, LockFile};
use snapkeep_vault::storage::{FileKind, PutMode};
use snapkeep_vault::{
    BackupOptions, KdfParams, LockId, Password, Repository, RepositoryOptions, Time, VaultError,
};
use std::sync::Arc;

fn open_with(place: &Place, password: &Password) -> Result<Repository, VaultError> {
    Repository::open(
        Arc::clone(&place.storage),
        password,
        &RepositoryOptions::default(),
    )
}

fn put_lock(place: &Place, lock: &LockFile) -> LockId {
    let sealed = lock
        .seal(
            place.repository.master_key(),
            &mut Compressor::new(3).unwrap(),
        )
        .unwrap();
    let id = LockId::of(&sealed);
    place
        .storage
        .put(
            FileKind::Lock,
            &id.to_string(),
            Bytes::from(sealed),
            PutMode::Create,
        )
        .unwrap();
    id
}

fn lock_of(hostname: &str, pid: u32, is_exclusive: bool, age_seconds: i64) -> LockFile {
    LockFile {
        time: Time::from_unix(Time::now().unix_seconds() - age_seconds, 0),
        exclusive: is_exclusive,
        hostname: hostname.to_owned(),
        username: "someone".to_owned(),
        pid,
        uid: 0,
        gid: 0,
    }
}

#[test]
fn a_repository_is_made_once() {
    let place = Place::new();
    let again = Repository::init(
        Arc::clone(&place.storage),
        &password(),
        &RepositoryOptions::default(),
    );
    assert!(matches!(again, Err(VaultError::AlreadyExists { .. })));
    assert_eq!(place.count(FileKind::Key), 1);
    assert_eq!(
        open_with(&place, &password()).unwrap().id(),
        place.repository.id()
    );
}

#[test]
fn each_way_in_which_opening_fails_has_its_own_error() {
    let place = Place::new();
    let wrong = open_with(&place, &Password::from("wrong"));
    assert!(matches!(wrong, Err(VaultError::WrongPassword { .. })));
    place.damage(FileKind::Config, "config");
    assert!(matches!(
        open_with(&place, &password()),
        Err(VaultError::Damaged { .. })
    ));
    place.storage.delete(FileKind::Config, "").unwrap();
    assert!(matches!(
        open_with(&place, &password()),
        Err(VaultError::NotARepository { .. })
    ));
}

#[test]
fn keys_come_and_go_but_neither_the_last_nor_the_one_in_use() {
    let place = Place::new();
    let repository = &place.repository;
    let own = repository.keys().unwrap()[0].id;
    assert!(matches!(
        repository.remove_key(&own),
        Err(VaultError::KeyInUse { .. })
    ));
    let second = Password::from("second");
    let added = repository
        .add_key(&second, KdfParams::machine(), "bob")
        .unwrap();
    let listed = repository.keys().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .any(|key| key.username == "bob" && !key.is_current)
    );
    let opened = open_with(&place, &second).unwrap();
    assert!(matches!(
        opened.remove_key(&added),
        Err(VaultError::KeyInUse { .. })
    ));
    opened.remove_key(&own).unwrap();
    assert!(matches!(
        open_with(&place, &password()),
        Err(VaultError::WrongPassword { .. })
    ));
    assert!(matches!(
        opened.remove_key(&own),
        Err(VaultError::MissingKey { .. })
    ));
}

#[test]
fn a_damaged_key_file_does_not_hide_the_others() {
    let place = Place::new();
    let second = Password::from("second");
    let added = place
        .repository
        .add_key(&second, KdfParams::machine(), "bob")
        .unwrap();
    place.damage(FileKind::Key, &added.to_string());
    open_with(&place, &password()).unwrap();
    assert!(open_with(&place, &second).is_err());
}

#[test]
fn a_fresh_exclusive_lock_of_another_program_keeps_backups_out_and_names_its_holder() {
    let place = Place::new();
    let id = put_lock(&place, &lock_of("elsewhere", 42, true, 60));
    let error = place
        .repository
        .backup(BackupOptions::default())
        .unwrap_err();
    assert!(matches!(error, VaultError::Locked { .. }));
    assert!(error.to_string().contains("someone@elsewhere"), "{error}");
    assert_eq!(place.count(FileKind::Lock), 1);
    place
        .storage
        .delete(FileKind::Lock, &id.to_string())
        .unwrap();
    place.repository.backup(BackupOptions::default()).unwrap();
}

#[test]
fn shared_and_stale_locks_are_no_hindrance() {
    let place = Place::new();
    put_lock(&place, &lock_of("elsewhere", 42, false, 60));
    put_lock(&place, &lock_of("elsewhere", 43, true, 3600));
    let _backup = place.repository.backup(BackupOptions::default()).unwrap();
    let exclusive = place.repository.lock(true);
    assert!(matches!(exclusive, Err(VaultError::Locked { .. })));
}

#[test]
fn the_lock_that_a_killed_process_of_this_machine_left_is_removed_at_open() {
    let place = Place::new();
    let hostname = RepositoryOptions::default().hostname;
    // Above the largest process number that Linux gives.
    put_lock(&place, &lock_of(&hostname, 1 << 23, true, 60));
    put_lock(&place, &lock_of("elsewhere", 1 << 23, false, 60));
    put_lock(&place, &lock_of(&hostname, std::process::id(), false, 60));
    open_with(&place, &password()).unwrap();
    assert_eq!(place.count(FileKind::Lock), 2);
}

#[test]
fn several_backups_run_at_once_and_each_sees_what_the_others_finished() {
    let place = Place::new();
    let other = place.reopen();
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let repository = if seed % 2 == 0 {
                &place.repository
            } else {
                &other
            };
            scope.spawn(move || {
                let backup = repository.backup(BackupOptions::default()).unwrap();
                backup.store_bytes(&content(seed, 2 << 20)).unwrap();
                let root = backup.save_tree(&snapkeep_vault::Tree::default()).unwrap();
                backup
                    .finish(snapkeep_vault::SnapshotFile::new(root))
                    .unwrap();
            });
        }
    });
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    for seed in 0..4 {
        assert_eq!(
            backup
                .store_bytes(&content(seed, 2 << 20))
                .unwrap()
                .stored_bytes,
            0
        );
    }
    assert_eq!(place.repository.list_snapshots().unwrap().len(), 4);
}

#[test]
fn the_index_is_cached_and_what_others_wrote_since_is_noticed() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let options = RepositoryOptions {
        cache_dir: Some(folder.path().to_owned()),
        ..RepositoryOptions::default()
    };
    let reopen = || Repository::open(Arc::clone(&place.storage), &password(), &options).unwrap();
    let first = place.save(&[("a", 1, 1000)]);
    let cached = reopen();
    let second = place.save(&[("b", 2, 1000)]);
    // A miss looks at the repository again before it gives up.
    common::assert_file(&cached, second, ("b", 2, 1000));
    drop(cached);
    let cached = reopen();
    common::assert_file(&cached, first, ("a", 1, 1000));
    // Index files that vanish (a prune by another program wrote them anew) are forgotten.
    let files = cached.list_index_files().unwrap();
    let gone = *files.iter().next().unwrap();
    place
        .storage
        .delete(FileKind::Index, &gone.to_string())
        .unwrap();
    cached.refresh().unwrap();
    assert_eq!(cached.index().covered(), cached.list_index_files().unwrap());
}

#[test]
fn a_rotten_cache_is_built_anew_without_anyone_noticing() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let options = RepositoryOptions {
        cache_dir: Some(folder.path().to_owned()),
        ..RepositoryOptions::default()
    };
    let id = place.save(&[("a", 1, 1000)]);
    let repository = Repository::open(Arc::clone(&place.storage), &password(), &options).unwrap();
    let dir = folder
        .path()
        .join(repository.id().to_string())
        .join("index");
    for entry in std::fs::read_dir(dir).unwrap() {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(entry.unwrap().path())
            .unwrap();
        file.write_all_at(&[0xff; 100], 0).unwrap();
    }
    common::assert_file(&repository, id, ("a", 1, 1000));
    assert!(repository.warnings().is_empty());
}
