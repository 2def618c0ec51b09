//! Rollbacks on file systems and devices, and beside QEMU. What the machine lacks is told and left out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::super::super::testing::{LoopDevice, Mounted, assert_qemu_reads, program, run};
use super::interrupted::Before;
use super::*;

/// Makes the target the sample again.
fn roll_onto(target: &DiskSource, mode: RollbackMode) -> Result<WriteReport, VolumeError> {
    roll_back(target, &sample(), None, mode, &WriteProgress::new())
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
    let report = roll(
        &path,
        &sample(),
        Some(&where_it_went_on()),
        RollbackMode::Swap,
    )
    .unwrap();
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
    let report = roll_onto(&target, RollbackMode::Swap).unwrap();
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
        let refused = roll_onto(&target, RollbackMode::InPlace);
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
        let refused = roll_onto(&target, RollbackMode::InPlace);
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
    let report = roll_onto(&target, RollbackMode::InPlace).unwrap();
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
        std::thread::sleep(Duration::from_millis(10));
    }
    let target = DiskSource {
        volume: "vol-0000001".into(),
        format: VolumeFormat::Nbd,
        location: format!("nbd+unix:///?socket={}", socket.display()),
    };
    let rolled = roll_onto(&target, RollbackMode::Swap);
    server.kill().unwrap();
    server.wait().unwrap();
    let report = rolled.unwrap();
    assert_eq!(report.written_bytes, 2 * 256 * KIB as u64);
    assert!(report.punched_bytes > 0);
    assert!(fs::read(&image).unwrap() == sample().bytes());
}

#[test]
fn qemu_cannot_start_on_a_disk_that_is_being_rolled_back() {
    if program("qemu-io").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    for mode in [RollbackMode::InPlace, RollbackMode::Swap] {
        fs::write(&path, went_on(&sample())).unwrap();
        let refused = Mutex::new(Vec::new());
        // While its block is read, QEMU tries to open the disk for writing.
        let watched = Before {
            disk: sample(),
            reading: || {
                let output = Command::new("qemu-io")
                    .args(["-f", "raw", "-c", "quit"])
                    .arg(&path)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                refused.lock().unwrap().push(said);
            },
        };
        let target = source(&path, VolumeFormat::Raw);
        roll_back(&target, &watched, None, mode, &WriteProgress::new()).unwrap();
        let refused = refused.into_inner().unwrap();
        assert!(!refused.is_empty());
        for said in refused {
            assert!(said.contains("Failed to get"), "{mode:?}: {said}");
        }
        run(
            "qemu-io",
            &["-f", "raw", "-c", "quit", path.to_str().unwrap()],
        );
    }
}
