//! Descriptions of volumes, instances and points, and how a disk is cut.
//!
//! A disk is cut into aligned blocks, and after every [`PIECE_BLOCKS`] blocks into pieces. Each piece is a file in a directory of
//! its own, so that an unchanged piece costs one reference and no tree grows with the disk.

use serde::{Deserialize, Serialize};

use crate::model::{ChangeSource, Consistency, HostSpec, PointResource, VolumeFormat};

/// Folder of volumes in the root of a snapshot.
pub(crate) const VOLUMES_DIRECTORY: &str = "volumes";
/// Folder of instances in the root of a snapshot.
pub(crate) const INSTANCES_DIRECTORY: &str = "instances";
/// Name of the description of a volume.
pub(crate) const VOLUME_FILE: &str = "volume.json";
/// Name of the description of an instance.
pub(crate) const INSTANCE_FILE: &str = "instance.json";
/// Name of the file that a piece of a disk is.
pub(crate) const DISK_FILE: &str = "disk.raw";
/// Blocks in a piece.
pub(crate) const PIECE_BLOCKS: u64 = 16_384;

/// Size of the blocks of a disk, bytes: small enough to store little more than what changed, large enough that a disk has some
/// million blocks at most.
pub(crate) fn block_bytes(disk_bytes: u64) -> u64 {
    const TIB: u64 = 1 << 40;
    if disk_bytes <= TIB {
        256 << 10
    } else if disk_bytes <= 4 * TIB {
        512 << 10
    } else {
        1 << 20
    }
}

/// The directory of a piece.
pub(crate) fn piece_directory(number: u64) -> String {
    format!("disk-{number:04}")
}

/// `volume.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VolumeDescription {
    /// [`super::VOLUMES_FORMAT`].
    pub(crate) layout: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    /// What the source was.
    pub(crate) format: VolumeFormat,
    pub(crate) size_bytes: u64,
    pub(crate) block_bytes: u64,
    pub(crate) piece_bytes: u64,
    pub(crate) change_source: ChangeSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    pub(crate) consistency: Consistency,
}

/// `instance.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceDescription {
    /// [`super::VOLUMES_FORMAT`].
    pub(crate) layout: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Volumes in order.
    pub(crate) disks: Vec<String>,
    pub(crate) host: HostSpec,
}

/// The point that a snapshot is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointRecord {
    pub(crate) id: String,
    /// As it was named when it was made.
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) resource: PointResource,
    /// The points it hangs on, oldest first: the full one, …, its parent. Empty for a full one.
    #[serde(default)]
    pub(crate) ancestors: Vec<String>,
    pub(crate) create_ms: i64,
    /// The moment that it shows.
    pub(crate) snapshot_ms: i64,
    /// The job that made it.
    pub(crate) job_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_disks_have_larger_blocks() {
        let tib = 1 << 40;
        assert_eq!(block_bytes(0), 262_144);
        assert_eq!(block_bytes(tib), 262_144);
        assert_eq!(block_bytes(tib + 1), 524_288);
        assert_eq!(block_bytes(4 * tib), 524_288);
        assert_eq!(block_bytes(4 * tib + 512), 1_048_576);
    }

    #[test]
    fn pieces_sort_by_their_number() {
        assert_eq!(piece_directory(0), "disk-0000");
        assert!(piece_directory(9) < piece_directory(10));
    }
}
