//! Snapshots: requests, results and progress.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapkeep_drivers::{ResourceKind, TenantStatus};

/// What the engine asks of the name of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRules {
    /// Elasticsearch's: date math is resolved, names are in lower case and free of what file names and lists cannot hold.
    #[default]
    Elasticsearch,
    /// The dialect has checked the name by rules of its own and it is taken as it is: 1 to 1024 bytes without control characters.
    Free,
}

/// What a client wants snapshotted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateSnapshot {
    /// Name, possibly date math (`<snap-{now/d}>`); checked and resolved by the engine as `naming` says.
    pub name: String,
    /// Concrete names of indices, already resolved.
    pub indices: Vec<String>,
    /// Concrete names of collections. One moment is captured for all indices and collections.
    pub collections: Vec<String>,
    /// Whether shards that cannot be read make the snapshot PARTIAL (true) or FAILED (false).
    pub partial: bool,
    /// Whether templates and cluster settings are included.
    pub include_global_state: bool,
    /// Whatever the client wants kept with the snapshot.
    pub metadata: Option<Map<String, Value>>,
    /// The policy that takes it.
    pub policy: Option<String>,
    /// Rules of its name.
    pub naming: NameRules,
}

/// An accepted snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTicket {
    /// Repository it goes to.
    pub repository: String,
    /// Its name, date math resolved.
    pub name: String,
    /// Its uuid: 22 characters of URL-safe base64.
    pub uuid: String,
    /// The job that takes it.
    pub job_id: String,
}

/// State of a snapshot as clients know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SnapshotState {
    /// Being taken.
    #[default]
    InProgress,
    /// Complete and proved.
    Success,
    /// Nothing in it can be restored; the reason says why.
    Failed,
    /// Some shards are missing; the failures say which and why.
    Partial,
    /// Written in a format this version cannot read.
    Incompatible,
}

impl SnapshotState {
    /// The word used on the wire, e.g. `IN_PROGRESS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Partial => "PARTIAL",
            Self::Incompatible => "INCOMPATIBLE",
        }
    }
}

/// One index inside a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotIndex {
    /// Name at the time of the snapshot.
    pub name: String,
    /// Uuid of the index at that time.
    pub uuid: String,
    /// Number of primary shards.
    pub shard_count: u32,
    /// Live documents in the shards that were captured.
    pub documents: u64,
    /// Plain bytes of all files of the index in the snapshot (more than 0 even for an empty index).
    pub size_bytes: u64,
    /// Segments of the shard that has most.
    pub max_segments_per_shard: u64,
}

/// One collection inside a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCollection {
    /// Name at the time of the snapshot.
    pub name: String,
    /// Uuid of the collection at that time.
    pub uuid: String,
    /// Whether its shards are tenants.
    pub multi_tenant: bool,
    /// Names of its shards or tenants.
    pub shards: Vec<String>,
    /// Shards whose objects are not in the snapshot although it is complete, and why: frozen tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutShard>,
    /// Live objects in the shards that were captured.
    pub documents: u64,
    /// Plain bytes of all files of the collection in the snapshot (more than 0 even for an empty one).
    pub size_bytes: u64,
    /// Segments of the shard that has most.
    pub max_segments_per_shard: u64,
}

/// A shard of a collection of which a snapshot has only the name and the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutShard {
    /// Name of the shard.
    pub shard: String,
    /// Its status.
    pub status: TenantStatus,
    /// Why its objects are not in the snapshot.
    pub reason: String,
}

/// Why a shard is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFailure {
    /// Kind of the resource it belongs to.
    #[serde(default, skip_serializing_if = "ResourceKind::is_index")]
    pub kind: ResourceKind,
    /// Index or collection it belongs to.
    pub index: String,
    /// Uuid of that.
    pub index_uuid: String,
    /// Number of the shard; its position in a collection.
    pub shard: u32,
    /// Name of the shard of a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_name: Option<String>,
    /// What went wrong.
    pub reason: String,
}

