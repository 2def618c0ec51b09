use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::fs::{FallocateFlags, copy_file_range, fallocate};

use super::*;
use crate::volume::write::testing::{Mounted, run};
use crate::volume::{ChangeSource, Consistency};

const SIZE: u64 = 16 << 20;
const ROUNDS: u64 = 40;
const BLOCK: usize = 4096;

/// Something that a guest or a host does to a disk's file.
fn disturb(file: &File, path: &Path, random: &mut StdRng) {
    let offset = random.random_range(0..SIZE - 300_000);
    let length = random.random_range(1..300_000_u64);
    let change = |flags| fallocate(file, flags, offset, length).unwrap();
    match random.random_range(0..7) {
        0 => change(FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE),
        1 => change(FallocateFlags::KEEP_SIZE),
        2 => {
            // btrfs has no such call before Linux 6.x; what is refused changes nothing.
            let _ = fallocate(
                file,
                FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
                offset,
                length,
            );
        }
        3 => {
            // Within one file the ranges may not overlap.
            let (mut from, mut to) = (offset / 2, SIZE / 2 + offset / 2);
            let length = length.min(SIZE - to) as usize;
            copy_file_range(file, Some(&mut from), file, Some(&mut to), length).unwrap();
        }
        4 => {
            let seek = format!("seek={}", offset / BLOCK as u64);
            let of = format!("of={}", path.display());
            run(
                "dd",
                &[
                    "if=/dev/urandom",
                    &of,
                    "bs=4096",
                    "count=3",
                    &seek,
                    "conv=notrunc",
                    "oflag=direct",
                    "status=none",
                ],
            );
        }
        _ => {
            let mut bytes = vec![0; length as usize];
            random.fill(&mut bytes[..]);
            file.write_all_at(&bytes, offset).unwrap();
        }
    }
}

/// After any number of disturbances the changes include every block that differs from the snapshot before.
fn no_changed_block_is_missed(kind: &str) {
    let Some(mounted) = Mounted::new(kind, 512) else {
        return;
    };
    let path = mounted.path().join("disk.raw");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    file.set_len(SIZE).unwrap();
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let mut random = StdRng::seed_from_u64(20_261_121);
    let mut before = fs::read(&path).unwrap();
    let mut token = bench.token("s0").unwrap();
    for round in 1..=ROUNDS {
        for _ in 0..random.random_range(0..6) {
            disturb(&file, &path, &mut random);
        }
        let captured = bench.capture(Some(&token)).unwrap();
        assert!(captured.is_detached());
        assert_eq!(captured.changes().source, ChangeSource::Reflink);
        assert_eq!(captured.changes().reason, None);
        let now = fs::read(&path).unwrap();
        assert!(
            read_all(captured.as_ref()) == now,
            "round {round}: the clone differs"
        );
        let changed = captured.changes().ranges.clone().unwrap();
        for (block, (then, now)) in before.chunks(BLOCK).zip(now.chunks(BLOCK)).enumerate() {
            let start = (block * BLOCK) as u64;
            assert!(
                then == now || changed.contains(start..start + BLOCK as u64),
                "{kind}, round {round}: the change at {start} was missed"
            );
        }
        // Some snapshots fail, and then the next is compared with the one before.
        if random.random_bool(0.3) {
            assert_eq!(captured.settle(None).unwrap().as_ref(), Some(&token));
        } else {
            token = captured
                .settle(Some(&format!("s{round}")))
                .unwrap()
                .unwrap();
            before = now;
        }
        let clones = fs::read_dir(mounted.path().join(".snapkeep"))
            .unwrap()
            .count();
        assert_eq!(clones, 1, "one generation of clones stays");
    }
    let unchanged = bench.capture(Some(&token)).unwrap();
    if before == fs::read(&path).unwrap() {
        assert_eq!(
            unchanged.changes().ranges.as_ref().unwrap().total_bytes(),
            0
        );
    }
    drop(unchanged);
    forget(&bench.source);
    assert!(!mounted.path().join(".snapkeep").exists());
}

