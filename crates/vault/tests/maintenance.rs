//! Check, prune and repair as their users see them, on repositories in memory.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::Place;
use snapkeep_vault::storage::{FileKind, PutMode};
use snapkeep_vault::{
    BackupOptions, CheckOptions, PruneOptions, ReadData, RepairOptions, VaultError,
};

fn read_all() -> CheckOptions {
    CheckOptions {
        read_data: ReadData::All,
        ..CheckOptions::default()
    }
}

fn rewrite_everything() -> PruneOptions {
    PruneOptions {
        max_unused: 0.0,
        ..PruneOptions::default()
    }
}

#[test]
fn a_fresh_repository_is_good_to_the_last_byte() {
    let place = Place::new();
    let snapshot = place.save(&[("a", 1, 3_000_000), ("b", 2, 10)]);
    let report = place.repository.check(&read_all()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.snapshots, report.packs_without_index), (1, 0));
    assert!(report.bytes_read > 3_000_000);
    place.assert_restores(snapshot, &[("a", 1, 3_000_000), ("b", 2, 10)]);
}

#[test]
fn a_prune_removes_what_only_forgotten_snapshots_needed() {
    let place = Place::new();
    let first = place.save(&[("old", 1, 2_000_000), ("both", 2, 2_000_000)]);
    let second = place.save(&[("both", 2, 2_000_000), ("new", 3, 500_000)]);
    let before = place.data_bytes();
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(
        report.packs_deleted > 0 && report.packs_waiting == 0,
        "{report:?}"
    );
    assert!(
        place.data_bytes() < before - 1_900_000,
        "{} of {before}",
        place.data_bytes()
    );
    assert_eq!(place.repository.check(&read_all()).unwrap().problems, []);
    place.assert_restores(second, &[("both", 2, 2_000_000), ("new", 3, 500_000)]);
}

#[test]
fn a_prune_with_nothing_to_do_writes_nothing() {
    let place = Place::new();
    place.save(&[("a", 1, 100_000)]);
    let before = place.all_files();
    let report = place.repository.prune(&PruneOptions::default()).unwrap();
    assert_eq!((report.packs_marked, report.packs_deleted), (0, 0));
    assert_eq!(place.all_files(), before);
}

#[test]
fn many_small_packs_and_index_files_are_joined() {
    let place = Place::new();
    let mut last = None;
    for number in 0..40 {
        last = Some(place.save(&[("a", number, 1_000)]));
    }
    assert_eq!(place.count(FileKind::Index), 40);
    place.repository.prune(&PruneOptions::default()).unwrap();
    assert!(
        place.count(FileKind::Index) < 5,
        "{}",
        place.count(FileKind::Index)
    );
    assert!(
        place.count(FileKind::Data) < 10,
        "{}",
        place.count(FileKind::Data)
    );
    assert_eq!(place.repository.check(&read_all()).unwrap().problems, []);
    place.assert_restores(last.unwrap(), &[("a", 39, 1_000)]);
}

#[test]
fn a_pack_that_a_running_backup_counts_on_survives_the_prune() {
    let place = Place::new();
    let first = place.save(&[("shared", 1, 2_000_000)]);
    // The backup finds the blobs in the index and refers to them; then the only snapshot that needs them goes.
    let backup = place.start();
    let files = backup.store(&[("shared", 1, 2_000_000)]);
    place.repository.forget(&[first]).unwrap();
    let report = place.repository.prune(&rewrite_everything()).unwrap();
    assert!(
        report.packs_waiting > 0 && report.packs_deleted == 0,
        "{report:?}"
    );
    let second = backup.finish(files);
    place.assert_restores(second, &[("shared", 1, 2_000_000)]);
    place.repository.prune(&rewrite_everything()).unwrap();
    assert_eq!(place.repository.check(&read_all()).unwrap().problems, []);
    place.assert_restores(second, &[("shared", 1, 2_000_000)]);
}

#[test]
fn packs_of_a_backup_that_was_cut_off_are_reclaimed() {
    let place = Place::new();
    let kept = place.save(&[("a", 1, 100_000)]);
    let before = place.count(FileKind::Data);
    let stray = Bytes::from_static(b"a pack whose writer was killed before it wrote the index");
    let name = snapkeep_vault::PackId::of(&stray).to_string();
    place
        .storage
        .put(FileKind::Data, &name, stray, PutMode::Overwrite)
        .unwrap();
    let report = place.repository.prune(&PruneOptions::default()).unwrap();
    assert_eq!(report.packs_deleted, 1);
    assert_eq!(place.count(FileKind::Data), before);
    place.assert_restores(kept, &[("a", 1, 100_000)]);
}

