//! What a backup stores is what its sources delivered, however they delivered it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, content};
use proptest::prelude::*;
use snapkeep_vault::backup::{MAX_BLOB_BYTES, ZERO_BLOB_BYTES, zero_blob_id};
use snapkeep_vault::storage::FileKind;
use snapkeep_vault::{
    BackupOptions, BlobId, BytesSource, CancelFlag, Chunking, FileContent, FileSource, LocalFile,
    Node, Part, SegmentSink, SnapshotFile, SourceError, Time, Tree, TreeBackupOptions, VaultError,
};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

/// How a source delivers a part of its content.
#[derive(Debug, Clone)]
enum Piece {
    /// Bytes from a seed, through `write`.
    Write(u64, usize),
    /// Bytes from a seed, read into the sink's own memory.
    Fill(u64, usize),
    /// Zeros through `write`.
    Zeros(usize),
    Hole(u64),
    /// A blob from a seed that is in the repository, by reference; where the sink refuses, as bytes.
    Adopt(u64, usize),
    Cut,
}

/// Length of blobs that may be there before; those of four of six seeds are.
const ADOPTED_BYTES: usize = 256 << 10;

struct Script {
    chunking: Chunking,
    segments: Vec<Vec<Piece>>,
}

impl Script {
    fn one(chunking: Chunking, pieces: Vec<Piece>) -> Self {
        Self {
            chunking,
            segments: vec![pieces],
        }
    }

    fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        for piece in self.segments.iter().flatten() {
            match piece {
                Piece::Write(seed, length)
                | Piece::Fill(seed, length)
                | Piece::Adopt(seed, length) => {
                    plain.extend_from_slice(&content(*seed, *length));
                }
                Piece::Zeros(length) => plain.resize(plain.len() + length, 0),
                Piece::Hole(length) => plain.resize(plain.len() + *length as usize, 0),
                Piece::Cut => {}
            }
        }
        plain
    }
}

impl FileSource for Script {
    fn segments(&self) -> usize {
        self.segments.len()
    }

    fn chunking(&self) -> Chunking {
        self.chunking
    }

    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        for piece in &self.segments[n] {
            match piece {
                Piece::Write(seed, length) => sink.write(&content(*seed, *length))?,
                Piece::Fill(seed, length) => {
                    let room = sink.reserve(*length)?;
                    room.copy_from_slice(&content(*seed, *length));
                    sink.advance(*length);
                }
                Piece::Zeros(length) => sink.write(&vec![0; *length])?,
                Piece::Hole(length) => sink.hole(*length)?,
                Piece::Adopt(seed, length) => {
                    let plain = content(*seed, *length);
                    if sink.adopt(&[BlobId::of(&plain)])?.is_none() {
                        sink.write(&plain)?;
                    }
                }
                Piece::Cut => sink.cut()?,
            }
        }
        Ok(())
    }
}

fn store(place: &Place, source: &dyn FileSource) -> FileContent {
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let stored = backup.store_files(&[source]).unwrap().pop().unwrap();
    let node = Node::file(
        "file",
        Time::EPOCH,
        stored.content.clone(),
        stored.size_bytes,
    );
    let root = backup.save_tree(&Tree::new(vec![node]).unwrap()).unwrap();
    backup.finish(SnapshotFile::new(root)).unwrap();
    stored
}

fn lengths(place: &Place, stored: &FileContent) -> Vec<usize> {
    let length = |id: &BlobId| place.repository.blob_size(id).unwrap() as usize;
    stored.content.iter().map(length).collect()
}

