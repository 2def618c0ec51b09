//! The words of the volume drivers: what a disk is, who uses it, and what is remembered of it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a volume's bytes are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFormat {
    /// A regular file that holds the disk's bytes as they are.
    Raw,
    /// A block device.
    Block,
    /// A qcow2 image file.
    Qcow2,
    /// Something behind an NBD server.
    Nbd,
}

impl VolumeFormat {
    /// The word used in descriptions and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Block => "block",
            Self::Qcow2 => "qcow2",
            Self::Nbd => "nbd",
        }
    }
}

impl fmt::Display for VolumeFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A disk: which volume it is and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSource {
    /// The volume's id, `vol-…`; names files beside the disk and appears in errors.
    pub volume: String,
    /// What kind of location it is.
    pub format: VolumeFormat,
    /// Absolute path, or NBD URI.
    pub location: String,
}

/// What was found at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedDisk {
    /// What it is.
    pub format: VolumeFormat,
    /// Size as its host sees it, in bytes.
    pub size_bytes: u64,
}

/// A stretch of a disk that is known to read as zeroes, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The bytes it covers; never empty.
    pub range: Range<u64>,
    /// True: reads as zeroes and need not be read. False: has to be read, may be zeroes all the same.
    pub zero: bool,
}

/// How it was found out what changed since the parent snapshot. Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeSource {
    /// A dirty bitmap kept by QEMU.
    Bitmap,
    /// Comparing the extents of two reflink clones.
    Reflink,
    /// Same file, same size, same times: nothing changed.
    Stat,
    /// Reading everything and comparing digests.
    Scan,
}

impl ChangeSource {
    /// The word used in descriptions and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::Reflink => "reflink",
            Self::Stat => "stat",
            Self::Scan => "scan",
        }
    }
}

/// What a captured image is worth. Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Nobody had the disk open for writing.
    Offline,
    /// Taken while the host's file systems were frozen.
    Frozen,
    /// What a power cut at that moment would have left.
    Crash,
    /// Read while it was written to; only taken when explicitly allowed.
    Inconsistent,
}

impl Consistency {
    /// The word used in descriptions and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Frozen => "frozen",
            Self::Crash => "crash",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// Which method a [`DiskToken`] belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A persistent bitmap in a qcow2 image.
    Bitmap,
    /// A reflink clone kept beside the disk.
    Reflink,
    /// Inode, size and times of the disk's file.
    Stat,
    /// A bitmap in a running QEMU.
    Qmp,
}

impl TokenKind {
    /// The word used in reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::Reflink => "reflink",
            Self::Stat => "stat",
            Self::Qmp => "qmp",
        }
    }
}

/// What a driver remembers of a disk in order to tell next time what changed since one snapshot. The caller keeps it, hands it
/// back unchanged, and only when `snapshot` is the parent of the snapshot to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskToken {
    /// The method it belongs to.
    pub kind: TokenKind,
    /// What the driver recognises its own traces by; opaque to the caller.
    pub identity: serde_json::Value,
    /// Size of the disk at that snapshot.
    pub size_bytes: u64,
    /// UUID of the engine snapshot that it starts from.
    pub snapshot: String,
}

/// How somebody uses a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskUserKind {
    /// A process has it open for writing, or mapped writable.
    Process,
    /// A QEMU program holds its image lock for writing.
    QemuLock,
    /// A loop device is set up on it.
    Loop,
    /// It is mounted, or used as swap.
    Mount,
    /// Another block device is built on it.
    Holder,
    /// The host that it belongs to says that it runs.
    Host,
}

/// Somebody who may write to a disk now.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DiskUser {
    /// In which way.
    pub kind: DiskUserKind,
    /// Name of the program, mount point, or device.
    pub name: String,
    /// Its process, where it is one.
    pub pid: Option<u32>,
}

impl fmt::Display for DiskUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.pid) {
            (DiskUserKind::Process, Some(pid)) => {
                write!(formatter, "process {} (pid {pid})", self.name)
            }
            (DiskUserKind::Process, None) => write!(formatter, "process {}", self.name),
            (DiskUserKind::QemuLock, _) => write!(formatter, "a QEMU program ({})", self.name),
            (DiskUserKind::Loop, _) => write!(formatter, "loop device {}", self.name),
            (DiskUserKind::Mount, _) => write!(formatter, "mount {}", self.name),
            (DiskUserKind::Holder, _) => write!(formatter, "block device {}", self.name),
            (DiskUserKind::Host, _) => write!(formatter, "running host {}", self.name),
        }
    }
}
