//! Restores and the recovery of shards.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapkeep_drivers::ResourceRef;
use std::collections::BTreeMap;
use std::time::Duration;

/// What happens when a collection to be restored is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The accepted restore ends as failed, naming it; nothing is restored.
    #[default]
    Fail,
    /// It stays as it is; the others are restored.
    Skip,
    /// It is replaced, in one step at the end.
    Overwrite,
}

/// What a client wants restored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RestoreRequest {
    /// Names of indices in the snapshot, already resolved against [`SnapshotInfo::index_names`](crate::SnapshotInfo::index_names).
    pub indices: Vec<String>,
    /// Java regular expression; used only when the replacement is given too.
    pub rename_pattern: Option<String>,
    /// Java replacement.
    pub rename_replacement: Option<String>,
    /// Whether aliases of the snapshot are restored, of indices and of collections.
    pub include_aliases: bool,
    /// Whether templates and cluster settings are restored.
    pub include_global_state: bool,
    /// Settings to override, nested or flat, with or without the leading `index.`.
    pub index_settings: Map<String, Value>,
    /// Settings (patterns with `*` allowed) to leave out.
    pub ignore_index_settings: Vec<String>,
    /// Whether indices and collections that miss shards may be restored; the missing shards become empty.
    pub partial: bool,
    /// Names of collections in the snapshot. They are restored all or none.
    pub collections: Vec<String>,
    /// New names of collections, by the name in the snapshot.
    pub collection_rename: BTreeMap<String, String>,
    /// What happens when a collection is there already.
    pub on_conflict: OnConflict,
    /// The tenants to restore; none = all. A name that no collection has is refused.
    pub tenants: Option<Vec<String>>,
    /// Whether aliases of collections that lead elsewhere are taken over; otherwise these stay as they are.
    pub overwrite_aliases: bool,
    /// How long after it was accepted collections appear at the earliest, so that a cancel that follows at once finds the restore
    /// unfinished, however small it is.
    pub cancel_window: Duration,
}

/// An accepted restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTicket {
    /// Uuid of the restore: 22 characters of URL-safe base64.
    pub uuid: String,
    /// The job that does it.
    pub job_id: String,
    /// What will be there at the end; shard counts as if all succeed.
    pub planned: RestoreInfo,
}

/// Result of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreInfo {
    /// The snapshot.
    pub snapshot: String,
    /// Names of the target indices, sorted.
    pub indices: Vec<String>,
    /// Names of the target collections, sorted.
    #[serde(default)]
    pub collections: Vec<String>,
    /// Number of shards.
    pub shards_total: u32,
    /// Shards restored and verified.
    pub shards_successful: u32,
    /// Shards that failed.
    pub shards_failed: u32,
    /// Why it failed.
    pub error: Option<String>,
}

/// Stage of the recovery of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecoveryStage {
    /// Waiting.
    Init,
    /// Documents are being loaded.
    Index,
    /// Count and digest are being compared.
    VerifyIndex,
    /// Replaying a log (nothing to do for the embedded store).
    Translog,
    /// Being made visible.
    Finalize,
    /// Done.
    Done,
}

/// Where a recovered shard comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverySource {
    /// Repository.
    pub repository: String,
    /// Snapshot.
    pub snapshot: String,
    /// Index in the snapshot.
    pub index: String,
    /// Uuid of the restore.
    pub restore_uuid: String,
    /// Version of Snapkeep that wrote the snapshot.
    pub version: String,
}

/// Recovery of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecovery {
    /// Target index.
    pub index: String,
    /// Number of the shard.
    pub shard: u32,
    /// Stage.
    pub stage: RecoveryStage,
    /// Start, milliseconds since 1970.
    pub start_ms: i64,
    /// End, milliseconds since 1970; none while it runs.
    pub stop_ms: Option<i64>,
    /// Where it comes from.
    pub source: RecoverySource,
    /// Plain bytes to load.
    pub bytes_total: u64,
    /// Plain bytes loaded.
    pub bytes_recovered: u64,
    /// Segment files to load.
    pub files_total: u64,
    /// Segment files loaded completely.
    pub files_recovered: u64,
    /// Nanoseconds that reading waited for the rate limit.
    pub throttled_ns: u64,
    /// Why it failed.
    pub failure: Option<String>,
}

impl ShardRecovery {
    /// Share of the bytes that has been loaded, 0.0 to 100.0; 100 when there is nothing to load.
    pub fn bytes_percent(&self) -> f64 {
        percent(self.bytes_recovered, self.bytes_total)
    }

    /// Share of the files that has been loaded, 0.0 to 100.0; 100 when there is nothing to load.
    pub fn files_percent(&self) -> f64 {
        percent(self.files_recovered, self.files_total)
    }

    /// Whether it still runs.
    pub fn is_active(&self) -> bool {
        self.stop_ms.is_none()
    }
}

fn percent(done: u64, total: u64) -> f64 {
    if total == 0 {
        100.0
    } else {
        done.min(total) as f64 * 100.0 / total as f64
    }
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStage {
    /// Waiting for its turn.
    Queued,
    /// Documents are being loaded.
    Transferring,
    /// What was loaded is being compared and made visible; it cannot be cancelled any more.
    Finalizing,
}

/// State of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreState {
    /// At work.
    Running {
        /// How far.
        stage: RestoreStage,
    },
    /// Everything is there and proved.
    Success,
    /// Ended with an error. Collections: nothing of it is there.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl RestoreState {
    /// Whether it still runs.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// A restore, running or ended; kept over restarts until a later one of the same snapshot replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreRun {
    /// Its uuid.
    pub uuid: String,
    /// The job that does or did it.
    pub job_id: String,
    /// Repository.
    pub repository: String,
    /// Snapshot.
    pub snapshot: String,
    /// State.
    pub state: RestoreState,
    /// Why it failed or was cancelled.
    pub error: Option<String>,
    /// When it was accepted, milliseconds since 1970.
    pub start_ms: i64,
    /// When it ended.
    pub end_ms: Option<i64>,
    /// What it makes, under the new names, sorted.
    pub resources: Vec<ResourceRef>,
    /// Collections that were there already: what the restore failed for, or what it left alone.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// Plain bytes loaded.
    #[serde(default)]
    pub bytes_done: u64,
    /// Plain bytes to load, as far as known.
    #[serde(default)]
    pub bytes_total: u64,
}
