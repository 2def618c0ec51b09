//! Policies, their runs, what holds for all of a dialect, and locks.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::model::{
    DeletionFailure, LastRetention, LastRun, OriginKind, Policy, PolicyKey, PolicyRun, PolicyStats,
    PolicyTotals, RunState, VerificationOutcome,
};
use crate::policies::Timetable;

/// Runs of one policy that are kept.
pub(crate) const KEPT_RUNS: i64 = 200;

/// Counts and last outcomes of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyRecord {
    pub(crate) stats: PolicyStats,
    pub(crate) last_success: Option<LastRun>,
    pub(crate) last_failure: Option<LastRun>,
    pub(crate) last_retention: Option<LastRetention>,
    pub(crate) deletion_failures: Vec<DeletionFailure>,
    pub(crate) last_verification: Option<VerificationOutcome>,
}

/// A policy with all that is known of it but its runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PolicyRow {
    pub(crate) policy: Policy,
    pub(crate) timetable: Timetable,
    pub(crate) record: PolicyRecord,
}

/// What holds for all policies of a dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct OriginRow {
    pub(crate) paused: bool,
    pub(crate) totals: PolicyTotals,
}

fn column<T: DeserializeOwned>(
    row: &AnyRow,
    name: &'static str,
    what: &'static str,
) -> Result<T, EngineError> {
    let text: String = row.try_get(name).map_err(failed("read policies"))?;
    serde_json::from_str(&text).map_err(unreadable(what))
}

fn parse(row: &AnyRow) -> Result<PolicyRow, EngineError> {
    Ok(PolicyRow {
        policy: column(row, "definition", "a policy")?,
        timetable: column(row, "timetable", "the timetable of a policy")?,
        record: column(row, "record", "the record of a policy")?,
    })
}

fn parse_origin(row: &AnyRow) -> Result<OriginRow, EngineError> {
    let paused: i64 = row.try_get("paused").map_err(failed("read policies"))?;
    Ok(OriginRow {
        paused: paused != 0,
        totals: column(row, "totals", "the counts of policies")?,
    })
}

fn json<T: Serialize>(value: &T) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(unreadable("a policy"))
}

fn state_word(state: RunState) -> &'static str {
    if state == RunState::Running {
        "running"
    } else {
        "ended"
    }
}

const COLUMNS: &str = "definition, timetable, record";

impl Catalogue {
    /// All policies of one dialect or of all, by key.
    pub(crate) async fn policies(
        &self,
        of: Option<OriginKind>,
    ) -> Result<Vec<PolicyRow>, EngineError> {
        let query =
            format!("SELECT {COLUMNS} FROM policies WHERE $1 = '' OR origin = $1 ORDER BY policy");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(of.map_or("", OriginKind::as_str))
            .fetch_all(self.read())
            .await
            .map_err(failed("read policies"))?;
        rows.iter().map(parse).collect()
    }

    /// One policy.
    pub(crate) async fn policy(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, EngineError> {
        let query = format!("SELECT {COLUMNS} FROM policies WHERE policy = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(key.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a policy"))?;
        row.as_ref().map(parse).transpose()
    }

    /// The newest runs of a policy, newest first.
    pub(crate) async fn policy_runs(
        &self,
        key: &PolicyKey,
        limit: i64,
    ) -> Result<Vec<PolicyRun>, EngineError> {
        let rows = sqlx::query(
            "SELECT run FROM policy_runs WHERE policy = $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(key.to_string())
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("read runs of a policy"))?;
        rows.iter()
            .map(|row| column(row, "run", "a run of a policy"))
            .collect()
    }

    /// Runs that have not ended, with the policy of each.
    pub(crate) async fn unfinished_policy_runs(
        &self,
    ) -> Result<Vec<(PolicyKey, PolicyRun)>, EngineError> {
        let rows = sqlx::query("SELECT policy, run FROM policy_runs WHERE state = 'running'")
            .fetch_all(self.read())
            .await
            .map_err(failed("read runs of policies"))?;
        rows.iter()
            .map(|row| {
                let key: String = row.try_get("policy").map_err(failed("read policies"))?;
                let key = key
                    .parse()
                    .map_err(|error| EngineError::Internal(format!("{error}")))?;
                Ok((key, column(row, "run", "a run of a policy")?))
            })
            .collect()
    }

    /// What holds for all policies of a dialect.
    pub(crate) async fn policy_origin(&self, of: OriginKind) -> Result<OriginRow, EngineError> {
        let row = sqlx::query("SELECT paused, totals FROM policy_origins WHERE origin = $1")
            .bind(of.as_str())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read policies"))?;
        Ok(row
            .as_ref()
            .map(parse_origin)
            .transpose()?
            .unwrap_or_default())
    }

    /// Dialects whose scheduler is stopped, by their words.
    pub(crate) async fn paused_origins(&self) -> Result<Vec<String>, EngineError> {
        sqlx::query_scalar("SELECT origin FROM policy_origins WHERE paused = 1")
            .fetch_all(self.read())
            .await
            .map_err(failed("read policies"))
    }

    /// Uuids of the snapshots of a vault whose locks are known.
    pub(crate) async fn locked_snapshots(&self, vault: &str) -> Result<Vec<String>, EngineError> {
        sqlx::query_scalar("SELECT uuid FROM snapshot_locks WHERE vault = $1")
            .bind(vault.to_owned())
            .fetch_all(self.read())
            .await
            .map_err(failed("read locks"))
    }

