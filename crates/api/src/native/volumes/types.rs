//! What goes over the wire about volumes, instances and their snapshots. The command line uses the same types to read it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::native::types::Job;

/// How a disk is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFormat {
    /// A file with the bytes of the disk.
    Raw,
    /// A block device.
    Block,
    /// A qcow2 file.
    Qcow2,
    /// An NBD export.
    Nbd,
}

/// How a volume came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file in the volumes folder.
    Found,
    /// Added through an API or the command line.
    Added,
    /// Declared in the configuration.
    Configured,
}

/// How a volume does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeStatus {
    /// It can be snapshotted.
    Available,
    /// A rollback of it has to be finished first.
    Suspended,
    /// Nothing is where it should be.
    Missing,
}

/// How a rollback writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackMode {
    /// A new file takes the place of the old one in one step. Regular files only; needs space for both.
    #[default]
    Swap,
    /// Blocks are written where they are, under a record that lets an interrupted rollback be finished.
    InPlace,
}

/// A disk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// `vol-` and seven characters.
    pub id: String,
    /// Name.
    pub name: String,
    /// How it is kept.
    pub format: VolumeFormat,
    /// Path, or NBD URI.
    pub location: String,
    /// Size of the disk, bytes.
    pub size_bytes: u64,
    /// How it came to be known.
    pub origin: Origin,
    /// The instance it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How it does.
    pub status: VolumeStatus,
    /// Why it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is snapshotted even while somebody writes to it and no consistent view can be had.
    pub allow_inconsistent: bool,
    /// How a rollback writes.
    pub rollback: RollbackMode,
}

/// All volumes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Volumes {
    /// Sorted by name.
    pub volumes: Vec<Volume>,
}

/// A disk to make known.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddVolume {
    /// Absolute path on the server, or NBD URI.
    pub location: String,
    /// Name; missing: that of the file.
    #[serde(default)]
    pub name: Option<String>,
    /// Its id, `vol-` and seven letters and digits; missing: a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// How it is kept; missing: what is found there.
    #[serde(default)]
    pub format: Option<VolumeFormat>,
    /// Whether it may be snapshotted while somebody writes to it and no consistent view can be had.
    #[serde(default)]
    pub allow_inconsistent: bool,
    /// How a rollback writes; missing: by swapping files, in place for everything else.
    #[serde(default)]
    pub rollback: Option<RollbackMode>,
}

/// Disks that belong together, with the host that uses them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// `i-` and seven characters.
    pub id: String,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Ids of its volumes, in order; the first is the boot disk.
    pub volumes: Vec<String>,
    /// How the host is stopped, started and frozen: `driver` is `none`, `hooks`, `qmp` or `libvirt`, with its settings beside.
    #[schema(value_type = Object)]
    pub host: Value,
    /// How it came to be known.
    pub origin: Origin,
}

/// All instances.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Instances {
    /// Sorted by name.
    pub instances: Vec<Instance>,
}

/// Disks to bring together.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddInstance {
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// Its id, `i-` and seven letters and digits; missing: a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// Its volumes by id or name, in order; the first is the boot disk.
    pub volumes: Vec<String>,
    /// How the host is stopped, started and frozen; missing: `{"driver": "none"}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub host: Option<Value>,
}

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// One volume.
    Volume,
    /// An instance with all its volumes.
    Instance,
}

/// The volume or instance that a snapshot is of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// Its name when the snapshot was taken.
    pub name: String,
    /// What it is.
    pub kind: ResourceKind,
}

/// How it was found out what has changed on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeSource {
    /// A dirty bitmap.
    Bitmap,
    /// Comparing the extents of the file with those of a reflink kept since the snapshot before.
    Reflink,
    /// The file's inode, size and times say that nothing has changed.
    Stat,
    /// Everything was read and compared.
    Scan,
}

/// What state of a disk was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Nobody had it open.
    Offline,
    /// Its file systems were frozen.
    Frozen,
    /// One moment, as after a power cut.
    Crash,
    /// Not one moment: it was written to while it was read.
    Inconsistent,
}

/// A disk in a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SnapshotDisk {
    /// Id of the volume.
    pub volume: String,
    /// Its name when the snapshot was taken.
    pub name: String,
    /// How it was kept.
    pub format: VolumeFormat,
    /// Size of the disk, bytes.
    pub size_bytes: u64,
    /// How it was found out what has changed.
    pub change_source: ChangeSource,
    /// Why not in a better way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was captured.
    pub consistency: Consistency,
    /// Bytes read from the disk.
    pub read_bytes: u64,
    /// Bytes that differ from the parent, or hold data where there is none.
    pub changed_bytes: u64,
    /// Bytes added to the repository for it.
    pub stored_bytes: u64,
}

/// Where a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotStatus {
    /// Being taken.
    Pending,
    /// Stored.
    Available,
    /// In a format that this version cannot read.
    Suspended,
    /// Deleted within the last two hours.
    Deleted,
    /// Failed.
    Ceased,
}

