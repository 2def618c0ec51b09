//! The index against a plain map as its model.

use super::page::PAGE_BYTES;
use super::{BlobIndex, BlobLocation, RunBuilder};
use crate::format::{BlobKind, IndexPack, PackEntry};
use crate::ids::{BlobId, IndexId, PackId, RepositoryId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the index should say: index file -> (kind, blob, place).
type Model = BTreeMap<IndexId, Vec<(BlobKind, BlobId, BlobLocation)>>;

fn repository() -> RepositoryId {
    RepositoryId::from_bytes([7; 32])
}

fn file_id(number: u16) -> IndexId {
    IndexId::of(&number.to_le_bytes())
}

fn blob_id(number: u16) -> BlobId {
    BlobId::of(&number.to_le_bytes())
}

/// The packs of an index file: blob `n` of them is tree or data by its parity; every third is not compressed.
fn packs(file: u16, blobs: &[u16]) -> Vec<IndexPack> {
    let mut packs = Vec::new();
    for (number, part) in blobs.chunks(7).enumerate() {
        let entries = part.iter().enumerate().map(|(at, blob)| PackEntry {
            id: blob_id(*blob),
            kind: if blob % 2 == 0 {
                BlobKind::Data
            } else {
                BlobKind::Tree
            },
            offset: at as u32 * 100,
            length: 100,
            uncompressed_length: (blob % 3 != 0).then_some(u32::from(*blob) + 1),
        });
        packs.push(IndexPack {
            id: PackId::of(&[file as u8, (file >> 8) as u8, number as u8]),
            blobs: entries.collect(),
        });
    }
    packs
}

fn add(index: &BlobIndex, model: &mut Model, file: u16, blobs: &[u16]) {
    let packs = packs(file, blobs);
    let mut builder = RunBuilder::default();
    builder.add(file_id(file), &packs);
    index.add(builder);
    let entries = packs.iter().flat_map(|pack| {
        pack.blobs.iter().map(|blob| {
            let location = BlobLocation {
                pack: pack.id,
                offset: blob.offset,
                length: blob.length,
                uncompressed_length: blob.uncompressed_length,
            };
            (blob.kind, blob.id, location)
        })
    });
    model
        .entry(file_id(file))
        .or_insert_with(|| entries.collect());
}

fn assert_same(index: &BlobIndex, model: &Model) {
    let files: HashSet<IndexId> = model.keys().copied().collect();
    assert_eq!(index.covered(), files);
    let mut expected: BTreeMap<(BlobKind, BlobId), BTreeSet<BlobLocation>> = BTreeMap::new();
    for (kind, id, location) in model.values().flatten() {
        expected.entry((*kind, *id)).or_default().insert(*location);
    }
    let view = index.view();
    for number in 0..500 {
        for kind in [BlobKind::Data, BlobKind::Tree] {
            let id = blob_id(number);
            let all = view.get_all(kind, &id).unwrap();
            let wanted: Vec<BlobLocation> = expected
                .get(&(kind, id))
                .into_iter()
                .flatten()
                .copied()
                .collect();
            assert_eq!(all, wanted, "{kind} {number}");
            assert_eq!(view.get(kind, &id).unwrap().is_some(), !wanted.is_empty());
        }
    }
    let mut ordinals = Vec::new();
    view.for_each(&mut |ordinal, _| ordinals.push(ordinal))
        .unwrap();
    assert_eq!(ordinals, (0..view.len()).collect::<Vec<u64>>());
    assert_eq!(
        view.len() as usize,
        model.values().map(Vec::len).sum::<usize>()
    );
}

#[derive(Debug, Clone)]
enum Step {
    Add(u16, Vec<u16>),
    Forget(Vec<u16>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..40_u16;
    let step = prop_oneof![
        6 => (file.clone(), prop::collection::vec(0..500_u16, 0..300)).prop_map(|(file, blobs)| Step::Add(file, blobs)),
        2 => prop::collection::vec(file, 1..5).prop_map(Step::Forget),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_index_says_what_a_map_would_say(steps in steps(), is_on_disk: bool) {
        let folder = tempfile::tempdir().unwrap();
        let dir = is_on_disk.then(|| folder.path());
        let mut index = BlobIndex::open(repository(), dir);
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Add(file, blobs) => add(&index, &mut model, file, &blobs),
                Step::Forget(files) => {
                    let gone: HashSet<IndexId> = files.into_iter().map(file_id).collect();
                    index.forget(&gone);
                    model.retain(|file, _| !gone.contains(file));
                }
                Step::Reopen => {
                    index = BlobIndex::open(repository(), dir);
                    if !is_on_disk {
                        model.clear();
                    }
                }
            }
        }
        assert_same(&index, &model);
    }
}

fn filled(dir: &Path) -> (BlobIndex, Model) {
    let index = BlobIndex::open(repository(), Some(dir));
    let mut model = Model::new();
    let blobs: Vec<u16> = (0..500).collect();
    add(&index, &mut model, 1, &blobs);
    (index, model)
}

fn only_run(dir: &Path) -> std::path::PathBuf {
    let paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(paths.len(), 1);
    paths[0].clone()
}

#[test]
fn many_small_index_files_become_few_runs() {
    let folder = tempfile::tempdir().unwrap();
    let index = BlobIndex::open(repository(), Some(folder.path()));
    let mut model = Model::new();
    for file in 0..100 {
        add(&index, &mut model, file, &[file, file + 1]);
    }
    assert_same(&index, &model);
    assert!(fs::read_dir(folder.path()).unwrap().count() <= 4);
}

#[test]
fn a_run_that_is_cut_off_or_changed_is_dropped_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = filled(folder.path());
    let bytes = fs::read(only_run(folder.path())).unwrap();
    for length in [0, 10, PAGE_BYTES, bytes.len() - 1] {
        fs::write(folder.path().join("cut.run"), &bytes[..length]).unwrap();
        let index = BlobIndex::open(repository(), Some(folder.path()));
        assert_same(&index, &model);
        assert!(!folder.path().join("cut.run").exists());
    }
    let mut changed = bytes.clone();
    let in_tables = bytes.len() - 100;
    changed[in_tables] ^= 1;
    fs::write(only_run(folder.path()), &changed).unwrap();
    assert!(
        BlobIndex::open(repository(), Some(folder.path()))
            .covered()
            .is_empty()
    );
}

