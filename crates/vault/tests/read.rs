//! Reading many blobs and restoring folders.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, content};
use snapkeep_vault::storage::FileKind;
use snapkeep_vault::{
    BackupOptions, BlobCache, BlobId, BytesSource, CancelFlag, FileReader, FileSource, Node,
    NodeKind, Part, ReadOptions, SnapshotFile, Time, Tree, VaultError,
};
use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stores blobs of these seeds, each `length` bytes; their ids.
fn store_blobs(place: &Place, seeds: std::ops::Range<u64>, length: usize) -> Vec<BlobId> {
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let contents: Vec<Vec<u8>> = seeds.map(|seed| content(seed, length)).collect();
    let sources: Vec<BytesSource<'_>> = contents.iter().map(|bytes| BytesSource(bytes)).collect();
    let files: Vec<&dyn FileSource> = sources
        .iter()
        .map(|source| source as &dyn FileSource)
        .collect();
    let stored = backup.store_files(&files).unwrap();
    let root = backup.save_tree(&Tree::default()).unwrap();
    backup.finish(SnapshotFile::new(root)).unwrap();
    stored
        .into_iter()
        .flat_map(|stored| stored.content)
        .collect()
}

#[test]
fn every_position_is_visited_once_with_its_content_though_each_blob_is_read_once() {
    let place = Place::new();
    let mut ids = store_blobs(&place, 0..300, 3000);
    let once = ids.len() as u64;
    // In another order, and some several times.
    ids.reverse();
    ids.extend_from_within(10..50);
    let seen = Mutex::new(HashMap::new());
    let stats = place
        .repository
        .read_blobs(&ids, &ReadOptions::default(), &|position, plain| {
            assert_eq!(BlobId::of(plain), ids[position]);
            *seen.lock().unwrap().entry(position).or_insert(0) += 1;
            Ok(())
        })
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), ids.len());
    assert!(seen.values().all(|count| *count == 1));
    assert_eq!(stats.blobs, once);
    // Neighbours come in one read.
    assert!(stats.requests <= 4, "{stats:?}");
}

