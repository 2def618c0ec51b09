//! Disks in a repository in memory, read in every way.

use std::sync::Arc;

use snapkeep_drivers::volume::write::{DiskContent, DiskFormat, WriteProgress};
use snapkeep_vault::backup::Chunking;
use snapkeep_vault::storage::{ObjectStorage, Storage};
use snapkeep_vault::{
    BackupOptions, BlobCache, BlobId, FileSource, Node, Password, Repository, RepositoryOptions,
    SegmentSink, SnapshotFile, SourceError, Time, Tree,
};
use tokio::runtime::Runtime;

use super::{DISK_CACHE_BYTES, ReadError, StoredDisk, export_disk, stored_disks};
use crate::layout::{DISK_FILE, VOLUME_FILE, VolumeDescription, piece_directory};
use crate::model::{ChangeSource, Consistency, VolumeFormat};

const BLOCK: usize = 256 << 10;
/// Small pieces, so that a small disk has several.
const PIECE_BLOCKS: usize = 8;

struct Bytes<'a>(&'a [u8]);

impl FileSource for Bytes<'_> {
    fn segments(&self) -> usize {
        1
    }

    fn chunking(&self) -> Chunking {
        Chunking::Fixed(BLOCK as u32)
    }

    fn read_segment(&self, _n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        Ok(sink.write(self.0)?)
    }
}

struct Place {
    repository: Repository,
    _runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::memory(runtime.handle().clone()));
        let options = RepositoryOptions::default();
        let password = Password::new("secret".to_owned());
        Self {
            repository: Repository::init(storage, &password, &options).unwrap(),
            _runtime: runtime,
        }
    }

    /// Stores disks; the root of the snapshot.
    fn store(&self, disks: &[(&str, &[u8])]) -> BlobId {
        let backup = self.repository.backup(BackupOptions::default()).unwrap();
        let time = Time::now();
        let directory = |name: &str, nodes: Vec<Node>| {
            let tree = backup.save_tree(&Tree::new(nodes).unwrap()).unwrap();
            Node::dir(name, time, tree)
        };
        let mut volumes = Vec::new();
        for (volume, bytes) in disks {
            let description = VolumeDescription {
                layout: 3,
                id: (*volume).to_owned(),
                name: String::new(),
                format: VolumeFormat::Raw,
                size_bytes: bytes.len() as u64,
                block_bytes: BLOCK as u64,
                piece_bytes: (PIECE_BLOCKS * BLOCK) as u64,
                change_source: ChangeSource::Scan,
                reason: None,
                consistency: Consistency::Offline,
            };
            let json = serde_json::to_vec(&description).unwrap();
            let file = backup.store_bytes(&json).unwrap();
            let mut nodes = vec![Node::file(VOLUME_FILE, time, file.content, file.size_bytes)];
            for (number, piece) in bytes.chunks(PIECE_BLOCKS * BLOCK).enumerate() {
                let mut stored = backup.store_files(&[&Bytes(piece)]).unwrap();
                let stored = stored.pop().unwrap();
                let node = Node::file(DISK_FILE, time, stored.content, stored.size_bytes);
                nodes.push(directory(&piece_directory(number as u64), vec![node]));
            }
            volumes.push(directory(volume, nodes));
        }
        let root = directory("", vec![directory("volumes", volumes)]);
        let root = root.subtree.unwrap();
        let snapshot = SnapshotFile::new(root);
        backup.finish(snapshot).unwrap();
        root
    }

    fn open(&self, root: BlobId, volume: Option<&str>) -> Result<StoredDisk, ReadError> {
        let cache = BlobCache::new(self.repository.clone(), DISK_CACHE_BYTES);
        StoredDisk::open(cache, root, volume)
    }
}

/// Data with holes of all kinds, and an odd end.
fn some_disk() -> Vec<u8> {
    let mut disk = vec![0; 21 * BLOCK + 512];
    for (at, byte) in disk.iter_mut().enumerate() {
        let block = at / BLOCK;
        let is_hole = matches!(block, 1 | 5..=8 | 12 | 18..);
        if !is_hole {
            *byte = (at as u64).wrapping_mul(0x9E37_79B9).to_le_bytes()[3] | 1;
        }
    }
    disk
}

#[test]
fn every_read_gives_what_was_stored() {
    let place = Place::new();
    let bytes = some_disk();
    let root = place.store(&[("vol-ABC1234", &bytes)]);
    let disk = place.open(root, None).unwrap();
    assert_eq!(disk.size_bytes(), bytes.len() as u64);
    let mut whole = vec![1; bytes.len()];
    disk.read_at(0, &mut whole).unwrap();
    assert!(whole == bytes);
    for (offset, length) in [
        (0, 1),
        (BLOCK - 7, 14),
        (3 * BLOCK, 4 * BLOCK),
        (bytes.len() - 5, 5),
    ] {
        let mut part = vec![1; length];
        disk.read_at(offset as u64, &mut part).unwrap();
        assert_eq!(part, bytes[offset..offset + length]);
    }
    let beyond = disk
        .read_at(bytes.len() as u64 - 4, &mut [0; 5])
        .unwrap_err();
    assert!(beyond.to_string().contains("are not in it"), "{beyond}");
    assert!(disk.read_at(u64::MAX, &mut [0; 5]).is_err());
}

