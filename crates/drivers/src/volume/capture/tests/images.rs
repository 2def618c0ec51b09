use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::volume::write::testing::{Mounted, program, run};
use crate::volume::{ChangeSource, Consistency, TokenKind, probe, recover_captures};

const SIZE_MIB: u64 = 16;

/// A folder for an image, where QEMU's tools are installed.
fn folder() -> Option<tempfile::TempDir> {
    program("qemu-img")?;
    program("qemu-nbd")?;
    program("qemu-io")?;
    Some(tempfile::tempdir().unwrap())
}

/// A qcow2 image with 2 MiB of data, and its captures.
struct Image {
    path: PathBuf,
    bench: Bench,
}

impl Image {
    fn new(folder: &Path) -> Self {
        let path = folder.join("disk.qcow2");
        let image = Self {
            bench: Bench::at(VolumeFormat::Qcow2, &path),
            path,
        };
        run(
            "qemu-img",
            &[
                "create",
                "-q",
                "-f",
                "qcow2",
                image.name(),
                &format!("{SIZE_MIB}M"),
            ],
        );
        image.write(1, 1 << 20, 2 << 20);
        image
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn write(&self, byte: u8, offset: u64, length: u64) {
        let command = format!("write -P {byte} {offset} {length}");
        run("qemu-io", &["-f", "qcow2", "-c", &command, self.name()]);
    }

    fn content(&self) -> Vec<u8> {
        let out = self.path.with_extension("out");
        run(
            "qemu-img",
            &[
                "convert",
                "-U",
                "-f",
                "qcow2",
                "-O",
                "raw",
                self.name(),
                out.to_str().unwrap(),
            ],
        );
        let bytes = fs::read(&out).unwrap();
        fs::remove_file(out).unwrap();
        bytes
    }

    fn bitmaps(&self) -> usize {
        run("qemu-img", &["info", self.name()])
            .matches("name: snapkeep-vol-abc1234-")
            .count()
    }

    /// A `qemu-nbd` that has the image open.
    fn serve(&self, socket: &Path, options: &[&str]) -> Running {
        let place = ["-f", "qcow2", "-k", socket.to_str().unwrap(), self.name()];
        let server = Running::new("qemu-nbd", &[options, &place].concat());
        wait_for(|| socket.exists());
        server
    }
}

#[test]
fn changes_between_snapshots_come_from_a_bitmap_in_the_image() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let found = probe(image.name()).unwrap();
    assert_eq!(
        (found.format, found.size_bytes),
        (VolumeFormat::Qcow2, SIZE_MIB << 20)
    );

    let first = image.bench.capture(None).unwrap();
    assert_eq!(first.changes().source, ChangeSource::Scan);
    assert_eq!(first.consistency(), Consistency::Offline);
    assert_eq!(data_bytes(first.as_ref()), 2 << 20);
    assert!(read_all(first.as_ref()) == image.content());
    first.verify().unwrap();
    let mut token = first.settle(Some("s0")).unwrap().unwrap();
    assert_eq!(token.kind, TokenKind::Bitmap);

    let mut random = StdRng::seed_from_u64(7);
    let mut before = image.content();
    for round in 1..=12 {
        for _ in 0..random.random_range(0..4) {
            let offset = random.random_range(0..(SIZE_MIB - 1) << 20);
            image.write(round, offset, random.random_range(1..200_000));
        }
        let captured = image.bench.capture(Some(&token)).unwrap();
        assert_eq!(captured.changes().source, ChangeSource::Bitmap);
        assert_eq!(captured.changes().reason, None);
        let now = image.content();
        assert!(read_all(captured.as_ref()) == now);
        let changed = captured.changes().ranges.clone().unwrap();
        assert!(changed.total_bytes() < 2 << 20);
        for (at, (then, now)) in before.iter().zip(&now).enumerate() {
            assert!(
                then == now || changed.contains(at as u64..at as u64 + 1),
                "round {round}: the change at {at} was missed"
            );
        }
        // A snapshot that fails leaves the bitmap of the one before as it is.
        if random.random_bool(0.4) {
            assert_eq!(captured.settle(None).unwrap().as_ref(), Some(&token));
        } else {
            token = captured
                .settle(Some(&format!("s{round}")))
                .unwrap()
                .unwrap();
            before = now;
        }
        assert_eq!(image.bitmaps(), 1, "one generation of bitmaps stays");
    }
    run("qemu-img", &["check", image.name()]);
    forget(&image.bench.source);
    assert_eq!(image.bitmaps(), 0);
}

#[test]
fn a_bitmap_that_is_lost_or_unusable_costs_a_full_read_and_nothing_else() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let name = image.name();
    let token = image.bench.token("s1").unwrap();
    let reason = |token: &DiskToken| {
        let captured = image.bench.capture(Some(token)).unwrap();
        assert_eq!(captured.changes().ranges, None);
        assert!(read_all(captured.as_ref()) == image.content());
        captured.changes().reason.clone().unwrap()
    };

    // A host that was killed: it has opened the image for writing and never closed it.
    let mut killed = Running::new("qemu-io", &["-f", "qcow2", name]);
    wait_for(|| {
        !crate::volume::users_of(&image.bench.source)
            .unwrap()
            .is_empty()
    });
    use std::io::Write;
    killed
        .0
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"write -P 9 0 65536\n")
        .unwrap();
    wait_for(|| run("qemu-img", &["info", "-U", name]).contains("in-use"));
    drop(killed);
    let text = reason(&token);
    assert!(text.contains("without closing it"), "{text}");

    let token = image.bench.token("s2").unwrap();
    assert_eq!(image.bitmaps(), 1, "the unusable one is gone");
    let converted = folder.path().join("converted.qcow2");
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "qcow2",
            "-O",
            "qcow2",
            name,
            converted.to_str().unwrap(),
        ],
    );
    fs::rename(&converted, &image.path).unwrap();
    let text = reason(&token);
    assert!(text.contains("as after a copy"), "{text}");
}

