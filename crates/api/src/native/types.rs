//! What goes over the wire. The command line uses the same types to read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::volumes::types::Resource;

/// The server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Always `snapkeep`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where the description of this API is.
    pub openapi: String,
}

/// A registered repository.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    /// Name under which it is registered.
    pub name: String,
    /// Type of storage, such as `fs`.
    pub kind: String,
    /// Settings as given at registration.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Where it is, in the notation of restic; given for a single repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Id of the restic repository, 64 hexadecimal digits, once it has been opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether nothing may be written to it.
    pub readonly: bool,
    /// Limit on writing, bytes a second; missing: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_snapshot_bytes_per_sec: Option<u64>,
    /// Limit on reading, bytes a second; missing: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restore_bytes_per_sec: Option<u64>,
    /// Why it could not be opened when last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A list of repositories.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Repositories {
    /// Sorted by name.
    pub repositories: Vec<Repository>,
}

/// A repository to register.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRepository {
    /// Type of storage: `fs`.
    pub kind: String,
    /// Its settings; for `fs`: `location`, and optionally `max_snapshot_bytes_per_sec`, `max_restore_bytes_per_sec`, `readonly`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Whether to write and read back a probe.
    #[serde(default = "yes")]
    pub verify: bool,
}

fn yes() -> bool {
    true
}

/// A repository that can be written to and read from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Where it is.
    pub location: String,
    /// Bytes written and read back; 0 for a read-only repository.
    pub probe_bytes: u64,
}

/// What a cleanup removed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cleaned {
    /// Bytes.
    pub deleted_bytes: u64,
    /// Files.
    pub deleted_files: u64,
}

/// A password of a repository. The password itself is never given out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Id of the key, 64 hexadecimal digits.
    pub id: String,
    /// Who added it.
    pub username: String,
    /// Where it was added.
    pub hostname: String,
    /// When, RFC 3339.
    pub created: String,
    /// Whether the server uses this one.
    pub current: bool,
}

/// The passwords of a repository.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// Sorted by time.
    pub keys: Vec<Key>,
}

/// The password that was added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyAdded {
    /// Id of the key, 64 hexadecimal digits.
    pub id: String,
}

/// A password to add.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    /// The new password; it is not kept.
    pub password: String,
    /// For whom, noted as the user name of the key.
    #[serde(default)]
    pub label: Option<String>,
}

impl std::fmt::Debug for AddKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AddKey")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// Where a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SnapshotState {
    /// Being taken.
    InProgress,
    /// Complete and proved.
    Success,
    /// Nothing in it can be restored.
    Failed,
    /// Some shards are missing.
    Partial,
    /// In a format that this version cannot read.
    Incompatible,
}

/// An index in a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SnapshotIndex {
    /// Name.
    pub name: String,
    /// Shards.
    pub shards: u32,
    /// Documents.
    pub documents: u64,
    /// Bytes before compression.
    pub size_bytes: u64,
}

/// A collection in a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SnapshotCollection {
    /// Name.
    pub name: String,
    /// Whether its shards are tenants.
    pub multi_tenant: bool,
    /// Shards or tenants.
    pub shards: u32,
    /// Objects.
    pub documents: u64,
    /// Bytes before compression, vectors included.
    pub size_bytes: u64,
    /// Tenants of which only the status is in the snapshot, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutShard>,
}

/// A tenant of which a snapshot has only the status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LeftOutShard {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A shard that is missing in a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShardFailure {
    /// Index or collection.
    pub index: String,
    /// Number of the shard.
    pub shard: u32,
    /// Its name, in a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_name: Option<String>,
    /// Why.
    pub reason: String,
}

/// A snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Repository that holds it.
    pub repository: String,
    /// Name.
    pub name: String,
    /// Unique id.
    pub uuid: String,
    /// Where it stands.
    pub state: SnapshotState,
    /// Why it is FAILED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its indices, sorted by name.
    pub indices: Vec<SnapshotIndex>,
    /// Its collections, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<SnapshotCollection>,
    /// The volume or instance that it is of, where it is of disks; told in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disks_of: Option<Resource>,
    /// Whether templates and cluster settings are in it.
    pub include_global_state: bool,
    /// What was given to be kept with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// The policy that took it, as this API calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Nobody can delete it before, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until_ms: Option<i64>,
    /// Start, milliseconds since 1970.
    pub start_ms: i64,
    /// End, milliseconds since 1970; missing while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// Shards.
    pub shards_total: u32,
    /// Shards captured and proved.
    pub shards_successful: u32,
    /// Shards that failed.
    pub shards_failed: u32,
    /// The shards that failed.
    pub failures: Vec<ShardFailure>,
    /// Id of the restic snapshot, once stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restic_id: Option<String>,
}

/// A list of snapshots.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Snapshots {
    /// In the order they were taken.
    pub snapshots: Vec<Snapshot>,
}

/// Progress or result of one shard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShardStatus {
    /// Index.
    pub index: String,
    /// Number of the shard.
    pub shard: u32,
    /// Its name, in a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `INIT`, `STARTED`, `FINALIZE`, `DONE` or `FAILURE`.
    pub stage: String,
    /// Plain bytes that this snapshot adds.
    pub new_bytes: u64,
    /// Of these, read so far.
    pub processed_bytes: u64,
    /// Plain bytes of the shard, those taken over by reference included.
    pub total_bytes: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Progress or result of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SnapshotStatus {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// `INIT`, `STARTED`, `ABORTED`, `SUCCESS`, `PARTIAL` or `FAILED`.
    pub phase: String,
    /// Every shard.
    pub shards: Vec<ShardStatus>,
    /// Bytes added to the repository, as far as remembered; 0: not known.
    pub stored_bytes: u64,
    /// Milliseconds that writing waited for the rate limit.
    pub throttled_ms: u64,
}

