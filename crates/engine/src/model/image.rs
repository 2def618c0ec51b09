//! Images: what the point of an instance becomes when it is captured, and where it is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How an image is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// A folder of qcow2 files compressed with Zstandard. QEMU reads them from 5.1 on.
    #[default]
    Qcow2,
    /// A folder of qcow2 files compressed with zlib: slower to make, read by everything.
    Qcow2Zlib,
    /// A folder of sparse raw files.
    Raw,
    /// One `.ova` file with stream-optimised VMDK disks, for VMware and VirtualBox.
    Ova,
}

impl ImageFormat {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Qcow2Zlib => "qcow2_zlib",
            Self::Raw => "raw",
            Self::Ova => "ova",
        }
    }
}

/// A disk of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDisk {
    /// The volume that it was.
    pub volume: String,
    /// Its file in the image.
    pub file: String,
    /// Size of the disk, bytes.
    pub size_bytes: u64,
    /// Size of the file, bytes; of a sparse one, holes included.
    pub file_bytes: u64,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
}

/// An image of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// `img-` and 7 of `A-Z0-9`.
    pub id: String,
    /// As it was named when it was captured.
    pub name: String,
    /// How it is kept.
    pub format: ImageFormat,
    /// The point it was made from.
    pub point: String,
    /// The instance of that point.
    pub instance: String,
    /// When it was complete, milliseconds since 1970.
    pub created_ms: i64,
    /// The folder, or the `.ova` file.
    pub path: PathBuf,
    /// In the order of the instance: the first one is booted from.
    pub disks: Vec<ImageDisk>,
}