/// A snapshot of a volume or an instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VolumeSnapshot {
    /// `ss-` and seven characters.
    pub id: String,
    /// Repository that holds it.
    pub repository: String,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is of.
    pub resource: Resource,
    /// Whether it began a chain. It can be restored by itself either way.
    pub full: bool,
    /// The full snapshot its chain began with.
    pub root_id: String,
    /// The snapshot it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Whether the next increment hangs on it.
    pub is_head: bool,
    /// Whether its chain is the one in use.
    pub head_chain: bool,
    /// Where it stands.
    pub status: SnapshotStatus,
    /// Whether the moment it holds has been captured; from then on, writing may go on.
    pub taken: bool,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Accepted, milliseconds since 1970.
    pub created_ms: i64,
    /// The moment it holds, milliseconds since 1970.
    pub snapshot_ms: i64,
    /// Bytes it added to the repository.
    pub size_bytes: u64,
    /// Sizes of its disks together, bytes.
    pub virtual_size_bytes: u64,
    /// Bytes of all snapshots of the chain; on the full one.
    pub total_size_bytes: u64,
    /// Snapshots of the chain; on the full one.
    pub total_count: u64,
    /// Nobody can delete it before, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until_ms: Option<i64>,
    /// The job that takes it, or took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Its disks, in order; none until they are stored.
    pub disks: Vec<SnapshotDisk>,
}

/// A list of snapshots of volumes and instances.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VolumeSnapshots {
    /// The newest first.
    pub snapshots: Vec<VolumeSnapshot>,
    /// How many there are, those beyond the limit included.
    pub total: u64,
}

/// Which snapshots to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VolumeSnapshotFilter {
    /// Only those of this volume or instance.
    #[serde(default)]
    pub resource: Option<String>,
    /// Only full ones (`true`) or only increments (`false`).
    #[serde(default)]
    pub full: Option<bool>,
    /// `pending`, `available`, `suspended`, `deleted`, `ceased`; several separated by commas. Missing: all but the last two.
    #[serde(default)]
    pub status: Option<String>,
    /// Only those whose id, name, description or resource contains this.
    #[serde(default)]
    pub search: Option<String>,
    /// Only the increments of the chain that began with this one.
    #[serde(default)]
    pub root: Option<String>,
    /// So many are passed over.
    #[serde(default)]
    pub offset: u64,
    /// At most so many, up to 1,000; missing: 100.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Snapshots to take, all of one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVolumeSnapshots {
    /// Ids of volumes and instances.
    pub resources: Vec<String>,
    /// Name of the snapshots.
    #[serde(default)]
    pub name: String,
    /// Description of the snapshots.
    #[serde(default)]
    pub description: String,
    /// Whether to begin a new chain.
    #[serde(default)]
    pub full: bool,
    /// Whether to go on where no consistent view of a disk in use can be had; it is noted on the snapshot.
    #[serde(default)]
    pub allow_inconsistent: bool,
    /// Repository to keep them in; missing: that of the configuration.
    #[serde(default)]
    pub repository: Option<String>,
}

/// Another name or description.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameVolumeSnapshot {
    /// New name; missing: it stays.
    #[serde(default)]
    pub name: Option<String>,
    /// New description; missing: it stays.
    #[serde(default)]
    pub description: Option<String>,
}

/// How to delete.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteVolumeSnapshot {
    /// Whether the increments that were taken on top of it go too. Without, they stay, whole.
    #[serde(default)]
    pub cascade: bool,
}

/// How to roll back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyVolumeSnapshot {
    /// Further snapshots to apply in the same job; a host of several of them is stopped once.
    #[serde(default)]
    pub with: Vec<String>,
    /// Whether to take a snapshot of what is there first.
    #[serde(default)]
    pub safety_snapshot: bool,
}

/// A volume to make from a snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVolume {
    /// Its name.
    pub name: String,
}

/// How an image is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// A folder of qcow2 files compressed with zstd. QEMU 5.1 and later.
    #[default]
    Qcow2,
    /// A folder of qcow2 files compressed with zlib: slower to make, read by everything.
    Qcow2Zlib,
    /// A folder of sparse raw files.
    Raw,
    /// One `.ova` file with stream-optimised VMDK disks, for VMware and VirtualBox.
    Ova,
}

/// An image to make from a snapshot of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureImage {
    /// Its name.
    pub name: String,
    /// How it is kept.
    #[serde(default)]
    pub format: ImageFormat,
}

/// A disk of an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageDisk {
    /// The volume that it was.
    pub volume: String,
    /// Its file in the image.
    pub file: String,
    /// Size of the disk, bytes.
    pub size_bytes: u64,
    /// Size of the file, bytes; holes included.
    pub file_bytes: u64,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
}

/// An image of an instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// `img-` and seven characters.
    pub id: String,
    /// Name.
    pub name: String,
    /// How it is kept.
    pub format: ImageFormat,
    /// The snapshot it was made from.
    pub snapshot: String,
    /// The instance of that snapshot.
    pub instance: String,
    /// Complete since, milliseconds since 1970.
    pub created_ms: i64,
    /// The folder, or the `.ova` file, on the server.
    pub path: String,
    /// Its disks in order; the first is the boot disk.
    pub disks: Vec<ImageDisk>,
}

/// All images.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Images {
    /// The newest first.
    pub images: Vec<Image>,
}

/// A job that works on snapshots of volumes, as it was accepted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VolumeJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The snapshots that it makes or works on.
    pub snapshots: Vec<String>,
}
