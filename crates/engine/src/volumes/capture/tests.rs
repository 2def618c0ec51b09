//! Disks that exist as a few blocks only, stored again and again as they change, with trackers and caches that are there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use snapkeep_drivers::volume::{
    ChangeSource, Changes, Consistency, DiskCapture, DiskToken, Extent, RangeSet, VolumeError,
};
use snapkeep_vault::storage::{ObjectStorage, Storage};
use snapkeep_vault::{
    BackupOptions, BlobCache, BlobId, Node, Password, Repository, RepositoryOptions, SnapshotFile,
    Time,
};
use tokio::runtime::Runtime;

use super::*;
use crate::layout::{PIECE_BLOCKS, VOLUMES_DIRECTORY};
use crate::model::{PointDisk, RollbackMode, VolumeFormat, VolumeInfo, VolumeOrigin, VolumeStatus};
use crate::volumes::read::StoredDisk;

const BLOCK: u64 = 256 << 10;
/// Two pieces and a bit, with an odd end.
const SIZE: u64 = (2 * PIECE_BLOCKS + 3) * BLOCK + 512;
/// Blocks that are written: at the ends of the disk and of its pieces, and where segments meet.
const PLACES: [u64; 12] = [
    0,
    1,
    2,
    63,
    64,
    PIECE_BLOCKS - 1,
    PIECE_BLOCKS,
    PIECE_BLOCKS + 1,
    2 * PIECE_BLOCKS,
    2 * PIECE_BLOCKS + 1,
    2 * PIECE_BLOCKS + 2,
    2 * PIECE_BLOCKS + 3,
];

/// What the blocks hold that are not holes; 0 are zeros that were written.
type Content = BTreeMap<u64, u8>;

fn length(block: u64) -> usize {
    (SIZE - block * BLOCK).min(BLOCK) as usize
}

fn bytes_of(block: u64, seed: u8) -> Vec<u8> {
    let byte = |at: usize| seed.wrapping_mul((at % 251) as u8 | 1);
    (0..length(block)).map(byte).collect()
}

/// The blob that a block is stored as; none for zeros.
fn blob_of(content: &Content, block: u64) -> Option<BlobId> {
    let seed = content.get(&block).filter(|seed| **seed != 0)?;
    Some(BlobId::of(&bytes_of(block, *seed)))
}

struct Fake {
    content: Content,
    changes: Changes,
}

impl DiskCapture for Fake {
    fn size_bytes(&self) -> u64 {
        SIZE
    }

    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        let mut extents: Vec<Extent> = Vec::new();
        let mut at = range.start;
        while at < range.end.min(SIZE) {
            let block = at / BLOCK;
            let end = ((block + 1) * BLOCK).min(range.end).min(SIZE);
            let zero = !self.content.contains_key(&block);
            match extents.last_mut() {
                Some(last) if last.zero == zero => last.range.end = end,
                _ => extents.push(Extent {
                    range: at..end,
                    zero,
                }),
            }
            at = end;
        }
        Ok(extents)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        for (number, part) in (offset / BLOCK..).zip(buffer.chunks_mut(BLOCK as usize)) {
            let seed = self.content.get(&number).copied().unwrap_or_default();
            part.copy_from_slice(&bytes_of(number, seed)[..part.len()]);
        }
        Ok(())
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }

    fn consistency(&self) -> Consistency {
        Consistency::Offline
    }

    fn is_detached(&self) -> bool {
        true
    }

    fn verify(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn settle(self: Box<Self>, _: Option<&str>) -> Result<Option<DiskToken>, VolumeError> {
        Ok(None)
    }
}

struct Place {
    repository: Repository,
    state: VolumeState,
    /// The last snapshot.
    parent: Option<(String, BlobId)>,
    _folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::memory(runtime.handle().clone()));
        let password = Password::new("secret".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let state = VolumeState::new(folder.path());
        state.create().unwrap();
        Self {
            repository: Repository::init(storage, &password, &RepositoryOptions::default())
                .unwrap(),
            state,
            parent: None,
            _folder: folder,
            _runtime: runtime,
        }
    }

    fn open(&self, root: BlobId) -> StoredDisk {
        let cache = BlobCache::new(self.repository.clone(), 1 << 20);
        StoredDisk::open(cache, root, None).unwrap()
    }

    /// Stores a disk as it is now.
    fn store(
        &mut self,
        content: &Content,
        changes: Changes,
        keep: bool,
    ) -> (PointDisk, StoredDisk) {
        let number = self.parent.as_ref().map_or(0, |(uuid, _)| uuid.len());
        let uuid = "s".repeat(number + 1);
        let captured = CapturedDisk {
            volume: VolumeInfo {
                id: "vol-0000001".to_owned(),
                name: "disk".to_owned(),
                format: VolumeFormat::Raw,
                location: "/nowhere".to_owned(),
                size_bytes: SIZE,
                origin: VolumeOrigin::Found,
                instance: None,
                status: VolumeStatus::Available,
                allow_inconsistent: false,
                rollback: RollbackMode::Swap,
            },
            capture: Box::new(Fake {
                content: content.clone(),
                changes,
            }),
            parent: self
                .parent
                .clone()
                .map(|(uuid, root)| (uuid, Some(self.open(root)))),
            no_token: None,
        };
        let backup = self.repository.backup(BackupOptions::default()).unwrap();
        let time = Time::now();
        let purpose = Purpose {
            repository: "repository",
            snapshot: &uuid,
            time,
        };
        let written = store_disk(&backup, &captured, &self.state, purpose).unwrap();
        let volumes = save_tree(&backup, vec![written.node.clone()]).unwrap();
        let volumes = Node::dir(VOLUMES_DIRECTORY, time, volumes);
        let root = save_tree(&backup, vec![volumes]).unwrap();
        backup.finish(SnapshotFile::new(root)).unwrap();
        let disk = written.disk.clone();
        if keep {
            written.keep_digests();
        } else {
            written.discard();
        }
        self.parent = Some((uuid, root));
        (disk, self.open(root))
    }
}