/// A snapshot as the catalogue knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Repository that holds it.
    pub repository: String,
    /// Name.
    pub name: String,
    /// Uuid: 22 characters of URL-safe base64.
    pub uuid: String,
    /// State.
    pub state: SnapshotState,
    /// Why it is FAILED.
    pub reason: Option<String>,
    /// Its indices, sorted by name.
    pub indices: Vec<SnapshotIndex>,
    /// Its collections, sorted by name.
    #[serde(default)]
    pub collections: Vec<SnapshotCollection>,
    /// The policy that took it.
    #[serde(default)]
    pub policy: Option<String>,
    /// True when it is FAILED because it was cancelled on request. Its name may be used again.
    #[serde(default)]
    pub cancelled: bool,
    /// It may not be deleted before this moment, milliseconds since 1970.
    #[serde(default)]
    pub locked_until_ms: Option<i64>,
    /// Whether templates and cluster settings are in it.
    pub include_global_state: bool,
    /// Whether it was asked for with `partial`.
    pub partial: bool,
    /// What the client wanted kept with it.
    pub metadata: Option<Map<String, Value>>,
    /// Start, milliseconds since 1970 (UTC).
    pub start_ms: i64,
    /// End, milliseconds since 1970; none while it runs.
    pub end_ms: Option<i64>,
    /// Shards that are missing.
    pub failures: Vec<ShardFailure>,
    /// Number of shards, those of collections included.
    pub shards_total: u32,
    /// Shards captured and proved (so far, while it runs).
    pub shards_successful: u32,
    /// Shards that failed (so far, while it runs).
    pub shards_failed: u32,
    /// Version of Snapkeep that wrote it.
    pub written_by: String,
    /// Id of the restic snapshot (64 hex digits), once it is stored.
    pub restic_id: Option<String>,
}

impl SnapshotInfo {
    /// Names of its indices, sorted.
    pub fn index_names(&self) -> Vec<String> {
        self.indices
            .iter()
            .map(|index| index.name.clone())
            .collect()
    }

    /// Names of its collections, sorted.
    pub fn collection_names(&self) -> Vec<String> {
        self.collections
            .iter()
            .map(|collection| collection.name.clone())
            .collect()
    }

    /// Whether it is still being taken.
    pub fn is_running(&self) -> bool {
        self.state == SnapshotState::InProgress
    }
}

/// Where a snapshot as a whole stands, in the words of `_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SnapshotPhase {
    /// Accepted; no shard has begun.
    Init,
    /// Shards are being read.
    Started,
    /// Being cancelled because it is deleted.
    Aborted,
    /// Finished; complete.
    Success,
    /// Finished; some shards are missing.
    Partial,
    /// Finished; failed.
    Failed,
}

/// Where one shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ShardStage {
    /// Waiting.
    Init,
    /// Being read and stored.
    Started,
    /// Read; its description is being stored and its digest compared.
    Finalize,
    /// Stored and proved.
    Done,
    /// Failed.
    Failure,
}

/// A number of files and their plain bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStats {
    /// Number of files.
    pub files: u64,
    /// Plain bytes in them.
    pub bytes: u64,
}

impl std::ops::AddAssign for FileStats {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Progress or result of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Number of the shard; its position in a collection.
    pub shard: u32,
    /// Name of the shard of a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it stands.
    pub stage: ShardStage,
    /// Files that this snapshot adds (an estimate until they are read).
    pub incremental: FileStats,
    /// Of these, what has been read so far; equal to `incremental` when done.
    pub processed: FileStats,
    /// All files the shard consists of, those taken over by reference included.
    pub total: FileStats,
    /// Start, milliseconds since 1970; 0 = not begun.
    pub start_ms: i64,
    /// Time spent so far, milliseconds.
    pub time_ms: i64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Progress or result of one index or collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    /// Name.
    pub name: String,
    /// Its shards in order.
    pub shards: Vec<ShardStatus>,
}

/// Progress or result of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// The snapshot itself.
    pub info: SnapshotInfo,
    /// Where it stands.
    pub phase: SnapshotPhase,
    /// Its indices, sorted by name.
    pub indices: Vec<IndexStatus>,
    /// Its collections, sorted by name.
    #[serde(default)]
    pub collections: Vec<IndexStatus>,
    /// Nanoseconds that writing waited for the rate limit.
    pub throttled_ns: u64,
    /// Bytes that this snapshot added to the repository (compressed), as far as known.
    pub stored_bytes: u64,
}
