//! Retention carried out: what [`super::retention`] no longer keeps is deleted.

use jiff::tz::TimeZone;

use super::change::missing;
use super::retention::{Candidate, judge};
use super::run::new_run;
use super::schedule::zone_of;
use super::timetable::RETENTION_RETRY_MS;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{
    DeletionFailure, LastRetention, OriginKind, Policy, PolicyKey, PolicyRun, RetentionVerdict,
    RunKind, RunState, SnapshotInfo, SnapshotState,
};

/// Snapshots that are deleted in one step.
const BATCH: usize = 100;
/// Failures that are remembered.
const KEPT_FAILURES: usize = 100;

impl Engine {
    /// Deletes what the retention of a policy no longer keeps; returns when it is done. What could not be deleted is in the result
    /// and tried again at the next round.
    pub async fn run_retention(&self, key: &PolicyKey) -> Result<PolicyRun, EngineError> {
        let engine = self.clone();
        let key = key.clone();
        self.detached(async move { engine.retain(&key).await })
            .await
    }

    /// Begins [`run_retention`](Self::run_retention) for all enabled policies of a dialect and returns at once.
    pub async fn begin_retention(&self, of: OriginKind) -> Result<(), EngineError> {
        let rows = self.inner.catalogue.policies(Some(of)).await?;
        let engine = self.clone();
        let followed = self.inner.policies.follow();
        self.inner.runtime.spawn(async move {
            let _followed = followed;
            for row in rows {
                if row.policy.spec.enabled {
                    engine.retain_and_tell(&row.policy.key).await;
                }
            }
        });
        Ok(())
    }

    /// What the retention of a policy would do at `now_ms` (none = now), oldest snapshot first. Nothing is deleted.
    pub async fn preview_retention(
        &self,
        key: &PolicyKey,
        now_ms: Option<i64>,
    ) -> Result<Vec<RetentionVerdict>, EngineError> {
        let policy = self.policy(key).await?;
        let now_ms = now_ms.unwrap_or_else(|| self.inner.config.clock.now_ms());
        self.verdicts(&policy, now_ms).await
    }

    /// The snapshots that a policy made and that are still there, by start.
    pub async fn policy_snapshots(
        &self,
        key: &PolicyKey,
    ) -> Result<Vec<SnapshotInfo>, EngineError> {
        let policy = self.policy(key).await?;
        let mut snapshots = self.snapshots(&policy.spec.repository).await?;
        let key = key.to_string();
        snapshots.retain(|info| info.policy.as_deref() == Some(&key));
        Ok(snapshots)
    }

    /// After a run, unless the policy was changed or its scheduler stopped meanwhile.
    pub(super) async fn retain_after_run(&self, key: &PolicyKey) -> Result<(), EngineError> {
        let paused = self.scheduler_paused(key.origin.kind()).await?;
        let row = self.inner.catalogue.policy(key).await?;
        if row.is_some_and(|row| row.policy.spec.enabled) && !paused {
            self.retain(key).await?;
        }
        Ok(())
    }

    /// A round that nobody waits for.
    pub(super) async fn retain_and_tell(&self, key: &PolicyKey) {
        if let Err(error) = self.retain(key).await {
            tracing::warn!(policy = %key, %error, "retention failed and will be tried again");
        }
    }

    async fn verdicts(
        &self,
        policy: &Policy,
        now_ms: i64,
    ) -> Result<Vec<RetentionVerdict>, EngineError> {
        let spec = &policy.spec;
        let key = policy.key.to_string();
        let candidates: Vec<Candidate> = self
            .snapshots(&spec.repository)
            .await?
            .into_iter()
            .filter(|info| info.state != SnapshotState::InProgress)
            .filter(|info| {
                let matches = |pattern: &String| is_match(pattern, &info.name);
                info.policy.as_deref() == Some(key.as_str())
                    || spec.retention.also_matching.iter().any(matches)
            })
            .map(|info| Candidate {
                name: info.name,
                uuid: info.uuid,
                state: info.state,
                start_ms: info.start_ms,
                locked_until_ms: info.locked_until_ms,
            })
            .collect();
        let of_schedule = spec.schedule.as_ref().map(|schedule| &schedule.time_zone);
        let zone = spec.retention.time_zone.as_ref().or(of_schedule);
        let zone = zone.and_then(|zone| zone_of(zone).ok());
        Ok(judge(
            &spec.retention,
            &zone.unwrap_or(TimeZone::UTC),
            candidates,
            now_ms,
        ))
    }