#[test]
fn no_changed_block_is_missed_on_xfs() {
    no_changed_block_is_missed("xfs");
}

#[test]
fn no_changed_block_is_missed_on_btrfs() {
    no_changed_block_is_missed("btrfs");
}

#[test]
fn writers_may_go_on_while_the_clone_is_read() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let path = raw_disk(&mounted.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let before = fs::read(&path).unwrap();
    let writer = Running::that_opens(&path, "<>");
    let captured = bench.capture(None).unwrap();
    assert_eq!(captured.consistency(), Consistency::Crash);
    assert!(captured.is_detached());
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[3; 2 << 20], 0).unwrap();
    assert!(read_all(captured.as_ref()) == before);
    captured.verify().unwrap();
    let token = captured.settle(Some("s1")).unwrap().unwrap();
    drop(writer);
    let next = bench.capture(Some(&token)).unwrap();
    assert_eq!(
        next.changes().ranges.as_ref().unwrap().total_bytes(),
        2 << 20
    );
}

#[test]
fn a_clone_that_is_not_what_it_was_is_not_believed() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let path = raw_disk(&mounted.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let token = bench.token("s1").unwrap();
    let anchor = Path::new(token.identity["path"].as_str().unwrap()).to_path_buf();
    let reason = |token: &DiskToken| {
        let captured = bench.capture(Some(token)).unwrap();
        assert_eq!(captured.changes().source, ChangeSource::Scan);
        assert_eq!(captured.changes().ranges, None);
        captured.changes().reason.clone().unwrap()
    };

    // Nobody writes to it by accident.
    assert!(File::options().write(true).open(&anchor).is_err());
    run("chattr", &["-i", anchor.to_str().unwrap()]);
    File::options()
        .write(true)
        .open(&anchor)
        .unwrap()
        .write_all_at(&[1], 0)
        .unwrap();
    assert!(reason(&token).contains("not the clone of the last snapshot"));
    fs::remove_file(&anchor).unwrap();
    assert!(reason(&token).contains("cannot be opened"));

    let token = bench.token("s2").unwrap();
    let smaller = DiskToken {
        size_bytes: 1 << 20,
        ..token.clone()
    };
    assert!(reason(&smaller).contains("size of the volume changed"));
    let other = DiskToken {
        kind: crate::volume::TokenKind::Qmp,
        ..token
    };
    assert!(reason(&other).contains("another method"));
}

#[test]
fn unwritten_and_compressed_extents_are_judged_by_what_they_mean() {
    let Some(mounted) = Mounted::new("btrfs", 512) else {
        return;
    };
    run("chattr", &["+c", mounted.path().to_str().unwrap()]);
    let path = raw_disk(&mounted.path());
    let file = File::options().write(true).open(&path).unwrap();
    fallocate(&file, FallocateFlags::KEEP_SIZE, 2 << 20, 1 << 20).unwrap();
    let bench = Bench::at(VolumeFormat::Raw, &path);
    let token = bench.token("s1").unwrap();
    let captured = bench.capture(Some(&token)).unwrap();
    let changed = captured.changes().ranges.clone().unwrap();
    // The address of compressed data says nothing; the unwritten range is zeroes then and now.
    assert!(!changed.intersects(2 << 20..3 << 20));
    assert!(
        captured
            .extents(2 << 20..3 << 20)
            .unwrap()
            .iter()
            .all(|extent| extent.zero)
    );
}

#[test]
fn the_clones_of_a_deleted_disk_go_and_those_of_others_stay() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let path = raw_disk(&mounted.path());
    let bench = Bench::at(VolumeFormat::Raw, &path);
    bench.token("s1").unwrap();
    let folder = mounted.path().join(".snapkeep");
    fs::write(folder.join("notes.txt"), "somebody else's").unwrap();
    let left = || fs::read_dir(&folder).unwrap().count();
    forget_gone(&mounted.path(), |volume| volume == "vol-abc1234");
    assert_eq!(left(), 2);
    forget_gone(&mounted.path(), |_| false);
    assert_eq!(left(), 1);
}