fn piece() -> impl Strategy<Value = Piece> {
    // Lengths around the sizes that matter: nothing, small, and near half and one megabyte.
    let length = || {
        prop_oneof![
            0..5_usize,
            1..70_000_usize,
            500_000..540_000_usize,
            900_000..2_500_000_usize
        ]
    };
    prop_oneof![
        3 => (0..4_u64, length()).prop_map(|(seed, length)| Piece::Write(seed, length)),
        3 => (0..4_u64, length()).prop_map(|(seed, length)| Piece::Fill(seed, length)),
        2 => length().prop_map(Piece::Zeros),
        2 => length().prop_map(|length| Piece::Hole(length as u64)),
        2 => (0..6_u64).prop_map(|seed| Piece::Adopt(seed, ADOPTED_BYTES)),
        1 => Just(Piece::Cut),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let chunking = prop_oneof![
        Just(Chunking::Content),
        Just(Chunking::Explicit),
        Just(Chunking::Fixed(1 << 20)),
        Just(Chunking::Fixed(512 << 10)),
        Just(Chunking::Fixed(256 << 10)),
        Just(Chunking::Fixed(64 << 10)),
        Just(Chunking::Fixed(100_000)),
    ];
    let segments = prop::collection::vec(prop::collection::vec(piece(), 0..6), 0..4);
    (chunking, segments).prop_map(|(chunking, segments)| Script { chunking, segments })
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} {:?}", self.chunking, self.segments)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_is_delivered_comes_back(scripts in prop::collection::vec(script(), 1..4)) {
        let place = Place::new();
        for seed in 0..4 {
            store(&place, &Script::one(Chunking::Explicit, vec![Piece::Write(seed, ADOPTED_BYTES)]));
        }
        let backup = place.repository.backup(BackupOptions::default()).unwrap();
        let files: Vec<&dyn FileSource> = scripts.iter().map(|script| script as &dyn FileSource).collect();
        let stored = backup.store_files(&files).unwrap();
        let root = backup.save_tree(&Tree::default()).unwrap();
        backup.finish(SnapshotFile::new(root)).unwrap();
        for (script, stored) in scripts.iter().zip(stored) {
            let plain = script.plain();
            prop_assert_eq!(stored.size_bytes, plain.len() as u64);
            let read = place.repository.read_file(&stored.content, u64::MAX).unwrap();
            prop_assert!(read == plain, "the content differs");
        }
    }
}

#[test]
fn a_hole_is_made_of_the_blob_that_restic_knows_and_its_rest_begins_the_next_blob() {
    let place = Place::new();
    let hole = Piece::Hole(3 * ZERO_BLOB_BYTES as u64 + 1000);
    let stored = store(
        &place,
        &Script::one(Chunking::Content, vec![hole, Piece::Write(1, 100)]),
    );
    assert_eq!(stored.content[..3], [zero_blob_id(); 3]);
    assert_eq!(lengths(&place, &stored)[3..], [1100]);
    assert_eq!(stored.hole_bytes, 3 * ZERO_BLOB_BYTES as u64);
}

#[test]
fn zeros_that_were_read_are_stored_like_a_hole() {
    let place = Place::new();
    let pieces = vec![
        Piece::Write(1, 1 << 20),
        Piece::Zeros(2 << 20),
        Piece::Write(2, 1 << 20),
    ];
    let stored = store(&place, &Script::one(Chunking::Content, pieces));
    assert_eq!(stored.hole_bytes, 2 << 20);
    let zeros = stored
        .content
        .iter()
        .filter(|id| **id == zero_blob_id())
        .count();
    assert_eq!(zeros, 4);
}

#[test]
fn fixed_blocks_stay_aligned_whatever_holes_lie_between() {
    let place = Place::new();
    let block = 1 << 20;
    let pieces = vec![
        Piece::Write(1, 300_000),
        Piece::Hole(4 * block),
        Piece::Write(2, 100),
    ];
    let stored = store(&place, &Script::one(Chunking::Fixed(block as u32), pieces));
    let lengths = lengths(&place, &stored);
    assert_eq!(lengths[0], block as usize);
    assert_eq!(lengths[1..7], [ZERO_BLOB_BYTES; 6]);
    assert_eq!(lengths[7..], [300_100]);
}

#[test]
fn zeros_between_small_blocks_become_blobs_that_restic_knows_as_far_as_possible() {
    let place = Place::new();
    let block = 256 << 10;
    let pieces = vec![
        Piece::Write(1, block),
        Piece::Zeros(block),
        Piece::Hole(2 * block as u64),
        Piece::Write(2, block),
        Piece::Hole(block as u64),
        Piece::Write(3, block),
        Piece::Hole(2 * block as u64 + 1000),
        Piece::Zeros(5),
    ];
    let stored = store(&place, &Script::one(Chunking::Fixed(block as u32), pieces));
    let (whole, lone) = (zero_blob_id(), BlobId::of(&vec![0; block]));
    let ids = &stored.content;
    assert_eq!([ids[1], ids[2], ids[4], ids[6]], [whole, lone, lone, whole]);
    let block_or_zeros = [
        block,
        ZERO_BLOB_BYTES,
        block,
        block,
        block,
        block,
        ZERO_BLOB_BYTES,
        1005,
    ];
    assert_eq!(lengths(&place, &stored), block_or_zeros);
    assert_eq!(stored.hole_bytes, 6 * block as u64);
}

