//! Rollbacks of real files.

mod interrupted;
mod peers;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use proptest::prelude::*;

use super::super::testing::{Filling, bytes_of, left_out, pieces};
use super::super::{DiskContent, MemoryDisk, WriteProgress};
use super::*;
use crate::volume::{DiskSource, RangeSet, VolumeError, VolumeFormat};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn source(path: &Path, format: VolumeFormat) -> DiskSource {
    DiskSource {
        volume: "vol-0000001".into(),
        format,
        location: path.to_str().unwrap().into(),
    }
}

fn roll(
    path: &Path,
    content: &MemoryDisk,
    changed: Option<&RangeSet>,
    mode: RollbackMode,
) -> Result<WriteReport, VolumeError> {
    let target = source(path, VolumeFormat::Raw);
    roll_back(&target, content, changed, mode, &WriteProgress::new())
}

/// A disk of 8 MiB with data, holes and zeros inside blocks.
fn sample() -> MemoryDisk {
    let mut bytes = vec![0; 8 * MIB];
    Filling::Random(7).fill(&mut bytes[..MIB]);
    Filling::Repetitive(8).fill(&mut bytes[3 * MIB..4 * MIB]);
    Filling::Random(9).fill(&mut bytes[6 * MIB + 100 * KIB..6 * MIB + 110 * KIB]);
    MemoryDisk::new(bytes, 256 * KIB as u64)
}

/// The sample after a host went on with it: some blocks overwritten, data where holes were and the other way round.
fn went_on(sample: &MemoryDisk) -> Vec<u8> {
    let mut bytes = sample.bytes().to_vec();
    Filling::Random(1).fill(&mut bytes[512 * KIB..520 * KIB]);
    Filling::Random(2).fill(&mut bytes[2 * MIB..2 * MIB + 300 * KIB]);
    bytes[3 * MIB + 512 * KIB..3 * MIB + 700 * KIB].fill(0);
    bytes
}

fn where_it_went_on() -> RangeSet {
    [(512, 520), (2048, 2348), (3584, 3772)]
        .into_iter()
        .map(|(start, end)| start * KIB as u64..end * KIB as u64)
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_disk_became_it_is_the_snapshot_again(
        snapshot in pieces(64 * KIB),
        present in pieces(64 * KIB),
        block_bytes in prop_oneof![Just(4096u64), Just(65_536), Just(262_144)],
        in_place in any::<bool>(),
    ) {
        let mode = if in_place { RollbackMode::InPlace } else { RollbackMode::Swap };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let content = MemoryDisk::new(bytes_of(&snapshot), block_bytes);
        fs::write(&path, bytes_of(&present)).unwrap();
        let report = roll(&path, &content, None, mode).unwrap();
        prop_assert_eq!(report.mode, mode);
        prop_assert!(fs::read(&path).unwrap() == content.bytes());

        let again = roll(&path, &content, None, RollbackMode::InPlace).unwrap();
        prop_assert_eq!(again.written_bytes, 0);
        prop_assert!(fs::read(&path).unwrap() == content.bytes());
        prop_assert_eq!(names(folder.path()), vec!["disk.raw"]);
    }
}

#[test]
fn only_what_differs_is_written_and_holes_come_back() {
    for mode in [RollbackMode::InPlace, RollbackMode::Swap] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let content = sample();
        fs::write(&path, went_on(&content)).unwrap();
        let report = roll(&path, &content, None, mode).unwrap();
        assert_eq!(report.written_bytes, 2 * 256 * KIB as u64, "{mode:?}");
        // In the file as the host left it nothing is a hole; in place and by swap the report counts the same.
        assert_eq!(report.punched_bytes, 23 * 256 * KIB as u64, "{mode:?}");
        assert!(fs::read(&path).unwrap() == content.bytes());
        // The sample has 2 MiB and 10 KiB of data; what else is allocated was written as zeros inside blocks that did not differ.
        let allocated = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(allocated < 3 * MIB as u64, "{mode:?}: {allocated}");
    }
}

#[test]
fn only_the_changed_ranges_are_read_when_they_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let content = sample();
    for mode in [RollbackMode::InPlace, RollbackMode::Swap] {
        fs::write(&path, went_on(&content)).unwrap();
        let report = roll(&path, &content, Some(&where_it_went_on()), mode).unwrap();
        assert!(report.compared_bytes <= 3 * 256 * KIB as u64, "{mode:?}");
        assert!(fs::read(&path).unwrap() == content.bytes());
    }
}

#[test]
fn a_file_takes_the_size_of_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let content = sample();
    for mode in [RollbackMode::InPlace, RollbackMode::Swap] {
        for bytes in [0, 1000, 20 * MIB] {
            let mut present = content.bytes().to_vec();
            present.resize(bytes, 7);
            fs::write(&path, &present).unwrap();
            roll(&path, &content, Some(&RangeSet::new()), mode).unwrap();
            assert!(
                fs::read(&path).unwrap() == content.bytes(),
                "{mode:?} {bytes}"
            );
        }
    }
}

#[test]
fn a_missing_file_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let report = roll(&path, &sample(), None, RollbackMode::InPlace).unwrap();
    assert_eq!(report.mode, RollbackMode::Swap);
    assert!(fs::read(&path).unwrap() == sample().bytes());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn mode_owner_attributes_and_links_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let link = folder.path().join("link.raw");
    fs::write(&path, went_on(&sample())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("disk.raw", &link).unwrap();
    let is_root = std::os::unix::fs::chown(&path, Some(64_055), Some(108)).is_ok();
    if !is_root {
        left_out("giving the disk another owner (needs root)");
    }
    let file = fs::File::open(&path).unwrap();
    let labelled = rustix::fs::fsetxattr(
        &file,
        "user.origin",
        b"test",
        rustix::fs::XattrFlags::empty(),
    );
    if let Err(error) = &labelled {
        left_out(&format!(
            "extended attributes of {}: {error}",
            path.display()
        ));
    }

    roll(&link, &sample(), None, RollbackMode::Swap).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&path).unwrap() == sample().bytes());
    let kept = fs::metadata(&path).unwrap();
    assert_ne!(kept.ino(), file.metadata().unwrap().ino());
    assert_eq!(kept.mode() & 0o7777, 0o640);
    if is_root {
        assert_eq!((kept.uid(), kept.gid()), (64_055, 108));
    }
    if labelled.is_ok() {
        let mut value = [0; 16];
        let bytes = rustix::fs::getxattr(&path, "user.origin", &mut value).unwrap();
        assert_eq!(&value[..bytes], b"test");
    }
}

#[test]
fn a_file_with_two_names_is_written_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let other = folder.path().join("other.raw");
    fs::write(&path, went_on(&sample())).unwrap();
    fs::hard_link(&path, &other).unwrap();
    let target = source(&path, VolumeFormat::Raw);
    assert_eq!(
        effective_mode(&target, RollbackMode::Swap).unwrap(),
        RollbackMode::InPlace
    );
    roll(&path, &sample(), None, RollbackMode::Swap).unwrap();
    assert!(fs::read(&other).unwrap() == sample().bytes());
}
