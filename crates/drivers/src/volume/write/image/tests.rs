//! Images as other programs see them.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::testing::{Filling, assert_qemu_reads, program, run};
use super::super::{Compression, DiskFormat, MemoryDisk, WriteProgress};
use super::*;

fn disk(seed: u64, bytes: usize) -> MemoryDisk {
    let mut content = vec![0; bytes];
    Filling::Random(seed).fill(&mut content[bytes / 4..bytes / 2]);
    Filling::Repetitive(seed).fill(&mut content[bytes / 2..bytes * 5 / 8]);
    MemoryDisk::new(content, 65_536)
}

fn spec<'a>(first: &'a MemoryDisk, second: &'a MemoryDisk) -> ImageSpec<'a> {
    ImageSpec {
        id: "img-abc1234".into(),
        name: "web & <database>".into(),
        source_instance: "i-abc1234".into(),
        point: "ss-abc1234".into(),
        created: "2026-11-21T17:00:00Z".into(),
        disks: vec![
            ImageDisk {
                volume: "vol-0000001".into(),
                name: "system".into(),
                content: first,
            },
            ImageDisk {
                volume: "vol-0000002".into(),
                name: "data".into(),
                content: second,
            },
        ],
    }
}

fn sha256_of(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

#[test]
fn a_folder_has_the_disks_in_order_with_their_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let (first, second) = (disk(1, 3_000_000), disk(2, 500_000));
    for format in [
        DiskFormat::Raw,
        DiskFormat::Vmdk,
        DiskFormat::Qcow2 {
            compression: Compression::Zlib,
        },
        DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        },
    ] {
        let layout = ImageLayout::Folder { disks: format };
        let manifest = write_image(
            &images,
            &spec(&first, &second),
            layout,
            &WriteProgress::new(),
        )
        .unwrap();
        let image = images.join("img-abc1234");
        assert_eq!(
            read_images(&images).unwrap(),
            std::slice::from_ref(&manifest)
        );
        assert_eq!(fs::read_dir(&image).unwrap().count(), 3);
        for (record, disk) in manifest.disks.iter().zip([&first, &second]) {
            let file = image.join(&record.file);
            assert_eq!(record.sha256, sha256_of(&file));
            assert_eq!(record.size_bytes, fs::metadata(&file).unwrap().len());
            if program("qemu-img").is_some() && format != DiskFormat::Raw {
                assert_qemu_reads(&file, &record.format, disk.bytes());
            }
        }
        fs::remove_dir_all(&image).unwrap();
    }
}

#[test]
fn an_ova_is_descriptor_checksums_and_disks_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (disk(1, 3_000_000), disk(2, 40_000_000));
    let manifest = write_image(
        folder.path(),
        &spec(&first, &second),
        ImageLayout::Ova,
        &WriteProgress::new(),
    )
    .unwrap();
    let ova = folder.path().join("img-abc1234/img-abc1234.ova");
    let archive = manifest.archive.unwrap();
    assert_eq!(archive.sha256, sha256_of(&ova));
    assert_eq!(archive.size_bytes, fs::metadata(&ova).unwrap().len());

    let list = run("tar", &["-tf", ova.to_str().unwrap()]);
    assert_eq!(
        list.lines().collect::<Vec<_>>(),
        [
            "img-abc1234.ovf",
            "img-abc1234.mf",
            "img-abc1234-disk-0.vmdk",
            "img-abc1234-disk-1.vmdk"
        ]
    );
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    run(
        "tar",
        &["-xf", ova.to_str().unwrap(), "-C", out.to_str().unwrap()],
    );
    let sums = fs::read_to_string(out.join("img-abc1234.mf")).unwrap();
    assert_eq!(sums.lines().count(), 3);
    for line in sums.lines() {
        let (name, sum) = line
            .strip_prefix("SHA256(")
            .and_then(|rest| rest.split_once(")= "))
            .unwrap();
        assert_eq!(sum, sha256_of(&out.join(name)), "{name}");
    }
    let ovf = fs::read_to_string(out.join("img-abc1234.ovf")).unwrap();
    assert!(ovf.contains("<Name>web &amp; &lt;database&gt;</Name>"));
    for record in &manifest.disks {
        assert!(ovf.contains(&format!("ovf:size=\"{}\"", record.size_bytes)));
        assert!(ovf.contains(&format!("ovf:capacity=\"{}\"", record.virtual_size_bytes)));
    }
    if program("xmllint").is_some() {
        run(
            "xmllint",
            &["--noout", out.join("img-abc1234.ovf").to_str().unwrap()],
        );
    }
    if program("qemu-img").is_some() {
        for (record, disk) in manifest.disks.iter().zip([&first, &second]) {
            assert_qemu_reads(&out.join(&record.file), "vmdk", disk.bytes());
        }
    }
}

#[test]
fn an_image_is_complete_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (disk(1, 300_000), disk(2, 300_000).failing_at(2));
    let raw = ImageLayout::Folder {
        disks: DiskFormat::Raw,
    };
    for layout in [raw, ImageLayout::Ova] {
        let progress = WriteProgress::new();
        write_image(folder.path(), &spec(&first, &second), layout, &progress).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let second = disk(2, 300_000);
    let progress = WriteProgress::new();
    write_image(folder.path(), &spec(&first, &second), raw, &progress).unwrap();
    let again = write_image(folder.path(), &spec(&first, &second), raw, &progress);
    assert!(again.unwrap_err().to_string().contains("exists"));
    assert_eq!(read_images(folder.path()).unwrap().len(), 1);
    assert_eq!(read_images(&folder.path().join("none")).unwrap(), []);
}

#[test]
fn an_id_is_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (disk(1, 1000), disk(2, 1000));
    for id in ["", "../x", ".hidden", "a/b", "a b"] {
        let mut spec = spec(&first, &second);
        spec.id = id.into();
        let layout = ImageLayout::Ova;
        write_image(folder.path(), &spec, layout, &WriteProgress::new()).unwrap_err();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