#[test]
fn blobs_are_appended_by_reference_where_a_block_ends_and_all_of_them_are_there() {
    let place = Place::new();
    let block = 256 << 10;
    let fixed = Chunking::Fixed(block as u32);
    let known = store(
        &place,
        &Script::one(fixed, vec![Piece::Write(1, block), Piece::Write(2, block)]),
    );
    struct Adopting(Vec<BlobId>, u64);
    impl FileSource for Adopting {
        fn segments(&self) -> usize {
            1
        }
        fn chunking(&self) -> Chunking {
            Chunking::Fixed(self.1 as u32)
        }
        fn read_segment(&self, _: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
            sink.hole(self.1)?;
            assert_eq!(sink.adopt(&self.0)?, Some(2 * self.1));
            let unknown = BlobId::of(b"nowhere");
            assert_eq!(sink.adopt(&[self.0[0], unknown])?, None);
            sink.write(&content(3, 10))?;
            assert_eq!(sink.adopt(&self.0)?, None, "in the middle of a block");
            Ok(())
        }
    }
    let stored = store(&place, &Adopting(known.content.clone(), block as u64));
    assert_eq!(stored.content[1..3], known.content);
    assert_eq!(lengths(&place, &stored), [block, block, block, 10]);
    assert!(stored.stored_bytes > 0);
}

#[test]
fn explicit_blobs_end_where_the_source_says_or_at_the_largest_size() {
    let place = Place::new();
    let pieces = vec![
        Piece::Cut,
        Piece::Write(1, 10),
        Piece::Cut,
        Piece::Cut,
        Piece::Write(2, MAX_BLOB_BYTES + 7),
        Piece::Cut,
        Piece::Write(3, 5),
    ];
    let stored = store(&place, &Script::one(Chunking::Explicit, pieces));
    assert_eq!(lengths(&place, &stored), [10, MAX_BLOB_BYTES, 7, 5]);
}

#[test]
fn content_is_found_again_behind_an_insertion() {
    let place = Place::new();
    let before = store(&place, &BytesSource(&content(1, 12 << 20)));
    let mut edited = content(1, 12 << 20);
    edited.splice(5..5, *b"inserted");
    let after = store(&place, &BytesSource(&edited));
    let kept = after
        .content
        .iter()
        .filter(|id| before.content.contains(id))
        .count();
    assert!(
        kept >= after.content.len() - 2,
        "{kept} of {}",
        after.content.len()
    );
}

#[test]
fn equal_blobs_of_many_workers_are_stored_once() {
    let place = Place::new();
    let bytes = content(1, 4 << 20);
    let sources: Vec<BytesSource<'_>> = (0..16).map(|_| BytesSource(&bytes)).collect();
    let files: Vec<&dyn FileSource> = sources
        .iter()
        .map(|source| source as &dyn FileSource)
        .collect();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let stored = backup.store_files(&files).unwrap();
    let root = backup.save_tree(&Tree::default()).unwrap();
    let (_, summary) = backup.finish(SnapshotFile::new(root)).unwrap();
    assert_eq!(summary.data_blobs as usize, stored[0].content.len());
    assert_eq!(summary.total_bytes_processed, 16 * (4 << 20));
    assert_eq!(
        place.repository.index().view().len(),
        summary.data_blobs + summary.tree_blobs
    );
}

#[test]
fn a_small_backup_writes_one_pack_of_each_kind_one_index_and_one_snapshot() {
    let place = Place::new();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let sources: Vec<Vec<u8>> = (0..50).map(|seed| content(seed, 2000)).collect();
    for bytes in &sources {
        backup.store_bytes(bytes).unwrap();
    }
    let files: Vec<BytesSource<'_>> = sources
        .iter()
        .map(|bytes| BytesSource(&bytes[1..]))
        .collect();
    let files: Vec<&dyn FileSource> = files
        .iter()
        .map(|source| source as &dyn FileSource)
        .collect();
    backup.store_files(&files).unwrap();
    let root = backup.save_tree(&Tree::default()).unwrap();
    backup.finish(SnapshotFile::new(root)).unwrap();
    assert_eq!(place.count(FileKind::Data), 2);
    assert_eq!(place.count(FileKind::Index), 1);
    assert_eq!(place.count(FileKind::Snapshot), 1);
    assert_eq!(place.count(FileKind::Lock), 0);
}

