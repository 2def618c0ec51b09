//! An OVA: a ustar archive of the descriptor, the checksums and the disks, in this order.
//!
//! Descriptor and checksums are known only when the disks are written. So room is left for them at the beginning and filled at the
//! end, and no disk is written twice: the descriptor is at its longest when all numbers have all their digits, and what it is
//! shorter is filled with line ends; the length of the checksums is known.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::super::super::VolumeError;
use super::super::sink::{Sink, hash_file};
use super::super::staged::failed;
use super::super::{Checksum, DiskFormat, WriteProgress, vmdk};
use super::manifest::{ImageDiskRecord, ImageFile, ImageSpec};
use super::ovf::{OvfDisk, descriptor};
use super::tar;

/// Nobody else's business, as all disks.
const MODE: u32 = 0o600;

/// Writes `ID.ova` into `folder`, durable, and returns its disks and itself.
pub(super) fn write(
    folder: &Path,
    spec: &ImageSpec<'_>,
    progress: &WriteProgress,
) -> Result<(Vec<ImageDiskRecord>, ImageFile), VolumeError> {
    let name = format!("{}.ova", spec.id);
    let path = folder.join(&name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&path)
        .map_err(failed("create", &path))?;
    let modified_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let write_at = |data: &[u8], position: u64| {
        file.write_all_at(data, position)
            .map_err(failed(format!("write at {position} of"), &path))
    };

    let ovf_name = format!("{}.ovf", spec.id);
    let mf_name = format!("{}.mf", spec.id);
    let disk_name = |number: usize| format!("{}-disk-{number}.vmdk", spec.id);
    let title = match spec.name.is_empty() {
        true => &spec.id,
        false => &spec.name,
    };
    let longest: Vec<OvfDisk> = (0..spec.disks.len())
        .map(|number| OvfDisk {
            file: disk_name(number),
            file_bytes: u64::MAX,
            virtual_bytes: u64::MAX,
        })
        .collect();
    let ovf_bytes = descriptor(title, &longest).len() as u64;
    let no_sum = hex::encode([0; 32]);
    let mut mf_bytes = checksum_line(&ovf_name, &no_sum).len();
    for disk in &longest {
        mf_bytes += checksum_line(&disk.file, &no_sum).len();
    }
    let mf_bytes = mf_bytes as u64;
    let mf_header_at = tar::HEADER_BYTES + tar::padded(ovf_bytes);
    let mut position = mf_header_at + tar::HEADER_BYTES + tar::padded(mf_bytes);

    let mut records = Vec::new();
    let mut ovf_disks = Vec::new();
    for (number, disk) in spec.disks.iter().enumerate() {
        let disk_file = disk_name(number);
        let start = position + tar::HEADER_BYTES;
        let mut sink = Sink::new(&file, &path, start, Checksum::Sha256);
        vmdk::write(&mut sink, &disk_file, disk.content, progress)?;
        let bytes = sink.written();
        write_at(&tar::header(&disk_file, bytes, modified_s), position)?;
        position = start + tar::padded(bytes);
        let virtual_bytes = DiskFormat::Vmdk.virtual_size_bytes(disk.content.size_bytes());
        ovf_disks.push(OvfDisk {
            file: disk_file.clone(),
            file_bytes: bytes,
            virtual_bytes,
        });
        records.push(ImageDiskRecord {
            volume: disk.volume.clone(),
            name: disk.name.clone(),
            file: disk_file,
            format: DiskFormat::Vmdk.extension().into(),
            size_bytes: bytes,
            virtual_size_bytes: virtual_bytes,
            sha256: sink.finish().unwrap_or_default(),
        });
    }

    let mut ovf = descriptor(title, &ovf_disks).into_bytes();
    ovf.resize(ovf_bytes as usize, b'\n');
    let mut mf = checksum_line(&ovf_name, &hex::encode(Sha256::digest(&ovf)));
    for disk in &records {
        mf.push_str(&checksum_line(&disk.file, &disk.sha256));
    }
    write_at(&tar::header(&ovf_name, ovf_bytes, modified_s), 0)?;
    write_at(&ovf, tar::HEADER_BYTES)?;
    write_at(&tar::header(&mf_name, mf_bytes, modified_s), mf_header_at)?;
    write_at(mf.as_bytes(), mf_header_at + tar::HEADER_BYTES)?;
    let size_bytes = position + tar::END_BYTES;
    file.set_len(size_bytes)
        .map_err(failed("set the size of", &path))?;
    file.sync_all().map_err(failed("make durable", &path))?;
    let sha256 = hash_file(&file, &path, progress)?;
    let archive = ImageFile {
        file: name,
        size_bytes,
        sha256,
    };
    Ok((records, archive))
}

/// A line of the file of checksums.
fn checksum_line(file: &str, sha256: &str) -> String {
    format!("SHA256({file})= {sha256}\n")
}
