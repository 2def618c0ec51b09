//! Jobs, events and background workers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Takes a snapshot.
    Snapshot,
    /// Restores indices.
    Restore,
    /// Deletes snapshots.
    Delete,
    /// Makes a snapshot that refers to a part of another.
    Clone,
    /// Checks a repository.
    Check,
    /// Reclaims space in a repository.
    Prune,
    /// Makes points of volumes and instances.
    VolumeSnapshot,
    /// Deletes points.
    VolumeDelete,
    /// Rolls volumes back to points.
    VolumeApply,
    /// Makes a new volume of a point.
    VolumeCreate,
    /// Makes an image of a point of an instance.
    ImageCapture,
}

impl JobKind {
    /// The word used in the catalogue and on the wire.
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

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for its turn.
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
    /// The word used in the catalogue and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has ended, well or not.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// What it is doing, for people (`reading`, `verifying`, …).
    pub phase: String,
    /// Plain bytes handled.
    pub bytes_done: u64,
    /// Plain bytes to handle, as far as known; 0 = not known.
    pub bytes_total: u64,
    /// Things (shards, packs) handled.
    pub items_done: u64,
    /// Things to handle; 0 = not known.
    pub items_total: u64,
    /// Bytes written to the repository.
    pub stored_bytes: u64,
    /// Nanoseconds spent waiting for rate limits.
    pub throttled_ns: u64,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Id: 22 characters of URL-safe base64.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// The repository it works on.
    pub repository: String,
    /// What it works on, for people: usually the name of a snapshot.
    pub subject: String,
    /// Ids of what it makes, removes or writes to (points, volumes, images), known when it is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// State.
    pub state: JobState,
    /// When it was accepted, milliseconds since 1970.
    pub created_ms: i64,
    /// When it began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// How far it is.
    pub progress: JobProgress,
    /// Why it failed.
    pub error: Option<String>,
    /// What came out, by kind (a report of a check or prune).
    pub result: Option<Value>,
}

/// An accepted job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTicket {
    /// Id of the job.
    pub job_id: String,
}

/// Something happened to a job: it was accepted, went on (at most a few times a second) or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// The job as it is now.
    pub job: JobInfo,
}

/// How to check a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckRequest {
    /// Structure only: every blob that a snapshot needs is in the index and every pack of the index exists.
    #[default]
    Structure,
    /// And read a share of the packs, 0.0 to 1.0.
    Sample(f64),
    /// And read every byte.
    All,
}

/// State of a background worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Waiting for work.
    Idle,
    /// At work.
    Busy,
    /// Waiting after an error.
    BackingOff,
    /// Stopped.
    Stopped,
}

/// A background worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Name.
    pub name: String,
    /// State.
    pub state: WorkerState,
    /// What it does or did last, for people.
    pub status: String,
    /// Errors since the start.
    pub errors: u64,
    /// The last error.
    pub last_error: Option<String>,
}
