//! Policies as dialects see them.
#![allow(unused_variables, clippy::todo, clippy::unused_async)]

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{
    Expected, OriginKind, Policy, PolicyKey, PolicyRun, PolicySpec, PolicyState, PolicyTotals,
    RetentionVerdict, Schedule, ScheduleError, SnapshotInfo, SnapshotTicket,
};

/// What became of [`Engine::put_policy`].
#[derive(Debug, Clone, PartialEq)]
pub struct PutPolicy {
    /// The policy as it is now.
    pub policy: Policy,
    /// True when there was none of this name.
    pub created: bool,
    /// False when it was put as it already was: version and date stay.
    pub changed: bool,
}

impl Engine {
    /// Makes or replaces a policy. Its repository must be registered ([`EngineError::RepositoryMissing`]); what cannot be used is
    /// [`EngineError::PolicyInvalid`], what `expected` does not accept [`EngineError::PolicyConflict`], [`EngineError::PolicyExists`]
    /// or [`EngineError::PolicyMissing`]. The next run is computed from now.
    pub async fn put_policy(
        &self,
        key: &PolicyKey,
        spec: PolicySpec,
        expected: Expected,
    ) -> Result<PutPolicy, EngineError> {
        todo!()
    }

    /// One policy.
    pub async fn policy(&self, key: &PolicyKey) -> Result<Policy, EngineError> {
        todo!()
    }

    /// All policies of one dialect (or of all), sorted by key.
    pub async fn policies(&self, of: Option<OriginKind>) -> Result<Vec<Policy>, EngineError> {
        todo!()
    }

    /// Forgets a policy with its history; its snapshots stay. A run under way goes on.
    pub async fn remove_policy(&self, key: &PolicyKey) -> Result<(), EngineError> {
        todo!()
    }

    /// Switches a policy on or off; the version goes up when that changes it. When switched on, nothing is caught up.
    pub async fn set_policy_enabled(
        &self,
        key: &PolicyKey,
        enabled: bool,
    ) -> Result<Policy, EngineError> {
        todo!()
    }

    /// Begins a run now, whatever the schedule says and also when the policy is disabled or its scheduler stopped. Fails when a run
    /// of it is under way ([`EngineError::PolicyRunning`]). The outcome is recorded like that of any other run.
    pub async fn run_policy(&self, key: &PolicyKey) -> Result<SnapshotTicket, EngineError> {
        todo!()
    }

    /// Deletes what the retention of one policy, or of all policies of a dialect, no longer keeps; returns when it is done. What
    /// could not be deleted is in the result and tried again at the next round.
    pub async fn run_retention(&self, key: &PolicyKey) -> Result<PolicyRun, EngineError> {
        todo!()
    }

    /// Begins [`run_retention`](Self::run_retention) for all policies of a dialect and returns at once.
    pub async fn begin_retention(&self, of: OriginKind) -> Result<(), EngineError> {
        todo!()
    }

    /// Where a policy stands.
    pub async fn policy_state(&self, key: &PolicyKey) -> Result<PolicyState, EngineError> {
        todo!()
    }

    /// The newest runs of a policy, newest first, at most `limit`.
    pub async fn policy_runs(
        &self,
        key: &PolicyKey,
        limit: usize,
    ) -> Result<Vec<PolicyRun>, EngineError> {
        todo!()
    }

    /// The snapshots that a policy made and that are still there, by start.
    pub async fn policy_snapshots(
        &self,
        key: &PolicyKey,
    ) -> Result<Vec<SnapshotInfo>, EngineError> {
        todo!()
    }

    /// Counts of all policies of a dialect, removed ones included.
    pub async fn policy_totals(&self, of: OriginKind) -> Result<PolicyTotals, EngineError> {
        todo!()
    }

    /// What the retention of a policy would do at `now_ms` (none = now), oldest snapshot first. Nothing is deleted.
    pub async fn preview_retention(
        &self,
        key: &PolicyKey,
        now_ms: Option<i64>,
    ) -> Result<Vec<RetentionVerdict>, EngineError> {
        todo!()
    }

    /// Whether the scheduler of a dialect is stopped.
    pub async fn scheduler_paused(&self, of: OriginKind) -> Result<bool, EngineError> {
        todo!()
    }

    /// Stops the scheduler of a dialect, durably: its policies neither run nor delete by themselves. What runs goes on.
    pub async fn pause_scheduler(&self, of: OriginKind) -> Result<(), EngineError> {
        todo!()
    }

    /// Starts it again; nothing is caught up.
    pub async fn resume_scheduler(&self, of: OriginKind) -> Result<(), EngineError> {
        todo!()
    }

    /// Locks a good or running snapshot: until then nobody deletes it, whatever the dialect ([`EngineError::SnapshotLocked`]). A lock may
    /// be extended, not shortened ([`EngineError::LockShortened`]). It is kept in the repository and survives a lost catalogue.
    pub async fn lock_snapshot(
        &self,
        repository: &str,
        snapshot: &str,
        until_ms: i64,
    ) -> Result<SnapshotInfo, EngineError> {
        todo!()
    }
}

impl Schedule {
    /// Whether it can be used; the error says what is wrong.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        todo!()
    }

    /// The first due time after `after_ms` (milliseconds since 1970, exclusive); none when there is none any more or the schedule
    /// cannot be used.
    ///
    /// A time of day that a change of the clocks leaves out is due once, at the first valid moment after it. One that comes twice is
    /// due once, the first time; only schedules of every hour go on through the hour that is repeated.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        todo!()
    }

    /// The shortest time between two due times, milliseconds, changes of the clocks aside; none when it is due at most once.
    pub fn min_interval(&self) -> Option<i64> {
        todo!()
    }

    /// In words, for people: `every day at 02:30 (Europe/Berlin)`.
    pub fn describe(&self) -> String {
        todo!()
    }
}
