//! Policies as they go over the wire. The command line reads and writes the same types.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::native::types::SnapshotState;

/// When something is due. Exactly one of the kinds is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Cron expression of 5 fields (minute first), 6 (second first) or 7 (year last).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0 30 1 * * ?")]
    pub cron: Option<String>,
    /// At a fixed distance, such as `6h` or `30m`, at least `1s`; counted from the moment the policy got this schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Every hour at this minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly: Option<u8>,
    /// Every day at this time, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "01:30")]
    pub daily: Option<String>,
    /// Every week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
    /// Every month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Monthly>,
    /// Time zone of the schedule: an IANA name such as `Europe/Berlin`, or an offset such as `+08:00`. UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Days of the week and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// `mon` to `sun`, at least one.
    pub days: Vec<String>,
    /// `HH:MM`.
    pub at: String,
}

/// A day of the month and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Monthly {
    /// 1 to 31; months without that day have their last one instead.
    pub day: u8,
    /// `HH:MM`.
    pub at: String,
}

/// How many snapshots of each period are kept: the last good one of every hour, day, week, month or year that has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Hours.
    #[serde(default)]
    pub hourly: u32,
    /// Days.
    #[serde(default)]
    pub daily: u32,
    /// Weeks, Monday to Sunday.
    #[serde(default)]
    pub weekly: u32,
    /// Months.
    #[serde(default)]
    pub monthly: u32,
    /// Years.
    #[serde(default)]
    pub yearly: u32,
}

/// Which snapshots of a policy are kept, and when the others are removed. Nothing is removed when no rule is given, and the last
/// good snapshot never is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Older ones are removed, such as `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// So many good ones are kept whatever their age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_count: Option<u32>,
    /// Of more good ones than these the oldest are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Grandfather, father, son: what a period keeps stays whatever the other rules say, and what none keeps goes unless `max_age` or
    /// `min_count` keep it. Periods begin in the time zone of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// When it is applied; after every run and every hour unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// What is checked, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Share of the repository's data read after every run, above 0 up to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_after_run: Option<f64>,
    /// When everything is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Schedule>,
}

/// What happens to a run that is due while one of the same policy is still at work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenRunning {
    /// It is left out, and recorded as skipped.
    #[default]
    Skip,
    /// It starts when the other has ended; several that wait become one.
    Queue,
    /// It is left out also when any other snapshot or restore is at work.
    SkipWhenBusy,
}

/// A policy to create or to replace.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// Repository the snapshots go to; must be registered.
    pub repository: String,
    /// When snapshots are taken; missing: only when asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Name of the snapshots; date math is resolved, and something random is added. `<POLICY-{now/d}>` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "<nightly-{now/d}>")]
    pub name: Option<String>,
    /// Names, aliases, wildcards, `-` exclusions of indices; missing: all open ones, empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indices: Option<Vec<String>>,
    /// Names, wildcards, `-` exclusions of collections; empty: none.
    #[serde(default)]
    pub collections: Vec<String>,
    /// Whether names that do not exist are passed over.
    #[serde(default)]
    pub ignore_unavailable: bool,
    /// Whether shards that cannot be read make a snapshot PARTIAL instead of FAILED.
    #[serde(default)]
    pub partial: bool,
    /// Whether templates and cluster settings are included.
    #[serde(default = "yes")]
    pub include_global_state: bool,
    /// To be kept with every snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// How long snapshots are kept.
    #[serde(default)]
    pub retention: Retention,
    /// For how long nobody may delete a snapshot after it was taken, such as `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// What is verified.
    #[serde(default)]
    pub verification: Verification,
    /// What happens to a run that is due while one is at work.
    #[serde(default)]
    pub when_running: WhenRunning,
    /// A run that takes longer is cancelled and has failed, such as `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
    /// Whether it runs by itself.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The version that is to be replaced; 409 when it is another one. 0: there must be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
}

fn yes() -> bool {
    true
}

/// A policy and how it does.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// What it is called in this API: its name, or `slm/NAME`, `sm/NAME`, … for one made through another API.
    pub id: String,
    /// Its name where it was made.
    pub name: String,
    /// The API it was made with: `native`, `slm`, `sm`, `huawei_css`, `alibaba`.
    pub origin: String,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Repository the snapshots go to.
    pub repository: String,
    /// Expressions for indices; empty: none.
    pub indices: Vec<String>,
    /// Expressions for collections; empty: none.
    pub collections: Vec<String>,
    /// Whether names that do not exist are passed over.
    pub ignore_unavailable: bool,
    /// Whether shards that cannot be read make a snapshot PARTIAL instead of FAILED.
    pub partial: bool,
    /// Whether templates and cluster settings are included.
    pub include_global_state: bool,
    /// When snapshots are taken; missing: only when asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// How the snapshots are named.
    pub snapshot_name: String,
    /// Kept with every snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// How long snapshots are kept.
    pub retention: Retention,
    /// For how long nobody may delete a snapshot after it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// What is verified.
    pub verification: Verification,
    /// What happens to a run that is due while one is at work.
    pub when_running: WhenRunning,
    /// A run that takes longer is cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
    /// The schedule in words.
    pub schedule_text: String,
    /// Counts the changes, from 1.
    pub version: u64,
    /// Made, milliseconds since 1970.
    pub created_ms: i64,
    /// Changed last.
    pub modified_ms: i64,
    /// How it does.
    pub state: PolicyState,
}