#[test]
fn large_data_makes_packs_of_16_mib_that_are_read_back() {
    let place = Place::new();
    let stored = store(&place, &BytesSource(&content(5, 50 << 20)));
    let packs = place.storage.list(FileKind::Data).unwrap();
    assert!((4..=6).contains(&packs.len()), "{}", packs.len());
    assert!(packs.iter().all(|pack| pack.size_bytes < 26 << 20));
    let read = place.reopen().read_file(&stored.content, u64::MAX).unwrap();
    assert!(read == content(5, 50 << 20));
}

#[test]
fn content_is_taken_over_only_if_every_blob_is_there() {
    let place = Place::new();
    let stored = store(&place, &BytesSource(&content(1, 3 << 20)));
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    assert_eq!(backup.adopt(&stored.content).unwrap(), 3 << 20);
    let missing = BlobId::of(b"nowhere");
    let result = backup.adopt(&[stored.content[0], missing]);
    assert!(
        matches!(result, Err(VaultError::MissingBlob { part: Part::Data, id }) if id == missing)
    );
    // It is not an end: what is missing is stored instead.
    backup.store_bytes(b"nowhere").unwrap();
    assert_eq!(backup.adopt(&[missing]).unwrap(), 7);
}

#[test]
fn a_whole_directory_is_taken_over() {
    let place = Place::new();
    let id = place.save(&[("a", 1, 100_000), ("b", 2, 5)]);
    let root = place.repository.read_snapshot(&id).unwrap().tree;
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    assert_eq!(backup.adopt_tree(&root).unwrap(), 100_005);
    let (_, summary) = backup.finish(SnapshotFile::new(root)).unwrap();
    assert_eq!((summary.data_blobs, summary.tree_blobs), (0, 0));
}

#[test]
fn a_snapshot_of_a_tree_that_is_nowhere_is_refused() {
    let place = Place::new();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let result = backup.finish(SnapshotFile::new(BlobId::of(b"nowhere")));
    assert!(matches!(
        result,
        Err(VaultError::MissingBlob {
            part: Part::Tree,
            ..
        })
    ));
    assert_eq!(place.count(FileKind::Lock), 0);
}

#[test]
fn a_dropped_backup_leaves_nothing() {
    let place = Place::new();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    backup
        .store_files(&[&BytesSource(&content(9, 40 << 20))])
        .unwrap();
    assert_eq!(place.count(FileKind::Lock), 1);
    drop(backup);
    for kind in [
        FileKind::Data,
        FileKind::Index,
        FileKind::Snapshot,
        FileKind::Lock,
    ] {
        assert_eq!(place.count(kind), 0, "{kind}");
    }
    assert!(place.repository.writers().running().is_empty());
}

#[test]
fn a_raised_flag_ends_every_call() {
    let place = Place::new();
    let cancel = CancelFlag::new();
    let options = BackupOptions {
        cancel: cancel.clone(),
        ..BackupOptions::default()
    };
    let backup = place.repository.backup(options).unwrap();
    backup.store_bytes(b"before").unwrap();
    cancel.cancel();
    assert!(backup.store_bytes(b"after").unwrap_err().is_cancelled());
    let root = BlobId::of(b"any");
    assert!(backup.finish(SnapshotFile::new(root)).is_err());
    assert_eq!(place.count(FileKind::Data) + place.count(FileKind::Lock), 0);
}

#[test]
fn a_source_that_fails_fails_the_backup_with_its_reason() {
    struct Broken;
    impl FileSource for Broken {
        fn segments(&self) -> usize {
            5
        }
        fn chunking(&self) -> Chunking {
            Chunking::Content
        }
        fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
            sink.write(&content(n as u64, 100_000))?;
            if n == 3 {
                return Err(SourceError::Other("the disk is on fire".to_owned()));
            }
            Ok(())
        }
    }
    let place = Place::new();
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let error = backup.store_files(&[&Broken]).unwrap_err();
    assert!(error.to_string().contains("on fire"), "{error}");
    assert!(backup.store_bytes(b"more").is_err());
    drop(backup);
    assert_eq!(place.count(FileKind::Data), 0);
}

