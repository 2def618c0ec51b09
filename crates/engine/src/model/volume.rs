//! Volumes, instances and their points.

use serde::{Deserialize, Serialize};
use snapkeep_drivers::volume::host::HostSpec;
use snapkeep_drivers::volume::write::RollbackMode;
use snapkeep_drivers::volume::{ChangeSource, Consistency, VolumeFormat};

/// Where a volume or an instance is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeOrigin {
    /// A file in the folder of volumes or of instances.
    Found,
    /// Added with the API or on the command line.
    Added,
    /// In the configuration.
    Configured,
}

/// Whether a volume can be worked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum VolumeStatus {
    /// It is there.
    Available,
    /// Something was begun with it and has to be finished first; the reason says what.
    Suspended {
        /// What, and what to do.
        reason: String,
    },
    /// What it is declared to be is not there.
    Missing,
}

/// A volume: a raw file, a block device, a qcow2 file or a disk behind NBD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// `vol-` and seven characters. Stays.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it is.
    pub format: VolumeFormat,
    /// Absolute path, or the URI of an NBD server.
    pub location: String,
    /// Its size as a disk, bytes; 0 = not known, because it is missing or cannot be reached.
    pub size_bytes: u64,
    /// Where it is declared.
    pub origin: VolumeOrigin,
    /// The instance it belongs to.
    pub instance: Option<String>,
    /// Whether it can be worked with.
    pub status: VolumeStatus,
    /// Whether it may be captured without a consistent view while something writes to it.
    pub allow_inconsistent: bool,
    /// How it is rolled back.
    pub rollback: RollbackMode,
}

/// A volume to be added, or one of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddVolume {
    /// Its id (`vol-` and seven letters or digits). None: one is chosen.
    #[serde(default)]
    pub id: Option<String>,
    /// Name for people. None: the end of its location.
    #[serde(default)]
    pub name: Option<String>,
    /// Absolute path, or the URI of an NBD server (`nbd://`, `nbd+unix://`).
    pub location: String,
    /// What it is. None: what is found there decides.
    #[serde(default)]
    pub format: Option<VolumeFormat>,
    /// Whether it may be captured without a consistent view while something writes to it.
    #[serde(default)]
    pub allow_inconsistent: bool,
    /// How it is rolled back. None: a regular file is swapped, everything else is written in place.
    #[serde(default)]
    pub rollback: Option<RollbackMode>,
}

/// An instance: volumes in their order, and a way to stop, start and freeze what uses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// `i-` and seven characters. Stays.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Description for people.
    pub description: String,
    /// Its volumes by id; the first one is booted from.
    pub volumes: Vec<String>,
    /// How it is stopped, started and frozen.
    pub host: HostSpec,
    /// Where it is declared.
    pub origin: VolumeOrigin,
}

/// An instance to be added, or one of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddInstance {
    /// Its id (`i-` and seven letters or digits). None: one is chosen.
    #[serde(default)]
    pub id: Option<String>,
    /// Name for people.
    pub name: String,
    /// Description for people.
    #[serde(default)]
    pub description: String,
    /// Its volumes, by id or name, in their order.
    pub volumes: Vec<String>,
    /// How it is stopped, started and frozen.
    #[serde(flatten)]
    pub host: HostSpec,
}

/// What a point is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// One volume.
    Volume,
    /// An instance with all its disks.
    Instance,
}

impl PointKind {
    /// The word used in the catalogue and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Instance => "instance",
        }
    }
}

/// The volume or instance that a point is of, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointResource {
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: String,
    /// What it is.
    pub kind: PointKind,
}

/// A disk in a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointDisk {
    /// The volume.
    pub volume: String,
    /// Its name then.
    pub name: String,
    /// What it was then.
    pub format: VolumeFormat,
    /// Its size, bytes.
    pub size_bytes: u64,
    /// How it was found out what changed.
    pub change_source: ChangeSource,
    /// Why it was not found out in a better way.
    pub reason: Option<String>,
    /// How consistent the view was.
    pub consistency: Consistency,
    /// Bytes that were read from the source.
    pub read_bytes: u64,
    /// Bytes that differ from the parent, or hold data where there is no parent.
    pub changed_bytes: u64,
    /// Bytes that its new blobs take in the repository.
    pub stored_bytes: u64,
}

