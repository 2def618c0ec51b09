use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::volume::capture::reflink;
use crate::volume::write::testing::{left_out, program};
use crate::volume::{ChangeSource, Consistency, users_of};

/// Whether captures in `folder` are clones; the tests here are about those that are not.
fn clones(folder: &Path) -> bool {
    let probe = File::create(folder.join("probe")).unwrap();
    let clones = reflink::obstacle(&probe, folder).is_none();
    if clones {
        left_out("temporary files are on a file system that clones");
    }
    clones
}

#[test]
fn an_untouched_file_needs_no_reading_and_a_touched_one_all() {
    let folder = tempfile::tempdir().unwrap();
    if clones(folder.path()) {
        return;
    }
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let first = bench.capture(None).unwrap();
    assert_eq!(first.changes().ranges, None);
    assert_eq!(first.consistency(), Consistency::Offline);
    assert!(!first.is_detached());
    assert_eq!(data_bytes(first.as_ref()), 2 << 20);
    assert_eq!(read_all(first.as_ref()), std::fs::read(&path).unwrap());
    first.verify().unwrap();
    let token = first.settle(Some("s1")).unwrap().unwrap();
    assert_eq!(token.snapshot, "s1");

    let second = bench.capture(Some(&token)).unwrap();
    assert_eq!(second.changes().source, ChangeSource::Stat);
    assert!(second.changes().ranges.as_ref().unwrap().is_empty());
    let reason = second.changes().reason.clone().unwrap();
    assert!(reason.contains("cannot clone"), "{reason}");
    let token = second.settle(Some("s2")).unwrap().unwrap();

    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[9], 77).unwrap();
    drop(file);
    let third = bench.capture(Some(&token)).unwrap();
    assert_eq!(third.changes().source, ChangeSource::Scan);
    assert_eq!(third.changes().ranges, None);
    let reason = third.changes().reason.clone().unwrap();
    assert!(reason.contains("the file changed"), "{reason}");
    // The snapshot failed: what was remembered stays.
    assert_eq!(third.settle(None).unwrap(), Some(token));
}

#[test]
fn a_write_during_the_reading_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    if clones(folder.path()) {
        return;
    }
    let path = raw_disk(folder.path());
    let captured = Bench::at(VolumeFormat::Raw, &path).capture(None).unwrap();
    captured.verify().unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(&[9], 0)
        .unwrap();
    let text = captured.verify().unwrap_err().to_string();
    assert!(text.contains("written to while it was read"), "{text}");
}

#[test]
fn a_disk_in_use_is_refused_with_the_name_of_its_user() {
    let folder = tempfile::tempdir().unwrap();
    if clones(folder.path()) {
        return;
    }
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let reader = Running::that_opens(&path, "<");
    assert_eq!(users_of(&bench.source).unwrap(), []);
    drop(reader);

    let writer = Running::that_opens(&path, "<>");
    let text = bench.refusal();
    let pid = format!("process sh (pid {})", writer.0.id());
    assert!(text.contains(&pid) && text.contains("allow"), "{text}");

    let captured = bench.capture_with(None, no_host().as_ref(), true).unwrap();
    assert_eq!(captured.consistency(), Consistency::Inconsistent);
    captured.verify().unwrap();
    // Its state is nothing to compare the next one with.
    assert_eq!(captured.settle(Some("s1")).unwrap(), None);

    drop(writer);
    bench.capture(None).unwrap();
}

#[test]
fn a_file_that_is_mapped_for_writing_is_in_use_though_it_was_closed() {
    if program("python3").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let ready = folder.path().join("ready");
    let script = format!(
        "import mmap,sys\nf = open('{0}', 'r+b')\nm = mmap.mmap(f.fileno(), 4096)\nf.close()\n\
         import os\n[os.close(n) for n in map(int, os.listdir('/proc/self/fd')) if n > 2 and os.path.exists(f'/proc/self/fd/{{n}}') and os.path.samefile(f'/proc/self/fd/{{n}}', '{0}')]\n\
         open('{1}', 'w').close()\nsys.stdin.read()",
        path.display(),
        ready.display()
    );
    let _python = Running::new("python3", &["-c", &script]);
    wait_for(|| ready.exists());
    let users = users_of(&bench.source).unwrap();
    assert!(
        users.iter().any(|user| user.name.contains("python")),
        "{users:?}"
    );
}

#[test]
fn a_disk_that_shrinks_fails_even_where_inconsistency_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    if clones(folder.path()) {
        return;
    }
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let _writer = Running::that_opens(&path, "<>");
    let captured = bench.capture_with(None, no_host().as_ref(), true).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let text = captured.verify().unwrap_err().to_string();
    assert!(text.contains("smaller"), "{text}");
}

#[test]
fn qemu_does_not_start_on_a_disk_that_is_being_read_and_is_seen_when_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    if clones(folder.path()) || program("qemu-io").is_none() {
        return;
    }
    let path = raw_disk(folder.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let qemu_writes = || {
        Command::new("qemu-io")
            .args(["-f", "raw", "-c", "write -P 7 0 4096"])
            .arg(&path)
            .output()
            .unwrap()
    };
    let captured = bench.capture(None).unwrap();
    let output = qemu_writes();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("lock"), "{said}");
    captured.verify().unwrap();
    drop(captured);
    assert!(qemu_writes().status.success());

    let qemu = Running::new("qemu-io", &["-f", "raw", path.to_str().unwrap()]);
    wait_for(|| {
        users_of(&bench.source)
            .unwrap()
            .iter()
            .any(|user| user.kind == crate::volume::DiskUserKind::QemuLock)
    });
    let text = bench.refusal();
    assert!(
        text.contains("a QEMU program") && text.contains("qemu-io"),
        "{text}"
    );
    drop(qemu);
    bench.capture(None).unwrap();
}

#[test]
fn what_is_not_there_or_something_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let missing = Bench::at(VolumeFormat::Raw, &path);
    assert!(missing.capture(None).err().unwrap().is_missing());
    assert!(users_of(&missing.source).unwrap_err().is_missing());
    std::fs::create_dir(&path).unwrap();
    assert!(missing.refusal().contains("not a regular file"));
    let raw = folder.path().join("raw");
    File::create(&raw).unwrap().set_len(4096).unwrap();
    let text = Bench::at(VolumeFormat::Qcow2, &raw).refusal();
    assert!(text.contains("not a qcow2 image"), "{text}");
    let text = Bench::at(VolumeFormat::Block, &raw).refusal();
    assert!(text.contains("not a block device"), "{text}");
}
