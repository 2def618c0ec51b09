//! Runs: a snapshot taken for a policy, from the moment it is due to the outcome.
//!
//! The row of a run is durable before anything is begun, so that a server that dies leaves a trace; [`super::recover`] ends it.

use std::sync::Arc;

use serde_json::{Map, Value};
use snapkeep_drivers::ResourceKind;

use super::change::missing;
use super::naming;
use super::scheduler::NAME as WORKER;
use super::timetable::Due;
use crate::catalogue::PolicyRecord;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::ids::new_uuid;
use crate::model::{
    CreateSnapshot, LastRun, OriginKind, Policy, PolicyKey, PolicyRun, RunKind, RunState,
    Selection, SnapshotInfo, SnapshotState, SnapshotTicket,
};
use crate::selection::{Candidate, Expand, Options, SelectionError, resolve};

/// A run that begins now.
pub(super) fn new_run(policy: &Policy, kind: RunKind, due: Option<Due>, now_ms: i64) -> PolicyRun {
    PolicyRun {
        id: new_uuid(),
        kind,
        scheduled_ms: due.map(|due| due.scheduled_ms),
        missed: due.map_or(0, |due| due.missed),
        started_ms: now_ms,
        ended_ms: None,
        state: RunState::Running,
        repository: policy.spec.repository.clone(),
        snapshot: None,
        snapshot_uuid: None,
        job_id: None,
        reason: None,
        verification: None,
        deleted: Vec::new(),
        deletion_failures: Vec::new(),
    }
}

impl Engine {
    /// Begins a run now, whatever the schedule says and also when the policy is disabled or its scheduler stopped. Fails when a run
    /// of it is under way ([`EngineError::PolicyRunning`]). The outcome is recorded like that of any other run.
    pub async fn run_policy(&self, key: &PolicyKey) -> Result<SnapshotTicket, EngineError> {
        let engine = self.clone();
        let key = key.clone();
        self.detached(async move { engine.run_policy_here(&key).await })
            .await
    }

    async fn run_policy_here(&self, key: &PolicyKey) -> Result<SnapshotTicket, EngineError> {
        let inner = &self.inner;
        let policy = self.policy(key).await?;
        let now_ms = inner.config.clock.now_ms();
        let run = new_run(&policy, RunKind::Snapshot, None, now_ms);
        if !inner.policies.begin(key, &run) {
            return Err(EngineError::PolicyRunning {
                policy: key.clone(),
            });
        }
        let noted = async {
            let mut write = inner.catalogue.write().await?;
            write.policy(key).await?.ok_or_else(|| missing(key))?;
            write.put_policy_run(key, &run).await?;
            write.commit().await
        };
        if let Err(error) = noted.await {
            inner.policies.end(key);
            return Err(error);
        }
        let (run, ticket) = self.begin(&policy, run).await?;
        let (engine, of_run) = (self.clone(), ticket.clone());
        let followed = inner.policies.follow();
        inner.runtime.spawn(async move {
            let _followed = followed;
            engine.follow(&policy, run, &of_run).await;
        });
        Ok(ticket)
    }

    /// Takes the snapshot of a run that is noted, and follows it to its end.
    pub(super) async fn carry_out(&self, policy: &Policy, run: PolicyRun) {
        // Why it could not begin is recorded with the run.
        if let Ok((run, ticket)) = self.begin(policy, run).await {
            self.follow(policy, run, &ticket).await;
        }
    }

    /// Begins the snapshot of a run; when that fails the run has ended.
    async fn begin(
        &self,
        policy: &Policy,
        mut run: PolicyRun,
    ) -> Result<(PolicyRun, SnapshotTicket), EngineError> {
        let inner = &self.inner;
        match self.accept_run(policy, &mut run).await {
            Ok(ticket) => {
                inner.policies.update(&policy.key, &run);
                if let Err(error) = inner.note_run(&policy.key, &run).await {
                    tracing::error!(policy = %policy.key, %error, "the snapshot of a run could not be noted");
                }
                Ok((run, ticket))
            }
            Err(error) => {
                run.reason = Some(error.to_string());
                self.end_run(policy, run, RunState::Failed).await;
                Err(error)
            }
        }
    }

