//! Rollbacks that fail, are cancelled, are killed, or meet a disk that cannot be trusted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::super::grid::Grid;
use super::super::super::testing::Mounted;
use super::super::{differences, target};
use super::*;

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
fn a_rollback_in_place_that_ends_before_it_writes_leaves_the_disk_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let mut bytes = vec![0; 4 * 64 * KIB];
    Filling::Random(3).fill(&mut bytes);
    let content = MemoryDisk::new(bytes, 64 * KIB as u64);
    // The disk has grown since, and what it got is nowhere else.
    let grown = [content.bytes(), &[7; 3 * 4096]].concat();
    fs::write(&path, &grown).unwrap();
    let target = source(&path, VolumeFormat::Raw);
    let progress = WriteProgress::new();
    progress.cancel();
    let cancelled = roll_back(&target, &content, None, RollbackMode::InPlace, &progress);
    assert!(matches!(cancelled, Err(VolumeError::Cancelled)));
    assert!(fs::read(&path).unwrap() == grown);

    let progress = WriteProgress::new();
    roll_back(&target, &content, None, RollbackMode::InPlace, &progress).unwrap();
    assert!(fs::read(&path).unwrap() == content.bytes());
    // Whoever asks whether anything was changed hears of it.
    assert_eq!(progress.counts().punched_bytes, 3 * 4096);
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

/// A disk that does something before each of its blocks is read.
pub(super) struct Before<F> {
    pub(super) disk: MemoryDisk,
    pub(super) reading: F,
}

impl<F: Fn() + Send + Sync> DiskContent for Before<F> {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
    fn block_bytes(&self) -> u64 {
        self.disk.block_bytes()
    }
    fn is_hole(&self, block: u64) -> bool {
        self.disk.is_hole(block)
    }
    fn matches(&self, block: u64, data: &[u8]) -> bool {
        self.disk.matches(block, data)
    }
    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        (self.reading)();
        self.disk.read(block, buffer)
    }
}

/// Where the process that is to be killed finds the disk; set only for that process, which runs this very test.
const VICTIM: &str = "SNAPKEEP_TEST_KILLED_ROLLBACK";

#[test]
fn a_killed_rollback_leaves_old_or_new_or_is_finished_by_the_next() {
    let mut present = vec![0; 4 * MIB];
    Filling::Random(11).fill(&mut present);
    let mut snapshot = present.clone();
    for block in (0..64).step_by(2) {
        Filling::Random(block + 20).fill(&mut snapshot[block as usize * 64 * KIB..][..30 * KIB]);
    }
    let content = MemoryDisk::new(snapshot, 64 * KIB as u64);
    if let Some(victim) = std::env::var_os(VICTIM) {
        let mode = match std::env::var("SNAPKEEP_TEST_KILLED_IN_PLACE").is_ok() {
            true => RollbackMode::InPlace,
            false => RollbackMode::Swap,
        };
        // Seconds of work, so that a kill can meet any moment of it.
        let slow = Before {
            disk: content,
            reading: || std::thread::sleep(Duration::from_millis(2)),
        };
        let target = source(Path::new(&victim), VolumeFormat::Raw);
        roll_back(&target, &slow, None, mode, &WriteProgress::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let this_test = std::thread::current().name().unwrap().to_string();
    let mut cut_off = 0;
    for round in 0..20 {
        let in_place = round % 2 == 0;
        fs::write(&path, &present).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", &this_test])
            .env(VICTIM, &path)
            .stdout(Stdio::null());
        if in_place {
            command.env("SNAPKEEP_TEST_KILLED_IN_PLACE", "1");
        }
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + round * 5));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = fs::read(&path).unwrap();
        if left != content.bytes() {
            cut_off += 1;
        }
        if !in_place {
            assert!(left == present || left == content.bytes(), "round {round}");
        }
        let mode = match in_place {
            true => RollbackMode::InPlace,
            false => RollbackMode::Swap,
        };
        roll(&path, &content, None, mode).unwrap();
        assert!(fs::read(&path).unwrap() == content.bytes(), "round {round}");
        assert_eq!(names(folder.path()), ["disk.raw"]);
    }
    assert!(cut_off > 0, "no kill met a rollback");
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
    let grid = Grid::new(&content, 1).unwrap();
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
