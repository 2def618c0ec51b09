//! Disk files as they are written and as QEMU reads them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::testing::{Mounted, assert_qemu_reads, disks, program};
use super::*;
use crate::volume::VolumeError;

const ALL_QCOW2: [Compression; 3] = [Compression::None, Compression::Zlib, Compression::Zstd];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_raw_file_has_the_bytes_and_the_checksum(content in disks(20_000)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let progress = WriteProgress::new();
        let written =
            write_disk(&path, DiskFormat::Raw, Checksum::Sha256, &content, &progress).unwrap();
        prop_assert!(fs::read(&path).unwrap() == content.bytes());
        let sum = hex::encode(Sha256::digest(content.bytes()));
        prop_assert_eq!(written.sha256, Some(sum));
        prop_assert_eq!(written.bytes, content.size_bytes());
        let counts = progress.counts();
        prop_assert_eq!(counts.done_bytes, content.size_bytes());
        prop_assert_eq!(counts.total_bytes, content.size_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn qemu_reads_the_same_bytes_from_qcow2_and_vmdk(content in disks(90_000)) {
        if program("qemu-img").is_none() {
            return Ok(());
        }
        let folder = tempfile::tempdir().unwrap();
        let qcow2 = ALL_QCOW2.map(|compression| DiskFormat::Qcow2 { compression });
        let is_empty = content.size_bytes() == 0;
        let vmdk = (!is_empty).then_some(DiskFormat::Vmdk);
        for format in qcow2.into_iter().chain(vmdk) {
            let path = folder.path().join(format!("disk.{}", format.extension()));
            let progress = WriteProgress::new();
            let written =
                write_disk(&path, format, Checksum::Sha256, &content, &progress).unwrap();
            assert_qemu_reads(&path, format.extension(), content.bytes());
            let file = fs::read(&path).unwrap();
            prop_assert_eq!(written.sha256, Some(hex::encode(Sha256::digest(&file))));
            prop_assert_eq!(written.bytes, file.len() as u64);
            prop_assert_eq!(progress.counts().done_bytes, content.size_bytes());
        }
    }
}

/// A large disk with a few blocks of data.
struct Sparse {
    size_bytes: u64,
    data: Vec<u64>,
}

impl Sparse {
    fn fill(block: u64, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(1 << 20, 0);
        testing::Filling::Random(block).fill(buffer);
    }
}

impl DiskContent for Sparse {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
    fn block_bytes(&self) -> u64 {
        1 << 20
    }
    fn is_hole(&self, block: u64) -> bool {
        !self.data.contains(&block)
    }
    fn matches(&self, block: u64, data: &[u8]) -> bool {
        let mut expected = Vec::new();
        Self::fill(block, &mut expected);
        expected == data
    }
    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        Self::fill(block, buffer);
        Ok(())
    }
}

#[test]
fn a_large_sparse_disk_makes_small_files() {
    let folder = tempfile::tempdir().unwrap();
    let content = Sparse {
        size_bytes: 1 << 40,
        data: vec![0, 1, 700, 500_000, (1 << 20) - 1],
    };
    let raw = folder.path().join("disk.raw");
    write_disk(
        &raw,
        DiskFormat::Raw,
        Checksum::Skip,
        &content,
        &WriteProgress::new(),
    )
    .unwrap();
    let found = fs::metadata(&raw).unwrap();
    assert_eq!(found.len(), 1 << 40);
    assert!(found.blocks() * 512 < 6 << 20);
    if program("qemu-img").is_none() {
        return;
    }
    let qcow2 = ALL_QCOW2.map(|compression| DiskFormat::Qcow2 { compression });
    for format in qcow2.into_iter().chain([DiskFormat::Vmdk]) {
        let path = folder.path().join(format!("disk.{}", format.extension()));
        let progress = WriteProgress::new();
        let written = write_disk(&path, format, Checksum::Skip, &content, &progress).unwrap();
        assert!(written.bytes < 7 << 20, "{format:?}: {}", written.bytes);
        let (path, raw) = (path.to_str().unwrap(), raw.to_str().unwrap());
        testing::run("qemu-img", &["check", "-f", format.extension(), path]);
        let said = testing::run(
            "qemu-img",
            &["compare", "-f", "raw", "-F", format.extension(), raw, path],
        );
        assert!(said.contains("identical"), "{format:?}: {said}");
    }
}

#[test]
fn a_disk_without_bytes_is_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let content = MemoryDisk::new(Vec::new(), 4096);
    for format in [
        DiskFormat::Raw,
        DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        },
    ] {
        let path = folder.path().join("disk");
        let progress = WriteProgress::new();
        let written = write_disk(&path, format, Checksum::Sha256, &content, &progress).unwrap();
        assert_eq!(written.virtual_size_bytes, 0);
        if format != DiskFormat::Raw && program("qemu-img").is_some() {
            assert_qemu_reads(&path, format.extension(), &[]);
        }
    }
    let path = folder.path().join("disk.vmdk");
    let progress = WriteProgress::new();
    let refused = write_disk(&path, DiskFormat::Vmdk, Checksum::Skip, &content, &progress);
    assert!(matches!(refused, Err(VolumeError::Unsupported { .. })));
}

#[test]
fn what_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    fs::write(&path, "old").unwrap();
    let content = MemoryDisk::new(vec![3; 1 << 20], 65_536).failing_at(9);
    for format in [
        DiskFormat::Raw,
        DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        },
        DiskFormat::Vmdk,
    ] {
        let progress = WriteProgress::new();
        let failed = write_disk(&path, format, Checksum::Sha256, &content, &progress);
        assert!(matches!(failed, Err(VolumeError::Io { .. })), "{failed:?}");
        progress.cancel();
        let cancelled = write_disk(&path, format, Checksum::Sha256, &content, &progress);
        assert!(matches!(cancelled, Err(VolumeError::Cancelled)));
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_full_file_system_is_told_as_such() {
    let Some(mounted) = Mounted::new("tmpfs", 1) else {
        return;
    };
    let mut bytes = vec![0; 4 << 20];
    testing::Filling::Random(3).fill(&mut bytes);
    let content = MemoryDisk::new(bytes, 65_536);
    for format in [
        DiskFormat::Raw,
        DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        },
        DiskFormat::Vmdk,
    ] {
        let path = mounted.path().join("disk");
        let progress = WriteProgress::new();
        let failed = write_disk(&path, format, Checksum::Skip, &content, &progress).unwrap_err();
        assert!(matches!(failed, VolumeError::NoSpace { .. }), "{failed:?}");
        assert_eq!(fs::read_dir(mounted.path()).unwrap().count(), 0);
    }
}