#[test]
fn an_untouched_image_is_not_written_to_by_its_snapshots() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let first = image.bench.token("s1").unwrap();
    let bytes = fs::read(&image.path).unwrap();

    let untouched = image.bench.capture(Some(&first)).unwrap();
    assert_eq!(untouched.changes().source, ChangeSource::Bitmap);
    assert!(untouched.changes().ranges.as_ref().unwrap().is_empty());
    let second = untouched.settle(Some("s2")).unwrap().unwrap();
    assert_eq!(second.snapshot, "s2");
    assert!(fs::read(&image.path).unwrap() == bytes);

    image.write(9, 5 << 20, 4096);
    let touched = image.bench.capture(Some(&second)).unwrap();
    let changed = touched.changes().ranges.clone().unwrap();
    assert!(changed.contains(5 << 20..(5 << 20) + 4096));
    touched.settle(Some("s3")).unwrap().unwrap();
    assert_eq!(image.bitmaps(), 1);
}

#[test]
fn the_old_format_is_judged_by_its_file() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    run(
        "qemu-img",
        &["amend", "-f", "qcow2", "-o", "compat=v2", image.name()],
    );
    let token = image.bench.token("s1").unwrap();
    let captured = image.bench.capture(Some(&token)).unwrap();
    assert_eq!(captured.changes().source, ChangeSource::Stat);
    let reason = captured.changes().reason.clone().unwrap();
    assert!(reason.contains("compat=v3"), "{reason}");
    drop(captured);
    image.write(3, 0, 4096);
    let captured = image.bench.capture(Some(&token)).unwrap();
    assert_eq!(captured.changes().source, ChangeSource::Scan);
}

#[test]
fn an_image_in_use_is_refused_or_cloned() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let server = image.serve(&image.path.with_extension("sock"), &["-t"]);
    assert!(image.bench.refusal().contains("qemu-nbd"));
    let captured = image
        .bench
        .capture_with(None, no_host().as_ref(), true)
        .unwrap();
    assert_eq!(captured.consistency(), Consistency::Inconsistent);
    assert!(read_all(captured.as_ref()) == image.content());
    drop(captured);
    drop(server);

    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let image = Image::new(&mounted.path());
    let server = image.serve(&image.path.with_extension("sock"), &["-t"]);
    let captured = image.bench.capture(None).unwrap();
    assert_eq!(captured.consistency(), Consistency::Crash);
    assert!(captured.is_detached());
    assert!(read_all(captured.as_ref()) == image.content());
    assert_eq!(captured.settle(Some("s1")).unwrap(), None);
    assert_eq!(
        fs::read_dir(mounted.path().join(".snapkeep"))
            .unwrap()
            .count(),
        0
    );
    drop(server);
}

#[test]
fn no_server_and_no_socket_outlive_a_capture() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let left = || fs::read_dir(image.bench.state.path()).unwrap().count();
    let captured = image.bench.capture(None).unwrap();
    assert_eq!(left(), 1);
    drop(captured);
    assert_eq!(left(), 0);
    assert_eq!(image.bitmaps(), 0);
    // Somebody else may have it now.
    image.write(1, 0, 512);

    // The table of tables is nowhere.
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&image.path)
        .unwrap();
    file.write_all_at(&[0xff; 8], 40).unwrap();
    let text = image.bench.refusal();
    assert!(
        text.contains("qemu-nbd") || text.contains("qemu-img"),
        "{text}"
    );
    assert_eq!(left(), 0);
}

#[test]
fn a_server_that_a_crash_left_waiting_is_ended() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let left = folder.path().join("snapkeep-0123456789abcdef");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("owner"), "").unwrap();
    let socket = left.join("nbd.sock");
    let mut server = image.serve(&socket, &["-r"]);
    // Listening, not merely bound.
    wait_for(|| {
        let sockets = fs::read_to_string("/proc/net/unix").unwrap();
        sockets
            .lines()
            .any(|line| line.contains(" 00010000 ") && line.ends_with(socket.to_str().unwrap()))
    });
    recover_captures(folder.path());
    assert!(!left.exists());
    wait_for(|| server.0.try_wait().unwrap().is_some());
}

#[test]
fn an_export_is_read_with_its_holes() {
    let Some(folder) = folder() else {
        return;
    };
    let image = Image::new(folder.path());
    let socket = folder.path().join("s");
    let _server = image.serve(&socket, &["-t", "-r"]);
    let location = format!("nbd+unix:///?socket={}", socket.display());
    wait_for(|| probe(&location).is_ok());
    let found = probe(&location).unwrap();
    assert_eq!(
        (found.format, found.size_bytes),
        (VolumeFormat::Nbd, SIZE_MIB << 20)
    );
    let captured = Bench::new(VolumeFormat::Nbd, &location)
        .capture(None)
        .unwrap();
    assert_eq!(data_bytes(captured.as_ref()), 2 << 20);
    assert!(read_all(captured.as_ref()) == image.content());
    assert!(captured.changes().reason.is_some());
    assert_eq!(captured.settle(Some("s1")).unwrap(), None);
}
