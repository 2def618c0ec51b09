//! Beginning and ending jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{Activity, RunningJob};
use crate::catalogue::{JobEnd, NewJob, WriteTransaction};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::ids::new_uuid;
use crate::model::{JobEvent, JobInfo, JobKind, JobProgress, JobState};

/// A job to begin.
#[derive(Debug)]
pub(crate) struct JobSpec<'a> {
    pub(crate) kind: JobKind,
    pub(crate) repository: &'a str,
    pub(crate) vault: &'a str,
    pub(crate) subject: &'a str,
    /// Ids of what it makes, removes or writes to, for clients.
    pub(crate) resources: &'a [String],
    /// What the next process needs to know if this one dies.
    pub(crate) input: Value,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) state: JobState,
    pub(crate) error: Option<String>,
    pub(crate) result: Option<Value>,
}

impl Outcome {
    pub(crate) fn success(result: Option<Value>) -> Self {
        Self {
            state: JobState::Succeeded,
            error: None,
            result,
        }
    }

    pub(crate) fn failure(error: impl Into<String>) -> Self {
        Self {
            state: JobState::Failed,
            error: Some(error.into()),
            result: None,
        }
    }

    pub(crate) fn cancelled(reason: impl Into<String>) -> Self {
        Self {
            state: JobState::Cancelled,
            error: Some(reason.into()),
            result: None,
        }
    }
}

/// A job as it is when it has ended with `outcome`.
pub(super) fn ended_by(mut info: JobInfo, outcome: Outcome, now_ms: i64) -> JobInfo {
    info.state = outcome.state;
    info.finished_ms = Some(now_ms);
    info.error = outcome.error;
    info.result = outcome.result;
    info
}

impl Inner {
    /// Begins a job. `admit` is asked under the lock of [`Activity`] whether it may run beside what runs, and notes there what
    /// excludes others; `withdraw` undoes those notes when the job cannot be written to the catalogue.
    pub(crate) async fn begin_job(
        &self,
        spec: JobSpec<'_>,
        admit: impl FnOnce(&mut Activity, &Arc<RunningJob>) -> Result<(), EngineError>,
        withdraw: impl FnOnce(&mut Activity),
    ) -> Result<Arc<RunningJob>, EngineError> {
        let id = new_uuid();
        let now_ms = self.config.clock.now_ms();
        let info = JobInfo {
            id: id.clone(),
            kind: spec.kind,
            repository: spec.repository.to_owned(),
            subject: spec.subject.to_owned(),
            resources: spec.resources.to_vec(),
            state: JobState::Running,
            created_ms: now_ms,
            started_ms: Some(now_ms),
            finished_ms: None,
            progress: JobProgress::default(),
            error: None,
            result: None,
        };
        let job = RunningJob::new(info, spec.vault.to_owned());
        {
            let mut activity = self.activity();
            if activity.closed {
                return Err(EngineError::ShuttingDown);
            }
            admit(&mut activity, &job)?;
            activity.jobs.insert(id.clone(), Arc::clone(&job));
        }
        let new = NewJob {
            id: &id,
            kind: spec.kind,
            repository: spec.repository,
            subject: spec.subject,
            resources: spec.resources,
            owner: &self.owner,
            input: &spec.input,
            now_ms,
        };
        if let Err(error) = self.catalogue.add_job(&new).await {
            {
                let mut activity = self.activity();
                activity.jobs.remove(&id);
                withdraw(&mut activity);
            }
            let mut info = job.info();
            info.state = JobState::Failed;
            info.error = Some(error.to_string());
            job.end(info);
            return Err(error);
        }
        metrics::gauge!("snapkeep_jobs_running").set(self.activity().jobs.len() as f64);
        self.announce(job.info());
        Ok(job)
    }

    /// The job as it will be when it has ended with `outcome`.
    pub(crate) fn ended_info(&self, job: &RunningJob, outcome: Outcome) -> JobInfo {
        ended_by(job.info(), outcome, self.config.clock.now_ms())
    }

    /// Adds the end of a job to a transaction.
    pub(crate) async fn note_job_end(
        &self,
        write: &mut WriteTransaction<'_>,
        info: &JobInfo,
    ) -> Result<(), EngineError> {
        let end = JobEnd {
            state: info.state,
            progress: info.progress.clone(),
            error: info.error.clone(),
            result: info.result.clone(),
            now_ms: info.finished_ms.unwrap_or_default(),
        };
        write.finish_job(&info.id, &self.owner, &end).await
    }

    /// Removes an ended job from memory, with what it excluded, and tells everybody. After the catalogue, so that nobody sees
    /// neither the running job nor its result.
    pub(crate) fn retire_job(
        &self,
        job: &RunningJob,
        info: JobInfo,
        release: impl FnOnce(&mut Activity),
    ) {
        let running = {
            let mut activity = self.activity();
            activity.jobs.remove(&info.id);
            release(&mut activity);
            activity.jobs.len()
        };
        metrics::gauge!("snapkeep_jobs_running").set(running as f64);
        metrics::counter!("snapkeep_jobs_total", "kind" => info.kind.as_str(), "state" => info.state.as_str())
            .increment(1);
        if let (Some(started_ms), Some(finished_ms)) = (info.started_ms, info.finished_ms) {
            metrics::histogram!("snapkeep_job_seconds", "kind" => info.kind.as_str())
                .record((finished_ms - started_ms).max(0) as f64 / 1000.0);
        }
        // Whoever waited for the end finds the event of it already sent.
        self.announce(info.clone());
        job.end(info);
    }

    /// Ends a job that has nothing else to note.
    pub(crate) async fn end_job(
        &self,
        job: &RunningJob,
        outcome: Outcome,
        release: impl FnOnce(&mut Activity),
    ) -> JobInfo {
        let info = self.ended_info(job, outcome);
        let noted = async {
            let mut write = self.catalogue.write().await?;
            self.note_job_end(&mut write, &info).await?;
            write.commit().await
        }
        .await;
        if let Err(error) = noted {
            tracing::error!(job = %info.id, %error, "the end of a job could not be noted; it will be failed at the next start");
        }
        self.retire_job(job, info.clone(), release);
        info
    }

    /// Tells everybody who listens how a job stands.
    pub(crate) fn announce(&self, job: JobInfo) {
        // Nobody listening is no error.
        let _ = self.events.send(JobEvent { job });
    }

    /// Runs `work` on a thread of its own, on which blocking is allowed. A panic in it becomes an error for `end`.
    pub(crate) fn spawn_job<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
        end: impl FnOnce(&Arc<Self>, Result<T, EngineError>) + Send + 'static,
    ) {
        let inner = Arc::clone(self);
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&inner))).unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "panic".to_owned());
                Err(EngineError::Internal(text))
            });
            end(&inner, result);
        };
        // A thread of its own and not the runtime's pool: that is bounded, and jobs may last for hours.
        let task = Arc::new(Mutex::new(Some(run)));
        let of_thread = Arc::clone(&task);
        let spawned = std::thread::Builder::new()
            .name(format!("job-{name}"))
            .spawn(move || run_once(&of_thread));
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for a job; it shares one of the pool");
            self.runtime.spawn_blocking(move || run_once(&task));
        }
    }
}

fn run_once(task: &Mutex<Option<impl FnOnce()>>) {
    let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(task) = task {
        task();
    }
}