fn scan() -> Changes {
    Changes {
        source: ChangeSource::Scan,
        ranges: None,
        reason: None,
    }
}

fn tracked(blocks: impl IntoIterator<Item = u64>) -> Changes {
    let mut ranges = RangeSet::new();
    for block in blocks {
        // Trackers are finer than our blocks.
        let start = block * BLOCK + 7;
        ranges.insert(start..start + 100);
    }
    Changes {
        source: ChangeSource::Bitmap,
        ranges: Some(ranges),
        reason: None,
    }
}

fn assert_holds(disk: &StoredDisk, content: &Content) {
    for block in 0..disk.block_count() {
        assert_eq!(
            disk.blob(block).unwrap(),
            blob_of(content, block),
            "{block}"
        );
    }
}

#[derive(Debug, Clone)]
struct Version {
    /// Blocks and what is written to them; none makes a hole.
    writes: Vec<(usize, Option<u8>)>,
    /// Blocks that the tracker names although they did not change; none: there is no tracker.
    superset: Option<Vec<usize>>,
    /// Whether digests are kept.
    keep: bool,
}

fn version() -> impl Strategy<Value = Version> {
    let place = || 0..PLACES.len();
    let writes = prop::collection::vec((place(), prop::option::of(0..4_u8)), 0..8);
    let superset = prop::option::of(prop::collection::vec(place(), 0..4));
    (writes, superset, any::<bool>()).prop_map(|(writes, superset, keep)| Version {
        writes,
        superset,
        keep,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_disk_is_stored_as_it_is_whatever_is_known_of_its_changes(
        versions in prop::collection::vec(version(), 1..6),
    ) {
        let mut place = Place::new();
        let mut content = Content::new();
        for version in versions {
            let before = content.clone();
            for (at, seed) in &version.writes {
                match seed {
                    Some(seed) => content.insert(PLACES[*at], *seed),
                    None => content.remove(&PLACES[*at]),
                };
            }
            let is_first = place.parent.is_none();
            let touched = version.writes.iter().map(|(at, _)| PLACES[*at]);
            let named = version.superset.as_ref().filter(|_| !is_first).map(|more| {
                touched.chain(more.iter().map(|at| PLACES[*at])).collect::<BTreeSet<u64>>()
            });
            let changes = named.clone().map_or_else(scan, tracked);
            let (told, stored) = place.store(&content, changes, version.keep);
            assert_holds(&stored, &content);
            let changed: u64 = PLACES
                .iter()
                .filter(|block| blob_of(&before, **block) != blob_of(&content, **block))
                .map(|block| length(*block) as u64)
                .sum();
            prop_assert_eq!(told.changed_bytes, changed);
            let source = if named.is_some() { ChangeSource::Bitmap } else { ChangeSource::Scan };
            prop_assert_eq!(told.change_source, source, "{:?}", told.reason);
        }
    }
}

#[test]
fn what_a_tracker_missed_is_found_and_everything_read() {
    let mut place = Place::new();
    let mut content: Content = PLACES.iter().map(|block| (*block, 1)).collect();
    place.store(&content, scan(), true);
    for seed in content.values_mut() {
        *seed = 2;
    }
    let (told, stored) = place.store(&content, tracked([0]), true);
    assert_eq!(told.change_source, ChangeSource::Scan);
    assert!(told.reason.unwrap().contains("bitmap said"));
    assert_holds(&stored, &content);
}

#[test]
fn an_unchanged_disk_stores_nothing_and_shares_its_pieces() {
    let mut place = Place::new();
    let content: Content = PLACES.iter().map(|block| (*block, 3)).collect();
    let (_, first) = place.store(&content, scan(), true);
    for changes in [scan(), tracked([])] {
        let (told, next) = place.store(&content, changes, true);
        assert_eq!((told.changed_bytes, told.stored_bytes), (0, 0));
        for piece in 0..3 {
            assert_eq!(next.piece_tree(piece), first.piece_tree(piece));
        }
    }
}