#[test]
fn many_threads_read_at_once() {
    let place = Place::new();
    let bytes = some_disk();
    let root = place.store(&[("vol-ABC1234", &bytes)]);
    let disk = place.open(root, None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (disk, bytes) = (&disk, &bytes);
            scope.spawn(move || {
                let mut part = vec![0; 4096];
                let mut at = thread * 131_071;
                for _ in 0..200 {
                    at = (at + 262_139 * (thread + 1)) % (bytes.len() - part.len());
                    disk.read_at(at as u64, &mut part).unwrap();
                    assert!(part == bytes[at..at + part.len()]);
                }
            });
        }
    });
}

#[test]
fn blocks_are_compared_without_reading_them() {
    let place = Place::new();
    let bytes = some_disk();
    let root = place.store(&[("vol-ABC1234", &bytes)]);
    let disk = place.open(root, Some("vol-ABC1234")).unwrap();
    let mut buffer = Vec::new();
    for block in 0..disk.block_count() {
        let start = block as usize * BLOCK;
        let data = &bytes[start..(start + BLOCK).min(bytes.len())];
        assert!(disk.matches(block, data));
        assert_eq!(
            disk.is_hole(block),
            data.iter().all(|byte| *byte == 0),
            "{block}"
        );
        disk.read(block, &mut buffer).unwrap();
        assert!(buffer == data);
        let mut other = data.to_vec();
        other[data.len() / 2] ^= 1;
        assert!(!disk.matches(block, &other));
        assert!(!disk.matches(block, &data[1..]));
    }
    assert!(!disk.is_hole(disk.block_count()));
}

#[test]
fn holes_are_told_without_gaps() {
    let place = Place::new();
    let bytes = some_disk();
    let root = place.store(&[("vol-ABC1234", &bytes)]);
    let disk = place.open(root, None).unwrap();
    let extents = disk.extents(1000..bytes.len() as u64).unwrap();
    let block = BLOCK as u64;
    assert_eq!(extents[0], (1000..block, false));
    assert_eq!(extents[1], (block..2 * block, true));
    assert_eq!(extents[2], (2 * block..5 * block, false));
    assert_eq!(extents[3], (5 * block..9 * block, true));
    assert_eq!(
        extents.last(),
        Some(&(18 * block..bytes.len() as u64, true))
    );
    for pair in extents.windows(2) {
        assert!(pair[0].0.end == pair[1].0.start && pair[0].1 != pair[1].1);
    }
    assert!(disk.extents(0..bytes.len() as u64 + 1).is_err());
}

#[test]
fn a_disk_is_chosen_by_its_volume() {
    let place = Place::new();
    let (one, two) = (vec![1; BLOCK], Vec::new());
    let root = place.store(&[("vol-AAAAAAA", &one), ("vol-BBBBBBB", &two)]);
    let disks = stored_disks(&place.repository, root).unwrap();
    let shapes: Vec<_> = disks
        .iter()
        .map(|disk| (disk.volume.as_str(), disk.size_bytes))
        .collect();
    assert_eq!(shapes, [("vol-AAAAAAA", BLOCK as u64), ("vol-BBBBBBB", 0)]);
    let text = |error: ReadError| error.to_string();
    let several = text(place.open(root, None).unwrap_err());
    assert!(
        several.ends_with("choose one of: vol-AAAAAAA, vol-BBBBBBB"),
        "{several}"
    );
    let other = text(place.open(root, Some("vol-CCCCCCC")).unwrap_err());
    assert!(other.contains("no volume [vol-CCCCCCC]"), "{other}");
    let empty = place.open(root, Some("vol-BBBBBBB")).unwrap();
    assert_eq!((empty.size_bytes(), empty.block_count()), (0, 0));
    assert_eq!(empty.extents(0..0).unwrap(), []);
}

#[test]
fn an_export_is_the_disk_and_replaces_nothing_unasked() {
    let place = Place::new();
    let bytes = some_disk();
    let root = place.store(&[("vol-ABC1234", &bytes)]);
    let disk = place.open(root, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let progress = WriteProgress::new();
    export_disk(&disk, &path, DiskFormat::Raw, false, &progress).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    let again = export_disk(&disk, &path, DiskFormat::Raw, false, &progress).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    export_disk(&disk, &path, DiskFormat::Raw, true, &progress).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
}