    async fn accept_run(
        &self,
        policy: &Policy,
        run: &mut PolicyRun,
    ) -> Result<SnapshotTicket, EngineError> {
        let spec = &policy.spec;
        let name = naming::name(&spec.name_template, run.started_ms).map_err(|reason| {
            EngineError::PolicyInvalid {
                policy: policy.key.clone(),
                field: "name_template",
                reason,
            }
        })?;
        run.snapshot = Some(name.clone());
        let selection = spec.selection.clone();
        let (indices, collections) = self
            .inner
            .blocking(move |inner| select(inner, &selection))
            .await?;
        let request = CreateSnapshot {
            name,
            indices,
            collections,
            partial: spec.selection.partial,
            include_global_state: spec.selection.include_global_state,
            metadata: metadata(policy),
            policy: Some(policy.key.to_string()),
            ..CreateSnapshot::default()
        };
        let ticket = self.create_snapshot(&spec.repository, request).await?;
        run.snapshot = Some(ticket.name.clone());
        run.snapshot_uuid = Some(ticket.uuid.clone());
        run.job_id = Some(ticket.job_id.clone());
        if let Some(lock_ms) = spec.lock_ms {
            let until_ms = run.started_ms.saturating_add(lock_ms);
            // Before the snapshot is complete: there is no moment in which it is, and is not locked.
            if let Err(error) = self.lock_running(&ticket, until_ms).await {
                let reason = format!("its snapshot could not be locked: {error}");
                tracing::error!(policy = %policy.key, reason, "a run of a policy is cancelled");
                self.cancel_job(&ticket.job_id).await?;
                run.reason = Some(reason);
            }
        }
        Ok(ticket)
    }

    /// Waits for the end of a snapshot, records it, and does what comes after a run.
    async fn follow(&self, policy: &Policy, mut run: PolicyRun, ticket: &SnapshotTicket) {
        let ended = self.wait_snapshot(ticket).await;
        let (state, reason) = match &ended {
            Ok(info) => outcome(info),
            Err(EngineError::SnapshotMissing { .. }) => {
                let reason = "the snapshot was deleted while it was taken".to_owned();
                (RunState::Failed, Some(reason))
            }
            Err(error) => (RunState::Failed, Some(error.to_string())),
        };
        run.reason = run.reason.take().or(reason);
        let is_good = matches!(state, RunState::Success | RunState::Partial);
        if !is_good && policy.spec.lock_ms.is_some() {
            self.lift_lock_of_failed(ticket).await;
        }
        let mut run = self.end_run(policy, run, state).await;
        if is_good && let Some(share) = policy.spec.verification.sample_after_run {
            self.verify_run(policy, &mut run, share).await;
        }
        if policy.spec.retention_schedule.is_none()
            && policy.spec.retention.has_rules()
            && let Err(error) = self.retain_after_run(&policy.key).await
        {
            tracing::warn!(policy = %policy.key, %error, "retention after a run failed; it is tried again within the hour");
        }
    }

    /// Records the end of a run.
    async fn end_run(&self, policy: &Policy, mut run: PolicyRun, state: RunState) -> PolicyRun {
        let inner = &self.inner;
        run.state = state;
        run.ended_ms = Some(inner.config.clock.now_ms().max(run.started_ms));
        if let Err(error) = inner.note_run_end(&policy.key, &run).await {
            tracing::error!(policy = %policy.key, %error, "the end of a run could not be noted; it counts as failed after the next start");
        }
        inner.policies.end(&policy.key);
        // One may wait for its end.
        inner.workers.wake(WORKER);
        run
    }
}

impl Inner {
    /// Notes what is known of a run, unless its policy was removed.
    pub(super) async fn note_run(
        &self,
        key: &PolicyKey,
        run: &PolicyRun,
    ) -> Result<(), EngineError> {
        let mut write = self.catalogue.write().await?;
        if write.policy(key).await?.is_some() {
            write.put_policy_run(key, run).await?;
        }
        write.commit().await
    }

    /// Notes the end of a run that took a snapshot or tried to, and counts it.
    pub(super) async fn note_run_end(
        &self,
        key: &PolicyKey,
        run: &PolicyRun,
    ) -> Result<(), EngineError> {
        let origin = key.origin.kind();
        metrics::counter!("snapkeep_policy_runs_total", "origin" => origin.as_str(), "state" => run.state.as_str())
            .increment(1);
        let mut write = self.catalogue.write().await?;
        if let Some(mut row) = write.policy(key).await? {
            record_end(&mut row.record, run);
            write.put_policy_run(key, run).await?;
            write.put_policy(&row).await?;
        }
        write
            .change_policy_origin(origin, |row| match run.state {
                RunState::Success => row.totals.stats.taken += 1,
                RunState::Skipped => row.totals.stats.skipped += 1,
                _ => row.totals.stats.failed += 1,
            })
            .await?;
        write.commit().await
    }
}

