//! What comes of policies: their runs, their state, and what retention decides.

use serde::{Deserialize, Serialize};

use super::policy::PolicyKey;
use super::snapshot::SnapshotState;

/// What a run of a policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Took a snapshot (or tried to, or was skipped).
    Snapshot,
    /// Deleted old snapshots. Only recorded when it deleted something or failed.
    Retention,
    /// Read the whole repository.
    Verification,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not yet.
    Running,
    /// Well.
    Success,
    /// With some shards missing.
    Partial,
    /// Not at all; the reason says why.
    Failed,
    /// It never began; the reason says why.
    Skipped,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationOutcome {
    /// The job that checked.
    pub job_id: Option<String>,
    /// True when nothing is wrong; none while it runs.
    pub ok: Option<bool>,
    /// What is wrong.
    pub problem: Option<String>,
    /// When it ended, milliseconds since 1970.
    pub ended_ms: Option<i64>,
}

/// A snapshot that could not be deleted; tried again at the next retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionFailure {
    /// Its name.
    pub snapshot: String,
    /// Why not.
    pub reason: String,
    /// When it was last tried, milliseconds since 1970.
    pub at_ms: i64,
}

/// One run of a policy and what came of it. The newest 200 of each policy are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRun {
    /// Id.
    pub id: String,
    /// What it did.
    pub kind: RunKind,
    /// When it was due, milliseconds since 1970; none when somebody asked for it.
    pub scheduled_ms: Option<i64>,
    /// Due times before that which passed while nothing ran (the server was down): all are caught up by this run.
    #[serde(default)]
    pub missed: u32,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How it ended.
    pub state: RunState,
    /// Repository.
    pub repository: String,
    /// Name of the snapshot, once it is known.
    pub snapshot: Option<String>,
    /// Uuid of the snapshot.
    pub snapshot_uuid: Option<String>,
    /// The job that does it.
    pub job_id: Option<String>,
    /// Why it failed, was skipped or is partial.
    pub reason: Option<String>,
    /// The check after it.
    #[serde(default)]
    pub verification: Option<VerificationOutcome>,
    /// Snapshots that retention deleted.
    #[serde(default)]
    pub deleted: Vec<String>,
    /// Those it could not.
    #[serde(default)]
    pub deletion_failures: Vec<DeletionFailure>,
}

/// The last good or bad run, as SLM shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Name of the snapshot; when none was begun, the name it would have had or empty.
    pub snapshot: String,
    /// When the snapshot began, milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// What was wrong.
    pub details: Option<String>,
}

/// Counts since the policy was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStats {
    /// Snapshots taken (SUCCESS).
    pub taken: u64,
    /// Snapshots that failed (FAILED, PARTIAL, or not begun).
    pub failed: u64,
    /// Due runs that were left out.
    pub skipped: u64,
    /// Snapshots that retention deleted.
    pub deleted: u64,
    /// Deletions that failed.
    pub deletion_failures: u64,
}

/// Counts of all policies of a dialect, removed ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyTotals {
    /// Rounds of retention.
    pub retention_runs: u64,
    /// Of these, with an error.
    pub retention_failed: u64,
    /// Of these, ended by a limit of time.
    pub retention_timed_out: u64,
    /// Time they took, milliseconds.
    pub retention_ms: u64,
    /// Sums of the policies' counts.
    #[serde(flatten)]
    pub stats: PolicyStats,
}

/// What retention did last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRetention {
    /// When it began, milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// Snapshots it deleted.
    pub deleted: Vec<String>,
    /// Why the round as a whole failed.
    pub error: Option<String>,
}

/// Where a policy stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Its name and whose it is.
    pub key: PolicyKey,
    /// When it runs next, milliseconds since 1970; none when disabled, stopped or without schedule.
    pub next_run_ms: Option<i64>,
    /// When retention runs next by schedule.
    pub next_retention_ms: Option<i64>,
    /// When everything is read next.
    pub next_verification_ms: Option<i64>,
    /// The run under way.
    pub in_progress: Option<PolicyRun>,
    /// True when another waits for its end.
    pub queued: bool,
    /// The last that was SUCCESS.
    pub last_success: Option<LastRun>,
    /// The last that was not.
    pub last_failure: Option<LastRun>,
    /// Counts.
    pub stats: PolicyStats,
    /// The last round of retention.
    pub last_retention: Option<LastRetention>,
    /// Snapshots that should be gone and could not be deleted.
    pub deletion_failures: Vec<DeletionFailure>,
    /// The last check of everything.
    pub last_verification: Option<VerificationOutcome>,
}

/// What retention does with a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetentionVerdict {
    /// Its name.
    pub snapshot: String,
    /// Its uuid.
    pub uuid: String,
    /// Its state.
    pub state: SnapshotState,
    /// Its start, milliseconds since 1970.
    pub start_ms: i64,
    /// Whether it goes.
    pub delete: bool,
    /// All rules that keep it, or the one that removes it, for people.
    pub reason: String,
}

impl RunState {
    /// The word used in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