/// A snapshot to take.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// Name; date math such as `<nightly-{now/d}>` is resolved.
    pub name: String,
    /// Names, aliases, wildcards, `-` exclusions of indices. Neither these nor collections named: all open indices and all collections.
    #[serde(default)]
    pub indices: Vec<String>,
    /// Names, wildcards, `-` exclusions of collections.
    #[serde(default)]
    pub collections: Vec<String>,
    /// Whether names that do not exist are passed over.
    #[serde(default)]
    pub ignore_unavailable: bool,
    /// Whether shards that cannot be read make it PARTIAL instead of FAILED.
    #[serde(default)]
    pub partial: bool,
    /// Whether templates and cluster settings are included.
    #[serde(default = "yes")]
    pub include_global_state: bool,
    /// To be kept with it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A snapshot to make from a part of another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneSnapshot {
    /// Name of the new snapshot.
    pub target: String,
    /// Names, wildcards, `-` exclusions of indices of the source; none: all.
    #[serde(default)]
    pub indices: Vec<String>,
}

/// What to restore of a snapshot, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Names, wildcards, `-` exclusions of indices of the snapshot. Neither these nor collections named: all of both.
    #[serde(default)]
    pub indices: Vec<String>,
    /// Names, wildcards, `-` exclusions of collections of the snapshot. They are restored all or none.
    #[serde(default)]
    pub collections: Vec<String>,
    /// Of collections with tenants these tenants only; none: all.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// What happens when a collection is there already.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// Regular expression on names of indices and collections, Java semantics.
    #[serde(default)]
    pub rename_pattern: Option<String>,
    /// What its matches become; `$1` is the first group.
    #[serde(default)]
    pub rename_replacement: Option<String>,
    /// Whether aliases are restored.
    #[serde(default = "yes")]
    pub include_aliases: bool,
    /// Whether templates and cluster settings are restored.
    #[serde(default)]
    pub include_global_state: bool,
    /// Settings to override.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub index_settings: Map<String, Value>,
    /// Settings to leave out; `*` allowed.
    #[serde(default)]
    pub ignore_index_settings: Vec<String>,
    /// Whether indices and collections that miss shards may be restored; the missing shards become empty.
    #[serde(default)]
    pub partial: bool,
}

/// What happens when a collection to be restored is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The job fails and nothing is restored.
    #[default]
    Fail,
    /// It stays as it is.
    Skip,
    /// It is replaced.
    Overwrite,
}

/// How much a check reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadData {
    /// Structure only.
    #[default]
    None,
    /// A share of the packs, 0.0 to 1.0.
    Sample(f64),
    /// Every byte.
    All,
}

/// A check to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// How much to read.
    #[serde(default)]
    pub read_data: ReadData,
    /// Repair first: rebuild the index and set damaged packs aside. Nobody else may work in the repository.
    #[serde(default)]
    pub repair: bool,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Takes a snapshot.
    Snapshot,
    /// Restores indices.
    Restore,
    /// Deletes snapshots.
    Delete,
    /// Makes a snapshot from a part of another.
    Clone,
    /// Checks a repository.
    Check,
    /// Reclaims space.
    Prune,
    /// Takes snapshots of volumes and instances.
    VolumeSnapshot,
    /// Deletes snapshots of volumes and instances.
    VolumeDelete,
    /// Rolls volumes back.
    VolumeApply,
    /// Makes a volume from a snapshot.
    VolumeCreate,
    /// Makes an image from a snapshot of an instance.
    ImageCapture,
}

impl JobKind {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Delete => "delete",
            Self::Clone => "clone",
            Self::Check => "check",
            Self::Prune => "prune",
            Self::VolumeSnapshot => "volume_snapshot",
            Self::VolumeDelete => "volume_delete",
            Self::VolumeApply => "volume_apply",
            Self::VolumeCreate => "volume_create",
            Self::ImageCapture => "image_capture",
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting.
    Queued,
    /// At work.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl JobState {
    /// Whether it has ended, well or not.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// What it is doing.
    pub phase: String,
    /// Plain bytes handled.
    pub bytes_done: u64,
    /// Plain bytes to handle; 0: not known.
    pub bytes_total: u64,
    /// Things handled.
    pub items_done: u64,
    /// Things to handle; 0: not known.
    pub items_total: u64,
    /// Bytes written to the repository.
    pub stored_bytes: u64,
    /// Milliseconds spent waiting for rate limits.
    pub throttled_ms: u64,
}

/// A unit of work that goes on when its client leaves.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// Repository it works on.
    pub repository: String,
    /// What it works on, usually the name of a snapshot.
    pub subject: String,
    /// Ids of what it makes, removes or writes to: snapshots of volumes, volumes, images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Where it stands.
    pub state: JobState,
    /// Accepted, milliseconds since 1970.
    pub created_ms: i64,
    /// Begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// Ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<i64>,
    /// How far it is.
    pub progress: JobProgress,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What came out, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// A list of jobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// The newest first.
    pub jobs: Vec<Job>,
}

/// A part of a list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// Only those that have not ended.
    #[serde(default)]
    pub running: bool,
}

/// An error.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The error.
    pub error: ProblemDetail,
}

/// What went wrong and what to do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetail {
    /// A word for programs, such as `snapshot_missing`.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