#[test]
fn a_page_that_rots_is_noticed_by_the_lookup_and_the_run_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = filled(folder.path());
    let file = OpenOptions::new()
        .write(true)
        .open(only_run(folder.path()))
        .unwrap();
    for page in 0..6 {
        file.write_all_at(b"rotten", page * PAGE_BYTES as u64 + 2000)
            .unwrap();
    }
    let damage = index.get(BlobKind::Data, &blob_id(2)).unwrap_err();
    index.drop_damaged(&damage);
    assert!(index.covered().is_empty());
    assert_eq!(index.get(BlobKind::Data, &blob_id(2)).unwrap(), None);
}

#[test]
fn a_cache_of_another_repository_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let other = RepositoryId::from_bytes([8; 32]);
    assert!(
        BlobIndex::open(other, Some(folder.path()))
            .covered()
            .is_empty()
    );
}

#[test]
fn of_two_runs_that_cover_the_same_file_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_, model) = filled(folder.path());
    // A merge that was cut off between writing the new run and removing the old one.
    fs::copy(only_run(folder.path()), folder.path().join("0.run")).unwrap();
    let index = BlobIndex::open(repository(), Some(folder.path()));
    assert_same(&index, &model);
    only_run(folder.path());
}

#[test]
fn recovered_packs_can_be_read_but_new_snapshots_do_not_rely_on_them() {
    let index = BlobIndex::open(repository(), None);
    let packs: Vec<_> = packs(1, &[2, 4])
        .into_iter()
        .map(|pack| (pack.id, pack.blobs))
        .collect();
    index.set_recovered(&[file_id(9)], &packs);
    let view = index.view();
    assert!(view.get(BlobKind::Data, &blob_id(2)).unwrap().is_some());
    assert_eq!(view.get_durable(BlobKind::Data, &blob_id(2)).unwrap(), None);
    assert_eq!(index.covered(), HashSet::from([file_id(9)]));
}