/// Counts a run, and keeps it as the last of its kind.
fn record_end(record: &mut PolicyRecord, run: &PolicyRun) {
    let last = LastRun {
        snapshot: run.snapshot.clone().unwrap_or_default(),
        started_ms: run.started_ms,
        ended_ms: run.ended_ms.unwrap_or(run.started_ms),
        details: run.reason.clone(),
    };
    match run.state {
        RunState::Success => {
            record.stats.taken += 1;
            record.last_success = Some(last);
        }
        RunState::Skipped => record.stats.skipped += 1,
        RunState::Running | RunState::Partial | RunState::Failed => {
            record.stats.failed += 1;
            record.last_failure = Some(last);
        }
    }
}

/// How a run ended whose snapshot ended like this.
pub(super) fn outcome(info: &SnapshotInfo) -> (RunState, Option<String>) {
    match info.state {
        SnapshotState::Success => (RunState::Success, None),
        SnapshotState::Partial => {
            let first = info.failures.first();
            let first = first.map(|failure| format!(", the first: {}", failure.reason));
            let reason = format!(
                "{} of {} shards are missing{}",
                info.shards_failed,
                info.shards_total,
                first.unwrap_or_default()
            );
            (RunState::Partial, Some(reason))
        }
        SnapshotState::Failed | SnapshotState::Incompatible | SnapshotState::InProgress => {
            let reason = info.reason.clone();
            (
                RunState::Failed,
                reason.or_else(|| Some("the snapshot failed".to_owned())),
            )
        }
    }
}

/// What is kept with the snapshot: SLM and SM also note the name of the policy.
fn metadata(policy: &Policy) -> Option<Map<String, Value>> {
    let field = match policy.key.origin.kind() {
        OriginKind::Slm => "policy",
        OriginKind::Sm => "sm_policy",
        OriginKind::HuaweiCss | OriginKind::Alibaba | OriginKind::Native => {
            return policy.spec.metadata.clone();
        }
    };
    let mut metadata = policy.spec.metadata.clone().unwrap_or_default();
    metadata.insert(field.to_owned(), policy.key.name.clone().into());
    Some(metadata)
}

/// Concrete names of indices and collections. Blocks.
fn select(
    inner: &Arc<Inner>,
    selection: &Selection,
) -> Result<(Vec<String>, Vec<String>), EngineError> {
    let resources = inner
        .driver
        .resources()
        .map_err(|error| EngineError::Internal(error.to_string()))?;
    let options = Options {
        ignore_unavailable: selection.ignore_unavailable,
        allow_no_indices: true,
        expand: Expand {
            open: selection.expand_open,
            closed: selection.expand_closed,
            hidden: selection.expand_hidden,
        },
        forbid_closed: false,
        aliases: true,
    };
    let resolved = |kind: ResourceKind, expressions: &[String], options: &Options| {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let candidates: Vec<Candidate> = resources
            .iter()
            .filter(|resource| resource.kind == kind && !resource.restoring)
            .map(|resource| Candidate {
                name: resource.name.clone(),
                aliases: resource.aliases.clone(),
                open: resource.open,
                hidden: resource.hidden,
            })
            .collect();
        resolve(expressions, &candidates, options)
    };
    let indices = resolved(ResourceKind::Index, &selection.indices, &options).map_err(|error| {
        EngineError::IndexMissing {
            index: named(error),
        }
    })?;
    // Collections know neither closed nor hidden ones.
    let of_collections = Options {
        expand: Expand::ALL,
        ..options
    };
    let collections = resolved(
        ResourceKind::Collection,
        &selection.collections,
        &of_collections,
    )
    .map_err(|error| EngineError::CollectionMissing {
        collection: named(error),
    })?;
    Ok((indices, collections))
}

fn named(error: SelectionError) -> String {
    match error {
        SelectionError::Missing(name) | SelectionError::Closed(name) => name,
    }
}
