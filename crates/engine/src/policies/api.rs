//! Policies as dialects see them: reading.

use super::change::missing;
use crate::catalogue::PolicyRow;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{OriginKind, Policy, PolicyKey, PolicyRun, PolicyState, PolicyTotals};

impl Engine {
    /// One policy.
    pub async fn policy(&self, key: &PolicyKey) -> Result<Policy, EngineError> {
        Ok(self.policy_row(key).await?.policy)
    }

    async fn policy_row(&self, key: &PolicyKey) -> Result<PolicyRow, EngineError> {
        let row = self.inner.catalogue.policy(key).await?;
        row.ok_or_else(|| missing(key))
    }

    /// All policies of one dialect (or of all), sorted by key.
    pub async fn policies(&self, of: Option<OriginKind>) -> Result<Vec<Policy>, EngineError> {
        let rows = self.inner.catalogue.policies(of).await?;
        Ok(rows.into_iter().map(|row| row.policy).collect())
    }

    /// Where a policy stands.
    pub async fn policy_state(&self, key: &PolicyKey) -> Result<PolicyState, EngineError> {
        let row = self.policy_row(key).await?;
        let runs_by_itself =
            row.policy.spec.enabled && !self.scheduler_paused(key.origin.kind()).await?;
        let when = |due: Option<i64>| due.filter(|_| runs_by_itself);
        Ok(PolicyState {
            key: key.clone(),
            next_run_ms: when(row.timetable.next_run_ms),
            next_retention_ms: when(row.timetable.next_retention_ms),
            next_verification_ms: when(row.timetable.next_verification_ms),
            in_progress: self.inner.policies.run_of(key),
            queued: row.timetable.queued.is_some(),
            last_success: row.record.last_success,
            last_failure: row.record.last_failure,
            stats: row.record.stats,
            last_retention: row.record.last_retention,
            deletion_failures: row.record.deletion_failures,
            last_verification: row.record.last_verification,
        })
    }

    /// The newest runs of a policy, newest first, at most `limit`.
    pub async fn policy_runs(
        &self,
        key: &PolicyKey,
        limit: usize,
    ) -> Result<Vec<PolicyRun>, EngineError> {
        self.policy_row(key).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.inner.catalogue.policy_runs(key, limit).await
    }

    /// Counts of all policies of a dialect, removed ones included.
    pub async fn policy_totals(&self, of: OriginKind) -> Result<PolicyTotals, EngineError> {
        Ok(self.inner.catalogue.policy_origin(of).await?.totals)
    }
}
