//! What the tests of writers and captures share: contents by chance, QEMU's programs, file systems in files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::MemoryDisk;

/// What a piece of a disk is filled with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filling {
    Zeros,
    /// One byte: compresses to nearly nothing.
    Constant(u8),
    /// Text-like: compresses somewhat.
    Repetitive(u64),
    /// Does not compress.
    Random(u64),
}

impl Filling {
    pub(super) fn fill(self, piece: &mut [u8]) {
        match self {
            Self::Zeros => piece.fill(0),
            Self::Constant(byte) => piece.fill(byte),
            Self::Repetitive(seed) => {
                for (n, byte) in piece.iter_mut().enumerate() {
                    *byte = (seed as usize + n / 7 % 90 + n % 13) as u8;
                }
            }
            Self::Random(seed) => {
                let mut state = seed | 1;
                for byte in piece {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    *byte = (state >> 24) as u8;
                }
            }
        }
    }
}

fn filling() -> impl Strategy<Value = Filling> {
    prop_oneof![
        3 => Just(Filling::Zeros),
        1 => any::<u8>().prop_map(Filling::Constant),
        1 => any::<u64>().prop_map(Filling::Repetitive),
        2 => any::<u64>().prop_map(Filling::Random),
    ]
}

/// Pieces of a disk: how long, and filled with what. `scale` is the length of most.
pub(super) fn pieces(scale: usize) -> impl Strategy<Value = Vec<(usize, Filling)>> {
    let length = prop_oneof![Just(scale), Just(3 * scale), 1..2 * scale];
    proptest::collection::vec((length, filling()), 0..24)
}

pub(super) fn bytes_of(pieces: &[(usize, Filling)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (length, filling) in pieces {
        let start = bytes.len();
        bytes.resize(start + length, 0);
        filling.fill(&mut bytes[start..]);
    }
    bytes
}

/// A disk by chance, in blocks of a size by chance.
pub(super) fn disks(scale: usize) -> impl Strategy<Value = MemoryDisk> {
    (
        pieces(scale),
        prop_oneof![Just(4096), Just(65_536), Just(262_144)],
    )
        .prop_map(|(pieces, block_bytes)| MemoryDisk::new(bytes_of(&pieces), block_bytes))
}

/// Tells on the test's output why a part of it was left out.
pub(in crate::volume) fn left_out(why: &str) {
    eprintln!("NOT RUN: {why}");
}

/// The program, when it is installed; else tells so.
pub(in crate::volume) fn program(name: &str) -> Option<()> {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|folder| folder.join(name).is_file());
    if !found {
        left_out(&format!("{name} is not installed"));
    }
    found.then_some(())
}

/// Runs a program that must succeed.
pub(in crate::volume) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// Asks QEMU whether the file is sound and has exactly these bytes (and zeros up to a whole sector).
pub(super) fn assert_qemu_reads(path: &Path, format: &str, expected: &[u8]) {
    let name = path.to_str().unwrap();
    run("qemu-img", &["check", "-f", format, name]);
    let out = path.with_extension("converted");
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            format,
            "-O",
            "raw",
            name,
            out.to_str().unwrap(),
        ],
    );
    let mut padded = expected.to_vec();
    padded.resize(expected.len().next_multiple_of(512), 0);
    assert!(fs::read(&out).unwrap() == padded, "QEMU reads other bytes");
    fs::remove_file(out).unwrap();
}

/// A file system in a file, mounted as long as this lives.
pub(in crate::volume) struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    /// Makes and mounts it; tells why when it cannot.
    pub(in crate::volume) fn new(kind: &str, size_mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let point = folder.path().join("mnt");
        fs::create_dir(&point).unwrap();
        let mount = |arguments: &[&str]| {
            let output = Command::new("mount").args(arguments).arg(&point).output();
            match output {
                Ok(output) if output.status.success() => true,
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    left_out(&format!("cannot mount {kind} (needs root): {said}"));
                    false
                }
                Err(error) => {
                    left_out(&format!("cannot mount {kind}: {error}"));
                    false
                }
            }
        };
        let mounted = if kind == "tmpfs" {
            mount(&["-t", "tmpfs", "-o", &format!("size={size_mib}m"), "tmpfs"])
        } else {
            let make = format!("mkfs.{kind}");
            program(&make)?;
            fs::File::create(&image)
                .unwrap()
                .set_len(size_mib << 20)
                .unwrap();
            run(&make, &["-q", image.to_str().unwrap()]);
            mount(&["-o", "loop", image.to_str().unwrap()])
        };
        mounted.then_some(Self { folder })
    }

    pub(in crate::volume) fn path(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

/// A loop device over a file, as long as this lives.
pub(in crate::volume) struct LoopDevice {
    pub(in crate::volume) path: PathBuf,
}

impl LoopDevice {
    pub(in crate::volume) fn new(image: &Path) -> Option<Self> {
        let output = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(image)
            .output();
        match output {
            Ok(output) if output.status.success() => Some(Self {
                path: String::from_utf8(output.stdout).unwrap().trim().into(),
            }),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                left_out(&format!("no loop device (needs root): {said}"));
                None
            }
            Err(error) => {
                left_out(&format!("no loop device: {error}"));
                None
            }
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.path).output();
    }
}
