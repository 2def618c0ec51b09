//! Writes the progress of running jobs to the catalogue, which also says that this process lives, and tells listeners.

use std::sync::Arc;
use std::time::Duration;

use super::{Step, Worker};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::model::JobProgress;

/// Pause between two notes.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct ProgressWorker;

impl Worker for ProgressWorker {
    fn name(&self) -> &'static str {
        "job-progress"
    }

    async fn step(&mut self, inner: &Arc<Inner>) -> Result<Step, EngineError> {
        let running: Vec<_> = inner
            .activity()
            .jobs
            .values()
            .map(|job| job.info())
            .collect();
        let progress: Vec<(String, JobProgress)> = running
            .iter()
            .map(|info| (info.id.clone(), info.progress.clone()))
            .collect();
        let count = progress.len();
        for info in running {
            inner.announce(info);
        }
        if count > 0 {
            inner
                .catalogue
                .renew_jobs(&inner.owner, &progress, inner.config.clock.now_ms())
                .await?;
        }
        Ok(Step::Idle(PAUSE, format!("{count} jobs run")))
    }
}