/// Where a point stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointStatus {
    /// Being made.
    Pending,
    /// Complete and proved.
    Available,
    /// It is there and this version cannot read it.
    Suspended,
    /// Deleted within the last two hours.
    Deleted,
    /// It could not be made; the reason says why.
    Ceased,
}

impl PointStatus {
    /// The word used in the catalogue and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Ceased => "ceased",
        }
    }

    /// Whether it is a member of its chain.
    pub fn is_living(self) -> bool {
        matches!(self, Self::Pending | Self::Available | Self::Suspended)
    }
}

/// What a point is on the way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointTransition {
    /// From pending to available.
    Creating,
    /// From available to deleted.
    Deleting,
}

/// A point: a volume or an instance as it was at a moment. Each can be restored by itself; the chain is what lists show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointInfo {
    /// `ss-` and seven of `A-Z0-9`.
    pub id: String,
    /// The repository that holds it.
    pub repository: String,
    /// Uuid of the snapshot that it is in the repository.
    pub snapshot_uuid: String,
    /// Name for people.
    pub name: String,
    /// Description for people.
    pub description: String,
    /// What it is of.
    pub resource: PointResource,
    /// Its disks in order; empty until they are stored.
    pub disks: Vec<PointDisk>,
    /// Whether it begins a chain.
    pub full: bool,
    /// The full point of its chain; of a full point its own id.
    pub root_id: String,
    /// The point before it; none for a full point.
    pub parent_id: Option<String>,
    /// Whether the next increment hangs on it.
    pub is_head: bool,
    /// Whether its chain is the one in use.
    pub head_chain: bool,
    /// Where it stands.
    pub status: PointStatus,
    /// What it is on the way to.
    pub transition: Option<PointTransition>,
    /// Whether the capture is done: from then on the source may change.
    pub taken: bool,
    /// When it was asked for, milliseconds since 1970.
    pub create_ms: i64,
    /// When its status last changed.
    pub status_ms: i64,
    /// The moment that it shows; the same for all of one call.
    pub snapshot_ms: i64,
    /// Bytes that it added to the repository.
    pub size_bytes: u64,
    /// Bytes of its disks.
    pub virtual_size_bytes: u64,
    /// Bytes that all points of its chain added.
    pub total_size_bytes: u64,
    /// Number of points in its chain.
    pub total_count: u64,
    /// The youngest moment in its chain.
    pub latest_ms: i64,
    /// It may not be deleted before this moment.
    pub locked_until_ms: Option<i64>,
    /// Why it is ceased or suspended.
    pub reason: Option<String>,
    /// The job that makes it, or made it.
    pub job_id: Option<String>,
}

/// What points are to be made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreatePoints {
    /// Where to. None: the repository of points, made when there is none.
    pub repository: Option<String>,
    /// Ids of volumes and instances; one moment is captured for all of them.
    pub resources: Vec<String>,
    /// Name of all the points.
    pub name: String,
    /// Description of all the points.
    pub description: String,
    /// Whether new chains begin.
    pub full: bool,
    /// Whether volumes in use may be captured without a consistent view, whatever they are declared to allow.
    pub allow_inconsistent: bool,
}

/// An accepted job on points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsTicket {
    /// The job.
    pub job_id: String,
    /// The points that it makes, deletes or reads.
    pub points: Vec<String>,
    /// All ids that it makes, removes or writes to: points, volumes, images.
    pub resources: Vec<String>,
}

/// Which points to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PointQuery {
    /// Only these ids. Empty: all.
    pub ids: Vec<String>,
    /// Only those of this volume or instance.
    pub resource: Option<String>,
    /// Only full ones, or only increments.
    pub full: Option<bool>,
    /// Only those in one of these states. Empty: all but deleted and ceased ones, unless they are asked for by id.
    pub statuses: Vec<PointStatus>,
    /// Only those whose id, name, description or resource contains this, in any case.
    pub search: Option<String>,
    /// Only those in the chain of this full point, without the full point itself.
    pub root: Option<String>,
    /// So many are left out.
    pub offset: usize,
    /// So many are given at most.
    pub limit: usize,
}

/// Points that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PointPage {
    /// Youngest first.
    pub points: Vec<PointInfo>,
    /// Number of all that match.
    pub total: usize,
}