#[test]
fn nothing_is_removed_while_a_snapshot_cannot_be_read() {
    let place = Place::new();
    place.save(&[("a", 1, 100_000)]);
    let second = place.save(&[("b", 2, 100_000)]);
    place.damage(FileKind::Snapshot, &second.to_string());
    let packs = place.count(FileKind::Data);
    let error = place.repository.prune(&rewrite_everything()).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert_eq!(place.count(FileKind::Data), packs);
}

#[test]
fn two_prunes_do_not_meet() {
    let place = Place::new();
    place.save(&[("a", 1, 1_000)]);
    let lease = r#"{"time":"2999-01-01T00:00:00Z","hostname":"elsewhere","pid":1}"#;
    place
        .storage
        .put(
            FileKind::Side,
            "prune-lease",
            Bytes::from(lease),
            PutMode::Create,
        )
        .unwrap();
    let error = place
        .repository
        .prune(&PruneOptions::default())
        .unwrap_err();
    assert!(matches!(error, VaultError::Locked { .. }), "{error}");
}

#[test]
fn every_flipped_byte_of_a_pack_is_found_and_its_file_named() {
    let place = Place::new();
    let snapshot = place.save(&[("good", 1, 1_000), ("hurt", 2, 700_000)]);
    place.damage_largest_pack();
    let report = place.repository.check(&read_all()).unwrap();
    assert!(!report.problems.is_empty());
    assert!(
        report
            .losses
            .iter()
            .any(|loss| loss.snapshot == snapshot && loss.path == "/hurt"),
        "{:?}",
        report.losses
    );
    assert!(
        place
            .repository
            .check(&CheckOptions::default())
            .unwrap()
            .is_ok(),
        "structure alone is whole"
    );
}

#[test]
fn a_repair_saves_what_is_whole_and_names_what_is_lost() {
    let place = Place::new();
    let snapshot = place.save(&[("good", 1, 300_000), ("hurt", 2, 700_000)]);
    place.damage_largest_pack();
    let options = RepairOptions {
        read_data: true,
        ..RepairOptions::default()
    };
    let report = place.repository.repair(&options).unwrap();
    assert_eq!(report.packs_set_aside, 1);
    assert!(!report.blobs_lost.is_empty());
    let paths: Vec<&str> = report
        .losses
        .iter()
        .map(|loss| loss.path.as_str())
        .collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    let whole = if paths[0] == "/hurt" {
        ("good", 1, 300_000)
    } else {
        ("hurt", 2, 700_000)
    };
    place.assert_file(snapshot, whole);
}

#[test]
fn an_unreadable_index_file_is_rebuilt_from_the_packs() {
    let place = Place::new();
    let first = place.save(&[("a", 1, 100_000)]);
    let second = place.save(&[("b", 2, 100_000)]);
    let index = place.storage.list(FileKind::Index).unwrap().remove(0).name;
    place.damage(FileKind::Index, &index);
    let repository = place.reopen();
    assert!(!repository.warnings().is_empty());
    let report = repository.repair(&RepairOptions::default()).unwrap();
    assert_eq!((report.indices_removed, report.blobs_lost.len()), (1, 0));
    assert_eq!(repository.check(&read_all()).unwrap().problems, []);
    place.assert_restores(first, &[("a", 1, 100_000)]);
    place.assert_restores(second, &[("b", 2, 100_000)]);
}

#[test]
fn a_backup_refuses_to_rely_on_a_pack_that_is_gone() {
    let place = Place::new();
    place.save(&[("a", 1, 700_000)]);
    let packs = place.storage.list(FileKind::Data).unwrap();
    let largest = packs.iter().max_by_key(|entry| entry.size_bytes).unwrap();
    place.storage.delete(FileKind::Data, &largest.name).unwrap();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let error = backup
        .store_bytes(&common::content(1, 700_000))
        .unwrap_err();
    assert!(
        error.is_damage() && error.to_string().contains(&largest.name),
        "{error}"
    );
}