#[test]
fn progress_is_told() {
    let place = Place::new();
    let options = BackupOptions::default();
    let progress = options.progress.clone();
    let backup = place.repository.backup(options).unwrap();
    let pieces = vec![Piece::Write(1, 1 << 20), Piece::Hole(1 << 20)];
    backup
        .store_files(&[&Script::one(Chunking::Content, pieces)])
        .unwrap();
    assert_eq!(progress.bytes_read.load(Ordering::Relaxed), 2 << 20);
    assert_eq!(progress.bytes_zero.load(Ordering::Relaxed), 1 << 20);
    assert!(progress.bytes_stored.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_sparse_file_is_stored_without_reading_its_holes_and_becomes_sparse_again() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let file = File::create(&path).unwrap();
    file.set_len((64 << 20) + 12_345).unwrap();
    file.write_all_at(&content(1, 2 << 20), 20 << 20).unwrap();
    file.write_all_at(&content(2, 100), 40 << 20).unwrap();
    let source = LocalFile::open(&path, Chunking::Content).unwrap();
    let stored = store(&place, &source);
    assert!(stored.hole_bytes >= 60 << 20, "{}", stored.hole_bytes);

    let target = tempfile::tempdir().unwrap();
    let (_, snapshot) = place.repository.list_snapshots().unwrap().pop().unwrap();
    let stats = place
        .repository
        .restore_tree(snapshot.tree, target.path(), &Default::default())
        .unwrap();
    assert_eq!(stats.bytes, (64 << 20) + 12_345);
    let restored = target.path().join("file");
    assert!(fs::read(&restored).unwrap() == fs::read(&path).unwrap());
    use std::os::unix::fs::MetadataExt;
    let allocated = fs::metadata(&restored).unwrap().blocks() * 512;
    assert!(allocated < 5 << 20, "{allocated}");
}

#[test]
fn files_of_a_folder_that_did_not_change_are_not_read_again() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for number in 0..30_u64 {
        fs::write(
            folder.path().join(format!("sub/{number}")),
            content(number, 3000),
        )
        .unwrap();
    }
    fs::write(folder.path().join("empty"), b"").unwrap();
    std::os::unix::fs::symlink("sub/1", folder.path().join("link")).unwrap();

    let backup = |parent| {
        let backup = place.repository.backup(BackupOptions::default()).unwrap();
        let (tree, result) = backup
            .store_folder(folder.path(), &TreeBackupOptions { parent })
            .unwrap();
        backup.finish(SnapshotFile::new(tree)).unwrap();
        (tree, result)
    };
    let (first, result) = backup(None);
    assert_eq!(
        (result.files_new, result.dirs_new, result.bytes),
        (31, 2, 90_000)
    );
    let (second, result) = backup(Some(first));
    assert_eq!(second, first);
    assert_eq!(
        (
            result.files_unmodified,
            result.files_new,
            result.dirs_unmodified
        ),
        (31, 0, 2)
    );
    fs::write(folder.path().join("sub/3"), content(77, 3000)).unwrap();
    fs::remove_file(folder.path().join("sub/4")).unwrap();
    let (third, result) = backup(Some(second));
    assert_eq!(
        (
            result.files_changed,
            result.files_unmodified,
            result.dirs_changed
        ),
        (1, 29, 2)
    );

    let target = tempfile::tempdir().unwrap();
    let stats = place
        .repository
        .restore_tree(third, target.path(), &Default::default())
        .unwrap();
    assert_eq!((stats.files, stats.dirs, stats.symlinks), (30, 1, 1));
    assert_eq!(
        fs::read(target.path().join("sub/3")).unwrap(),
        content(77, 3000)
    );
    assert_eq!(
        fs::read_link(target.path().join("link")).unwrap(),
        std::path::Path::new("sub/1")
    );
    let modified = |root: &std::path::Path| {
        fs::metadata(root.join("sub/5"))
            .unwrap()
            .modified()
            .unwrap()
    };
    assert_eq!(modified(target.path()), modified(folder.path()));
}

#[test]
fn extended_attributes_come_back() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"content").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&path, "user.colour", b"blue", flags).is_err() {
        // This file system has none.
        return;
    }
    let backup = place.repository.backup(BackupOptions::default()).unwrap();
    let (tree, _) = backup
        .store_folder(folder.path(), &TreeBackupOptions::default())
        .unwrap();
    backup.finish(SnapshotFile::new(tree)).unwrap();
    let target = tempfile::tempdir().unwrap();
    place
        .repository
        .restore_tree(tree, target.path(), &Default::default())
        .unwrap();
    let mut value = [0_u8; 10];
    let length =
        rustix::fs::getxattr(target.path().join("file"), "user.colour", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"blue");
}