#[test]
fn a_blob_that_is_nowhere_is_named_before_anything_is_read() {
    let place = Place::new();
    let mut ids = store_blobs(&place, 0..5, 3000);
    let missing = BlobId::of(b"nowhere");
    ids.push(missing);
    let visits = AtomicUsize::new(0);
    let error = place
        .repository
        .read_blobs(&ids, &ReadOptions::default(), &|_, _| {
            visits.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .unwrap_err();
    assert!(matches!(error, VaultError::MissingBlob { part: Part::Data, id } if id == missing));
    assert_eq!(visits.into_inner(), 0);
}

#[test]
fn a_visitor_or_a_flag_ends_the_reading() {
    let place = Place::new();
    let ids = store_blobs(&place, 0..50, 3000);
    let error = place
        .repository
        .read_blobs(&ids, &ReadOptions::default(), &|_, _| Err("enough".into()))
        .unwrap_err();
    assert_eq!(error.to_string(), "enough");
    let options = ReadOptions {
        cancel: CancelFlag::new(),
        ..ReadOptions::default()
    };
    let error = place
        .repository
        .read_blobs(&ids, &options, &|_, _| {
            options.cancel.cancel();
            Ok(())
        })
        .unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn a_damaged_blob_is_taken_from_another_pack_that_has_it() {
    let place = Place::new();
    // Two writers that do not know of each other store the same content.
    let other = place.reopen();
    let one = place.repository.backup(BackupOptions::default()).unwrap();
    let two = other.backup(BackupOptions::default()).unwrap();
    let stored = one.store_bytes(&content(1, 300_000)).unwrap();
    two.store_bytes(&content(1, 300_000)).unwrap();
    for backup in [one, two] {
        let root = backup.save_tree(&Tree::default()).unwrap();
        backup.finish(SnapshotFile::new(root)).unwrap();
    }
    place.damage_largest_pack();
    let repository = place.reopen();
    assert!(repository.read_file(&stored.content, u64::MAX).unwrap() == content(1, 300_000));
    assert_eq!(
        &repository.read_blob(&stored.content[0]).unwrap()[..],
        content(1, 300_000)
    );
}

#[test]
fn a_file_that_is_too_large_for_memory_is_refused() {
    let place = Place::new();
    let ids = store_blobs(&place, 0..1, 3000);
    let error = place.repository.read_file(&ids, 2999).unwrap_err();
    assert!(matches!(
        error,
        VaultError::TooLarge {
            size: 3000,
            limit: 2999,
            ..
        }
    ));
    assert_eq!(
        place.repository.read_file(&ids, 3000).unwrap(),
        content(0, 3000)
    );
    assert_eq!(place.repository.read_file(&[], 0).unwrap(), b"");
}

/// A snapshot root with these nodes.
fn save_root(place: &Place, nodes: Vec<Node>) -> BlobId {
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let root = backup.save_tree(&Tree::new(nodes).unwrap()).unwrap();
    backup.finish(SnapshotFile::new(root)).unwrap();
    root
}

#[test]
fn nothing_is_written_through_links_that_are_in_the_target() {
    let place = Place::new();
    let ids = store_blobs(&place, 0..1, 3000);
    let outside = tempfile::tempdir().unwrap();
    let empty = save_root(&place, Vec::new());
    for name in ["file", "folder"] {
        let node = match name {
            "file" => Node::file("file", Time::EPOCH, ids.clone(), 3000),
            _ => Node::dir("folder", Time::EPOCH, empty),
        };
        let root = save_root(&place, vec![node]);
        let target = tempfile::tempdir().unwrap();
        let link = match name {
            "file" => outside.path().join("written"),
            _ => outside.path().to_owned(),
        };
        std::os::unix::fs::symlink(link, target.path().join(name)).unwrap();
        let result = place
            .repository
            .restore_tree(root, target.path(), &Default::default());
        assert!(matches!(result, Err(VaultError::Local { .. })), "{name}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn special_files_are_left_out_and_told() {
    let place = Place::new();
    let root = save_root(&place, vec![Node::new("pipe", NodeKind::Fifo)]);
    let target = tempfile::tempdir().unwrap();
    let stats = place
        .repository
        .restore_tree(root, target.path(), &Default::default())
        .unwrap();
    assert_eq!(stats.skipped.len(), 1);
    assert!(stats.skipped[0].contains("pipe"), "{}", stats.skipped[0]);
}

#[test]
fn files_are_found_by_path() {
    let place = Place::new();
    let ids = store_blobs(&place, 0..1, 10);
    let inner = save_root(&place, vec![Node::file("file", Time::EPOCH, ids, 10)]);
    let root = save_root(&place, vec![Node::dir("sub", Time::EPOCH, inner)]);
    let find = |path| place.repository.find(root, path).unwrap();
    assert!(find("/sub/file").unwrap().is_file());
    assert!(find("sub").unwrap().is_dir());
    for path in ["sub/none", "none/file", "sub/file/deeper", ""] {
        assert!(find(path).is_none(), "{path}");
    }
}

/// A file of 40 blobs of several lengths, and its bytes.
fn store_file(place: &Place) -> (Vec<BlobId>, Vec<u8>) {
    let lengths = (0..40).map(|n| 700 * (n % 5 + 1));
    let mut ids = Vec::new();
    let mut bytes = Vec::new();
    for (seed, length) in (0..).zip(lengths) {
        ids.extend(store_blobs(place, seed..seed + 1, length));
        bytes.extend(content(seed, length));
    }
    (ids, bytes)
}

#[test]
fn a_file_can_be_read_at_any_position() {
    let place = Place::new();
    let (ids, bytes) = store_file(&place);
    // Room for a few blobs only, so that most are read again and again.
    let cache = BlobCache::new(place.repository.clone(), 8 << 10);
    let file = FileReader::new(cache, ids).unwrap();
    assert_eq!(file.size_bytes(), bytes.len() as u64);
    let mut random = 12345_usize;
    for _ in 0..500 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let offset = (random >> 20) % (bytes.len() + 10);
        let length = (random >> 8) % 9000;
        let mut buffer = vec![0; length];
        let read = file.read_at(offset as u64, &mut buffer).unwrap();
        let expected = bytes.get(offset..).unwrap_or_default();
        let expected = &expected[..expected.len().min(length)];
        assert_eq!(&buffer[..read], expected, "{length} bytes at {offset}");
    }
    let mut whole = vec![0; bytes.len() + 1];
    assert_eq!(file.read_at(0, &mut whole).unwrap(), bytes.len());
    assert_eq!(whole[..bytes.len()], bytes);
    assert_eq!(file.read_at(u64::MAX, &mut whole).unwrap(), 0);
}

#[test]
fn many_readers_of_one_file_share_what_was_read() {
    let place = Place::new();
    let (ids, bytes) = store_file(&place);
    let cache = BlobCache::new(place.repository.clone(), 1 << 20);
    let file = FileReader::new(cache, ids).unwrap();
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (file, bytes) = (&file, &bytes);
            scope.spawn(move || {
                let mut buffer = vec![0; 1000];
                for offset in (reader * 100..bytes.len() - 1000).step_by(777) {
                    assert_eq!(file.read_at(offset as u64, &mut buffer).unwrap(), 1000);
                    assert_eq!(buffer, bytes[offset..offset + 1000]);
                }
            });
        }
    });
    // All of it is in memory now: reading goes on though the packs are gone.
    for pack in place.storage.list(FileKind::Data).unwrap() {
        place.storage.delete(FileKind::Data, &pack.name).unwrap();
    }
    let mut whole = vec![0; bytes.len()];
    file.read_at(0, &mut whole).unwrap();
    assert_eq!(whole, bytes);
}

#[test]
fn a_file_of_which_a_blob_is_nowhere_is_refused_at_once() {
    let place = Place::new();
    let mut ids = store_blobs(&place, 0..3, 3000);
    ids.push(BlobId::of(b"nowhere"));
    let cache = BlobCache::new(place.repository.clone(), 1 << 20);
    let error = FileReader::new(cache, ids).unwrap_err();
    assert!(matches!(error, VaultError::MissingBlob { .. }), "{error}");
}
