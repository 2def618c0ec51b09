//! Writing a new disk file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::VolumeError;
use super::sink::{Sink, hash_file};
use super::staged::StagedFile;
use super::{DiskContent, WriteProgress, qcow2, raw, vmdk};

/// How clusters of a qcow2 file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all: best for a disk that is used afterwards.
    None,
    /// Deflate, which every QEMU reads; slow.
    Zlib,
    /// Zstandard: QEMU from 5.1.
    #[default]
    Zstd,
}

/// The format of a disk file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "format")]
pub enum DiskFormat {
    /// The bytes of the disk, holes as holes.
    Raw,
    /// qcow2 version 3 without a backing file; holes are unallocated.
    Qcow2 {
        /// How its clusters are compressed.
        compression: Compression,
    },
    /// VMDK of the kind `streamOptimized`, as OVA files carry it.
    Vmdk,
}

impl DiskFormat {
    /// The ending of such files, which is also the format's name for QEMU.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 { .. } => "qcow2",
            Self::Vmdk => "vmdk",
        }
    }

    /// The size that a disk of `size_bytes` has in such a file: qcow2 and VMDK have whole sectors only.
    pub fn virtual_size_bytes(self, size_bytes: u64) -> u64 {
        match self {
            Self::Raw => size_bytes,
            Self::Qcow2 { .. } | Self::Vmdk => vmdk::virtual_bytes(size_bytes),
        }
    }
}

/// Whether the SHA-256 of the written file is wanted. It costs a second pass over qcow2 files, and hashing the holes of raw
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Not wanted.
    Skip,
    /// Wanted.
    Sha256,
}

/// A disk file that was written and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenDisk {
    /// Where it is.
    pub path: PathBuf,
    /// Its length, in bytes (of a raw file with its holes).
    pub bytes: u64,
    /// The size of the disk in it, in bytes.
    pub virtual_size_bytes: u64,
    /// SHA-256 of the file in lower-case hexadecimal, when it was asked for.
    pub sha256: Option<String>,
}

/// Writes a new disk file at `path`, replacing a file of that name, and returns when it is durable.
///
/// It is written as `.NAME.snapkeep-new` in the same folder and renamed at the end: after an error or a crash `path` is as it was.
///
/// # Errors
/// [`VolumeError::NoSpace`], [`VolumeError::Cancelled`], or what reading the content and writing the file met.
pub fn write_disk(
    path: &Path,
    format: DiskFormat,
    checksum: Checksum,
    content: &dyn DiskContent,
    progress: &WriteProgress,
) -> Result<WrittenDisk, VolumeError> {
    progress.add_total(content.size_bytes());
    write_counted(path, format, checksum, content, progress)
}

/// As [`write_disk`] for a disk that is part of the total already.
pub(super) fn write_counted(
    path: &Path,
    format: DiskFormat,
    checksum: Checksum,
    content: &dyn DiskContent,
    progress: &WriteProgress,
) -> Result<WrittenDisk, VolumeError> {
    let staged = StagedFile::begin(path)?;
    let (file, temporary) = (staged.file(), staged.temporary());
    let virtual_size_bytes = format.virtual_size_bytes(content.size_bytes());
    let sha256 = match format {
        DiskFormat::Raw => raw::write(file, temporary, checksum, content, progress)?,
        DiskFormat::Qcow2 { compression } => {
            qcow2::write(file, temporary, content, compression, progress)?;
            match checksum {
                Checksum::Sha256 => Some(hash_file(file, temporary, progress)?),
                Checksum::Skip => None,
            }
        }
        DiskFormat::Vmdk => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let mut sink = Sink::new(file, temporary, 0, checksum);
            vmdk::write(&mut sink, &name, content, progress)?;
            sink.finish()
        }
    };
    let bytes = file
        .metadata()
        .map_err(VolumeError::io("look at", temporary))?
        .len();
    staged.commit()?;
    Ok(WrittenDisk {
        path: path.to_path_buf(),
        bytes,
        virtual_size_bytes,
        sha256,
    })
}