    async fn retain(&self, key: &PolicyKey) -> Result<PolicyRun, EngineError> {
        let inner = &self.inner;
        let turn = inner.policies.retention_turn(key);
        let _turn = turn.lock().await;
        let policy = self.policy(key).await?;
        let now_ms = inner.config.clock.now_ms();
        let mut run = new_run(&policy, RunKind::Retention, None, now_ms);
        let verdicts = self.verdicts(&policy, now_ms).await;
        run.state = RunState::Success;
        match &verdicts {
            Ok(verdicts) => {
                let due: Vec<String> = verdicts
                    .iter()
                    .filter(|verdict| verdict.delete)
                    .map(|verdict| verdict.snapshot.clone())
                    .collect();
                self.delete_all(&mut run, &due).await;
                if !run.deletion_failures.is_empty() {
                    run.state = RunState::Failed;
                    run.reason = Some(format!(
                        "{} of {} snapshots could not be deleted",
                        run.deletion_failures.len(),
                        due.len()
                    ));
                }
            }
            Err(error) => {
                run.state = RunState::Failed;
                run.reason = Some(error.to_string());
            }
        }
        run.ended_ms = Some(inner.config.clock.now_ms().max(now_ms));
        self.note_retention(key, &run).await?;
        verdicts.map(|_| run)
    }

    /// Deletes snapshots, many at a time; where one is in the way the others go all the same.
    async fn delete_all(&self, run: &mut PolicyRun, names: &[String]) {
        for batch in names.chunks(BATCH) {
            if self.delete_snapshots(&run.repository, batch).await.is_ok() {
                run.deleted.extend_from_slice(batch);
                continue;
            }
            for name in batch {
                let alone = std::slice::from_ref(name);
                match self.delete_snapshots(&run.repository, alone).await {
                    Ok(()) => run.deleted.push(name.clone()),
                    // Somebody else was faster.
                    Err(EngineError::SnapshotMissing { .. }) => {}
                    Err(error) => run.deletion_failures.push(DeletionFailure {
                        snapshot: name.clone(),
                        reason: error.to_string(),
                        at_ms: self.inner.config.clock.now_ms(),
                    }),
                }
            }
        }
    }

    async fn note_retention(&self, key: &PolicyKey, run: &PolicyRun) -> Result<(), EngineError> {
        let deleted = run.deleted.len() as u64;
        let failures = run.deletion_failures.len() as u64;
        let ended_ms = run.ended_ms.unwrap_or(run.started_ms);
        metrics::counter!("snapkeep_policy_deletions_total").increment(deleted);
        let mut write = self.inner.catalogue.write().await?;
        let mut row = write.policy(key).await?.ok_or_else(|| missing(key))?;
        row.record.stats.deleted += deleted;
        row.record.stats.deletion_failures += failures;
        row.record.last_retention = Some(LastRetention {
            started_ms: run.started_ms,
            ended_ms,
            deleted: run.deleted.clone(),
            error: run.reason.clone(),
        });
        row.record
            .deletion_failures
            .clone_from(&run.deletion_failures);
        row.record.deletion_failures.truncate(KEPT_FAILURES);
        if run.state == RunState::Failed {
            let retry_ms = ended_ms + RETENTION_RETRY_MS;
            let next = &mut row.timetable.next_retention_ms;
            *next = next.map(|next| next.min(retry_ms));
        }
        write.put_policy(&row).await?;
        if deleted > 0 || run.state == RunState::Failed {
            write.put_policy_run(key, run).await?;
        }
        let failed = u64::from(run.state == RunState::Failed);
        write
            .change_policy_origin(key.origin.kind(), |origin| {
                let totals = &mut origin.totals;
                totals.retention_runs += 1;
                totals.retention_failed += failed;
                totals.retention_ms += u64::try_from(ended_ms - run.started_ms).unwrap_or_default();
                totals.stats.deleted += deleted;
                totals.stats.deletion_failures += failures;
            })
            .await?;
        write.commit().await
    }
}

/// Whether a name matches a pattern with `*` and `?`.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last `*` was, and what it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[of] => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((back, swallowed)) => {
                    *swallowed += 1;
                    (at, of) = (*back + 1, *swallowed);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn patterns_know_stars_and_question_marks() {
        for (pattern, name) in [
            ("*", ""),
            ("a*", "a"),
            ("*-b?", "x-a-b1"),
            ("a*b*c", "a-b-b-c"),
            ("ab", "ab"),
        ] {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a?", "a"), ("a*b", "abc"), ("b*", "ab")] {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }
}
