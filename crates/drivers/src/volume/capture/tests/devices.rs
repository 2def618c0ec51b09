use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;
use crate::volume::write::testing::{LoopDevice, program, run};
use crate::volume::{ChangeSource, Consistency, DiskUserKind, probe, users_of};

#[test]
fn a_device_is_read_whole_and_kept_from_being_mounted() {
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    if program("mkfs.ext4").is_none() {
        return;
    }
    run("mkfs.ext4", &["-q", path.to_str().unwrap()]);
    let Some(device) = LoopDevice::new(&path) else {
        return;
    };
    let location = device.path.to_str().unwrap();
    let found = probe(location).unwrap();
    assert_eq!(
        (found.format, found.size_bytes),
        (VolumeFormat::Block, 8 << 20)
    );

    let bench = Bench::at(VolumeFormat::Block, &device.path);
    let captured = bench.capture(None).unwrap();
    assert_eq!(captured.consistency(), Consistency::Offline);
    assert_eq!(captured.changes().source, ChangeSource::Scan);
    assert!(read_all(captured.as_ref()) == fs::read(&path).unwrap());
    let point = folder.path().join("mnt");
    fs::create_dir(&point).unwrap();
    let mount = || {
        Command::new("mount")
            .arg(&device.path)
            .arg(&point)
            .output()
            .unwrap()
    };
    assert!(!mount().status.success(), "mounted while it was read");
    captured.verify().unwrap();
    drop(captured);

    let captured = bench.capture(None).unwrap();
    let file = File::options().write(true).open(&device.path).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    file.sync_all().unwrap();
    drop(file);
    let text = captured.verify().unwrap_err().to_string();
    assert!(text.contains("written to while it was read"), "{text}");
    drop(captured);

    // What others write is read from memory long before the device sees it; and discards are no writes.
    let captured = bench.capture(None).unwrap();
    let file = File::options().write(true).open(&device.path).unwrap();
    file.write_all_at(&[2; 4096], 1 << 20).unwrap();
    captured.verify().unwrap_err();
    drop(captured);
    let captured = bench.capture(None).unwrap();
    if program("blkdiscard").is_some() {
        let path = device.path.to_str().unwrap();
        run("blkdiscard", &["-f", "-o", "4M", "-l", "1M", path]);
        captured.verify().unwrap_err();
    }
    drop((captured, file));
    run("mkfs.ext4", &["-q", "-F", device.path.to_str().unwrap()]);

    assert!(mount().status.success());
    let users = users_of(&bench.source).unwrap();
    let text = bench.refusal();
    let unmounted = Command::new("umount").arg(&point).status().unwrap();
    assert!(unmounted.success());
    assert!(
        users
            .iter()
            .any(|user| user.kind == DiskUserKind::Mount && user.name == point.to_str().unwrap()),
        "{users:?}"
    );
    assert!(text.contains(point.to_str().unwrap()), "{text}");
    wait_for(|| users_of(&bench.source).unwrap().is_empty());
}

#[test]
fn a_file_under_a_loop_device_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let Some(device) = LoopDevice::new(&path) else {
        return;
    };
    let users = users_of(&bench.source).unwrap();
    assert!(
        users
            .iter()
            .any(|user| user.kind == DiskUserKind::Loop
                && user.name == device.path.to_str().unwrap()),
        "{users:?}"
    );
    drop(device);
    wait_for(|| users_of(&bench.source).unwrap().is_empty());
}