    /// Until when a snapshot is locked, as far as the catalogue knows.
    pub(crate) async fn snapshot_lock(
        &self,
        vault: &str,
        uuid: &str,
    ) -> Result<Option<i64>, EngineError> {
        sqlx::query_scalar("SELECT until_ms FROM snapshot_locks WHERE vault = $1 AND uuid = $2")
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a lock"))
    }
}

impl WriteTransaction<'_> {
    /// One policy, as nobody else can change it before this is committed.
    pub(crate) async fn policy(
        &mut self,
        key: &PolicyKey,
    ) -> Result<Option<PolicyRow>, EngineError> {
        let query = format!("SELECT {COLUMNS} FROM policies WHERE policy = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(key.to_string())
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(failed("read a policy"))?;
        row.as_ref().map(parse).transpose()
    }

    /// How many policies there are.
    pub(crate) async fn count_policies(&mut self) -> Result<i64, EngineError> {
        sqlx::query_scalar("SELECT COUNT(*) FROM policies")
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(failed("count policies"))
    }

    /// Adds or replaces a policy.
    pub(crate) async fn put_policy(&mut self, row: &PolicyRow) -> Result<(), EngineError> {
        let version = i64::try_from(row.policy.version).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO policies (policy, origin, version, definition, timetable, record) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (policy) DO UPDATE SET version = excluded.version, \
             definition = excluded.definition, timetable = excluded.timetable, record = excluded.record",
        )
        .bind(row.policy.key.to_string())
        .bind(row.policy.key.origin.kind().as_str())
        .bind(version)
        .bind(json(&row.policy)?)
        .bind(json(&row.timetable)?)
        .bind(json(&row.record)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a policy"))?;
        Ok(())
    }

    /// Forgets a policy and its runs; false when there was none.
    pub(crate) async fn remove_policy(&mut self, key: &PolicyKey) -> Result<bool, EngineError> {
        sqlx::query("DELETE FROM policy_runs WHERE policy = $1")
            .bind(key.to_string())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget the runs of a policy"))?;
        let removed = sqlx::query("DELETE FROM policies WHERE policy = $1")
            .bind(key.to_string())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget a policy"))?;
        Ok(removed.rows_affected() > 0)
    }

    /// Adds a run, or replaces what is known of it; the oldest beyond [`KEPT_RUNS`] are forgotten.
    pub(crate) async fn put_policy_run(
        &mut self,
        key: &PolicyKey,
        run: &PolicyRun,
    ) -> Result<(), EngineError> {
        sqlx::query(
            "INSERT INTO policy_runs (id, policy, number, state, run) VALUES ($1, $2, \
             (SELECT COALESCE(MAX(number), 0) + 1 FROM policy_runs WHERE policy = $2), $3, $4) \
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, run = excluded.run",
        )
        .bind(run.id.clone())
        .bind(key.to_string())
        .bind(state_word(run.state))
        .bind(json(run)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a run of a policy"))?;
        sqlx::query(
            "DELETE FROM policy_runs WHERE policy = $1 AND number <= \
             (SELECT COALESCE(MAX(number), 0) FROM policy_runs WHERE policy = $1) - $2",
        )
        .bind(key.to_string())
        .bind(KEPT_RUNS)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("forget old runs of a policy"))?;
        Ok(())
    }

    /// Changes what holds for all policies of a dialect.
    pub(crate) async fn change_policy_origin(
        &mut self,
        of: OriginKind,
        change: impl FnOnce(&mut OriginRow),
    ) -> Result<(), EngineError> {
        let row = sqlx::query("SELECT paused, totals FROM policy_origins WHERE origin = $1")
            .bind(of.as_str())
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(failed("read policies"))?;
        let mut origin = row
            .as_ref()
            .map(parse_origin)
            .transpose()?
            .unwrap_or_default();
        change(&mut origin);
        sqlx::query(
            "INSERT INTO policy_origins (origin, paused, totals) VALUES ($1, $2, $3) \
             ON CONFLICT (origin) DO UPDATE SET paused = excluded.paused, totals = excluded.totals",
        )
        .bind(of.as_str())
        .bind(i64::from(origin.paused))
        .bind(json(&origin.totals)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note what holds for policies"))?;
        Ok(())
    }

    /// Notes a lock; one that lasts longer stays.
    pub(crate) async fn put_snapshot_lock(
        &mut self,
        vault: &str,
        uuid: &str,
        until_ms: i64,
    ) -> Result<(), EngineError> {
        sqlx::query(
            "INSERT INTO snapshot_locks (vault, uuid, until_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (vault, uuid) DO UPDATE SET until_ms = excluded.until_ms \
             WHERE snapshot_locks.until_ms < excluded.until_ms",
        )
        .bind(vault.to_owned())
        .bind(uuid.to_owned())
        .bind(until_ms)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a lock"))?;
        Ok(())
    }

    /// Forgets a lock.
    pub(crate) async fn remove_snapshot_lock(
        &mut self,
        vault: &str,
        uuid: &str,
    ) -> Result<(), EngineError> {
        sqlx::query("DELETE FROM snapshot_locks WHERE vault = $1 AND uuid = $2")
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget a lock"))?;
        Ok(())
    }
}
