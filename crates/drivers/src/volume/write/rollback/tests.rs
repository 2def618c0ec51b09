//! Rollbacks of real files, file systems and devices.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::super::super::{DiskSource, RangeSet, VolumeError, VolumeFormat};
use super::super::testing::{
    Filling, LoopDevice, Mounted, assert_qemu_reads, bytes_of, left_out, pieces, program, run,
};
use super::super::{DiskContent, MemoryDisk, WriteProgress};
use super::*;

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
            assert!(fs::read(&path).unwrap() == content.bytes(), "{mode:?} {bytes}");
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
        left_out(&format!("extended attributes of {}: {error}", path.display()));
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

#[test]
fn a_failed_or_cancelled_swap_leaves_the_disk_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let before = went_on(&sample());
    fs::write(&path, &before).unwrap();
    let failed = roll(&path, &sample().failing_at(14), None, RollbackMode::Swap);
    assert!(matches!(failed, Err(VolumeError::Io { .. })), "{failed:?}");

    let progress = WriteProgress::new();
    progress.cancel();
    let target = source(&path, VolumeFormat::Raw);
    let cancelled = roll_back(&target, &sample(), None, RollbackMode::Swap, &progress);
    assert!(matches!(cancelled, Err(VolumeError::Cancelled)));

    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(names(folder.path()), ["disk.raw"]);
}

#[test]
fn what_a_crash_left_beside_the_disk_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    fs::write(&path, went_on(&sample())).unwrap();
    fs::write(folder.path().join(".disk.raw.snapkeep-new"), "half").unwrap();
    roll(&path, &sample(), None, RollbackMode::Swap).unwrap();
    assert!(fs::read(&path).unwrap() == sample().bytes());
    assert_eq!(names(folder.path()), ["disk.raw"]);
}

#[test]
fn a_rollback_in_place_that_was_cut_off_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    fs::write(&path, went_on(&sample())).unwrap();
    roll(&path, &sample().failing_at(14), None, RollbackMode::InPlace).unwrap_err();
    roll(&path, &sample(), None, RollbackMode::InPlace).unwrap();
    assert!(fs::read(&path).unwrap() == sample().bytes());
}

#[test]
fn lack_of_room_is_told_and_harms_nothing() {
    let Some(mounted) = Mounted::new("tmpfs", 4) else {
        return;
    };
    let path = mounted.path().join("disk.raw");
    let mut before = vec![0; 8 * MIB];
    before[..3 * MIB].fill(5);
    fs::write(&path, &before[..3 * MIB]).unwrap();
    let failed = roll(&path, &sample(), None, RollbackMode::Swap).unwrap_err();
    assert!(matches!(failed, VolumeError::NoSpace { .. }), "{failed:?}");
    assert!(failed.to_string().contains("make room"), "{failed}");
    assert!(fs::read(&path).unwrap() == before[..3 * MIB]);
    assert_eq!(names(&mounted.path()), ["disk.raw"]);
    roll(&path, &sample(), None, RollbackMode::InPlace).unwrap();
    assert!(fs::read(&path).unwrap() == sample().bytes());
}

#[test]
fn a_swap_shares_what_does_not_differ_where_the_file_system_clones() {
    for kind in ["xfs", "btrfs"] {
        let Some(mounted) = Mounted::new(kind, 320) else {
            continue;
        };
        let path = mounted.path().join("disk.raw");
        fs::write(&path, went_on(&sample())).unwrap();
        let report = roll(&path, &sample(), None, RollbackMode::Swap).unwrap();
        assert!(report.cloned, "{kind}");
        assert!(report.written_bytes <= 2 * 256 * KIB as u64, "{kind}");
        assert!(fs::read(&path).unwrap() == sample().bytes());
        assert_eq!(names(&mounted.path()), ["disk.raw"]);
    }
}

#[test]
fn a_swap_on_ext4_copies_and_keeps_the_holes() {
    let Some(mounted) = Mounted::new("ext4", 64) else {
        return;
    };
    let path = mounted.path().join("disk.raw");
    fs::write(&path, went_on(&sample())).unwrap();
    let report = roll(&path, &sample(), Some(&where_it_went_on()), RollbackMode::Swap).unwrap();
    assert!(!report.cloned);
    assert!(fs::read(&path).unwrap() == sample().bytes());
    let allocated = fs::metadata(&path).unwrap().blocks() * 512;
    assert!(allocated < 2 * MIB as u64 + 128 * KIB as u64, "{allocated}");
}