/// How a policy does.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PolicyState {
    /// The next snapshot, milliseconds since 1970; missing: none is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_ms: Option<i64>,
    /// The next time retention is applied by its own schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retention_ms: Option<i64>,
    /// The next time everything is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_verification_ms: Option<i64>,
    /// The run that is at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<PolicyRun>,
    /// Whether another waits for its end.
    pub queued: bool,
    /// The last snapshot that was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<LastRun>,
    /// The last that was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastRun>,
    /// Snapshots taken.
    pub snapshots_taken: u64,
    /// Snapshots that failed.
    pub snapshots_failed: u64,
    /// Due runs that were left out.
    pub runs_skipped: u64,
    /// Snapshots removed by retention.
    pub snapshots_deleted: u64,
    /// Deletions that failed.
    pub deletions_failed: u64,
    /// Snapshots that should be gone and could not be removed; tried again at the next round.
    pub undeleted: Vec<Undeleted>,
    /// What the last reading of everything found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verification: Option<Verified>,
}

/// The last good or bad snapshot of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LastRun {
    /// Its name; empty when it never got one.
    pub snapshot: String,
    /// Begun, milliseconds since 1970.
    pub started_ms: i64,
    /// Ended.
    pub ended_ms: i64,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// A snapshot that could not be removed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Undeleted {
    /// Its name.
    pub snapshot: String,
    /// Why it is still there.
    pub reason: String,
    /// Last tried, milliseconds since 1970.
    pub at_ms: i64,
}

/// What a check found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyVerified)]
pub struct Verified {
    /// Whether all is well; missing while it is at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Ended, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// The job that checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// A list of policies.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Policies {
    /// Sorted by origin and name.
    pub policies: Vec<Policy>,
    /// Origins whose scheduler is stopped: their policies do not run by themselves.
    pub stopped: Vec<String>,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Took a snapshot, or tried to.
    Snapshot,
    /// Removed old snapshots; recorded when it removed something or failed.
    Retention,
    /// Read the whole repository.
    Verification,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not yet.
    Running,
    /// Well.
    Success,
    /// With shards missing.
    Partial,
    /// Not well; the reason says why.
    Failed,
    /// It never began; the reason says why.
    Skipped,
}

/// One thing a policy did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyRun {
    /// Id.
    pub id: String,
    /// What it did.
    pub kind: RunKind,
    /// How it ended.
    pub state: RunState,
    /// When it was due, milliseconds since 1970; missing: somebody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_ms: Option<i64>,
    /// Due times before that which passed while the server was down; this run makes up for all of them.
    pub missed: u32,
    /// Begun.
    pub started_ms: i64,
    /// Ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// Repository.
    pub repository: String,
    /// The snapshot it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The job that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Why it failed, was skipped or is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The check after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verified>,
    /// Snapshots it removed.
    #[serde(default)]
    pub deleted: Vec<String>,
    /// Those it could not.
    #[serde(default)]
    pub undeleted: Vec<Undeleted>,
}

/// What a policy did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyRuns {
    /// The newest first.
    pub runs: Vec<PolicyRun>,
}

/// How many runs are listed.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunFilter {
    /// At most so many; 50 unless given. The newest 200 of a policy are kept.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What retention would do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RetentionPreview {
    /// The moment it was worked out for, milliseconds since 1970.
    pub at_ms: i64,
    /// The policy's snapshots, the oldest first.
    pub snapshots: Vec<RetentionVerdict>,
}

/// What retention would do with a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RetentionVerdict {
    /// Name of the snapshot.
    pub snapshot: String,
    /// Where it stands.
    pub state: SnapshotState,
    /// Taken, milliseconds since 1970.
    pub start_ms: i64,
    /// Whether it stays.
    pub keep: bool,
    /// The rules that keep it, or the one that removes it.
    pub reason: String,
}

/// The moment a preview is for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewAt {
    /// Milliseconds since 1970; now unless given.
    #[serde(default)]
    pub at_ms: Option<i64>,
}

/// A snapshot to lock. One of the two is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockSnapshot {
    /// For so long from now, such as `30d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Until this moment, RFC 3339 (`2027-01-31T00:00:00Z`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
