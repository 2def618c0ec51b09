//! Verification: a sample after each run, everything by schedule; through the check jobs of the repository.

use super::run::new_run;
use super::timetable::Due;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{
    CheckRequest, JobState, Policy, PolicyRun, RunKind, RunState, VerificationOutcome,
};

impl Engine {
    /// Checks the repository after a good run; the outcome becomes part of the run.
    pub(super) async fn verify_run(&self, policy: &Policy, run: &mut PolicyRun, share: f64) {
        let outcome = self
            .check_for(&run.repository, CheckRequest::Sample(share))
            .await;
        tell(policy, &outcome);
        run.verification = Some(outcome);
        if let Err(error) = self.inner.note_run(&policy.key, run).await {
            tracing::error!(policy = %policy.key, %error, "the outcome of a verification could not be noted");
        }
    }

    /// Reads everything in the repository of a policy; a run of its own. Noted as under way before, so that one that is cut off is
    /// told as failed.
    pub(super) async fn verify_all(&self, policy: &Policy, due: Due) {
        let inner = &self.inner;
        let started_ms = inner.config.clock.now_ms();
        let mut run = new_run(policy, RunKind::Verification, Some(due), started_ms);
        if let Err(error) = inner.note_run(&policy.key, &run).await {
            tracing::error!(policy = %policy.key, %error, "a verification could not be noted");
        }
        let outcome = self.check_for(&run.repository, CheckRequest::All).await;
        tell(policy, &outcome);
        run.ended_ms = Some(inner.config.clock.now_ms().max(started_ms));
        run.job_id.clone_from(&outcome.job_id);
        run.reason.clone_from(&outcome.problem);
        run.state = match outcome.ok {
            Some(true) => RunState::Success,
            _ => RunState::Failed,
        };
        run.verification = Some(outcome.clone());
        let noted = async {
            let mut write = inner.catalogue.write().await?;
            if let Some(mut row) = write.policy(&policy.key).await? {
                row.record.last_verification = Some(outcome);
                write.put_policy(&row).await?;
                write.put_policy_run(&policy.key, &run).await?;
            }
            write.commit().await
        };
        if let Err(error) = noted.await {
            tracing::error!(policy = %policy.key, %error, "the outcome of a verification could not be noted");
        }
    }

    async fn check_for(&self, repository: &str, request: CheckRequest) -> VerificationOutcome {
        let checked = async {
            let ticket = self.check(repository, request).await?;
            let job = self.wait_job(&ticket.job_id).await?;
            Ok::<_, EngineError>((ticket.job_id, job))
        };
        let (job_id, ok, problem) = match checked.await {
            Ok((id, job)) => match job.state {
                JobState::Succeeded => (Some(id), Some(true), None),
                JobState::Failed => (Some(id), Some(false), job.error),
                JobState::Queued | JobState::Running | JobState::Cancelled => {
                    (Some(id), None, job.error)
                }
            },
            Err(error) => (None, None, Some(error.to_string())),
        };
        VerificationOutcome {
            job_id,
            ok,
            problem,
            ended_ms: Some(self.inner.config.clock.now_ms()),
        }
    }
}

/// A repository that is not what it should be must not only be found by whoever looks.
fn tell(policy: &Policy, outcome: &VerificationOutcome) {
    if outcome.ok != Some(true) {
        let problem = outcome.problem.as_deref().unwrap_or("it was cut off");
        tracing::error!(
            policy = %policy.key,
            repository = policy.spec.repository,
            problem,
            "a verification did not succeed"
        );
    }
    let result = match outcome.ok {
        Some(true) => "good",
        Some(false) => "bad",
        None => "unknown",
    };
    metrics::counter!("snapkeep_policy_verifications_total", "result" => result).increment(1);
}