#[test]
fn a_block_device_is_written_in_place_and_its_rest_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut before = went_on(&sample());
    before.resize(9 * MIB, 7);
    fs::write(&image, &before).unwrap();
    let Some(device) = LoopDevice::new(&image) else {
        return;
    };
    let target = source(&device.path, VolumeFormat::Block);
    let progress = WriteProgress::new();
    let report = roll_back(&target, &sample(), None, RollbackMode::Swap, &progress).unwrap();
    assert_eq!(report.mode, RollbackMode::InPlace);
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(report.written_bytes, 2 * 256 * KIB as u64);
    run("blockdev", &["--flushbufs", device.path.to_str().unwrap()]);
    let after = fs::read(&image).unwrap();
    assert!(&after[..8 * MIB] == sample().bytes());
    assert!(after[8 * MIB..] == before[8 * MIB..]);
}

#[test]
fn a_block_device_that_is_too_small_or_mounted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::File::create(&image)
        .unwrap()
        .set_len(4 * MIB as u64)
        .unwrap();
    if let Some(device) = LoopDevice::new(&image) {
        let target = source(&device.path, VolumeFormat::Block);
        let progress = WriteProgress::new();
        let refused = roll_back(&target, &sample(), None, RollbackMode::InPlace, &progress);
        assert!(
            matches!(refused, Err(VolumeError::Unsupported { .. })),
            "{refused:?}"
        );
    }
    if let Some(mounted) = Mounted::new("ext4", 64) {
        let device = run(
            "findmnt",
            &["-n", "-o", "SOURCE", mounted.path().to_str().unwrap()],
        );
        let target = source(Path::new(device.trim()), VolumeFormat::Block);
        let progress = WriteProgress::new();
        let refused = roll_back(&target, &sample(), None, RollbackMode::InPlace, &progress);
        assert!(
            matches!(
                refused,
                Err(VolumeError::InUse { .. } | VolumeError::Unsupported { .. })
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn a_qcow2_file_is_replaced_by_a_new_one() {
    if program("qemu-img").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.qcow2");
    run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", path.to_str().unwrap(), "20M"],
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let target = source(&path, VolumeFormat::Qcow2);
    let progress = WriteProgress::new();
    let report = roll_back(&target, &sample(), None, RollbackMode::InPlace, &progress).unwrap();
    assert_eq!(report.mode, RollbackMode::Swap);
    assert_qemu_reads(&path, "qcow2", sample().bytes());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(names(folder.path()), ["disk.qcow2"]);
}

#[test]
fn an_nbd_export_is_written_through_its_server() {
    if program("qemu-nbd").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.raw");
    let socket = folder.path().join("nbd.sock");
    fs::write(&image, went_on(&sample())).unwrap();
    let mut server = Command::new("qemu-nbd")
        .args(["-t", "-f", "raw", "-k", socket.to_str().unwrap()])
        .arg(&image)
        .spawn()
        .unwrap();
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let target = DiskSource {
        volume: "vol-0000001".into(),
        format: VolumeFormat::Nbd,
        location: format!("nbd+unix:///?socket={}", socket.display()),
    };
    let progress = WriteProgress::new();
    let rolled = roll_back(&target, &sample(), None, RollbackMode::Swap, &progress);
    server.kill().unwrap();
    server.wait().unwrap();
    let report = rolled.unwrap();
    assert_eq!(report.written_bytes, 2 * 256 * KIB as u64);
    assert!(report.punched_bytes > 0);
    assert!(fs::read(&image).unwrap() == sample().bytes());
}

/// A disk that forgets what is written to it.
struct Faulty {
    bytes: u64,
}

impl target::Target for Faulty {
    fn size_bytes(&self) -> u64 {
        self.bytes
    }
    fn zeros(&self, _: std::ops::Range<u64>) -> RangeSet {
        RangeSet::new()
    }
    fn has_holes(&self) -> bool {
        false
    }
    fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        buffer.fill(0);
        Ok(())
    }
    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), VolumeError> {
        Ok(())
    }
    fn zero(&self, _: std::ops::Range<u64>) -> Result<(), VolumeError> {
        Ok(())
    }
    fn sync(&self) -> Result<(), VolumeError> {
        Ok(())
    }
    fn forget_cached(&self) {}
}

#[test]
fn a_disk_that_does_not_keep_what_is_written_is_found_out() {
    let content = sample();
    let grid = super::super::grid::Grid::new(&content, 1).unwrap();
    let disk = Faulty {
        bytes: content.size_bytes(),
    };
    let progress = WriteProgress::new();
    let marks = differences::Marks::new(32);
    differences::Differences {
        grid,
        old: &disk,
        new: &disk,
        new_is_empty: false,
        changed: None,
        marks: Some(&marks),
        progress: &progress,
    }
    .apply()
    .unwrap();
    let wrong = differences::verify(&grid, &disk, &marks, &progress).unwrap();
    assert_eq!(wrong, Some(0));
}
