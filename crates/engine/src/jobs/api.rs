//! Jobs as dialects see them.

use tokio::sync::broadcast;

use super::CANCELLED_ON_REQUEST;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{JobEvent, JobInfo};

/// Jobs that a list shows.
const LISTED_JOBS: u32 = 500;

impl Engine {
    /// Jobs, newest first: all that run and the latest finished ones.
    pub async fn jobs(&self) -> Result<Vec<JobInfo>, EngineError> {
        let rows = self.inner.catalogue.jobs(LISTED_JOBS).await?;
        let activity = self.inner.activity();
        Ok(rows
            .into_iter()
            .map(|row| {
                activity
                    .jobs
                    .get(&row.info.id)
                    .map_or(row.info, |running| running.info())
            })
            .collect())
    }

    /// One job.
    pub async fn job(&self, id: &str) -> Result<JobInfo, EngineError> {
        let running = self.inner.activity().jobs.get(id).cloned();
        if let Some(running) = running {
            return Ok(running.info());
        }
        let row = self.inner.catalogue.job(id).await?;
        row.map(|row| row.info)
            .ok_or_else(|| EngineError::JobMissing { id: id.to_owned() })
    }

    /// Waits until a job has ended.
    pub async fn wait_job(&self, id: &str) -> Result<JobInfo, EngineError> {
        let running = self.inner.activity().jobs.get(id).cloned();
        match running {
            Some(running) => {
                running.wait().await;
                Ok(running.info())
            }
            None => self.job(id).await,
        }
    }

    /// Asks a job to stop and returns it; one that has ended stays as it is.
    pub async fn cancel_job(&self, id: &str) -> Result<JobInfo, EngineError> {
        let running = self.inner.activity().jobs.get(id).cloned();
        match running {
            Some(running) => {
                running.cancel(CANCELLED_ON_REQUEST);
                Ok(running.info())
            }
            None => self.job(id).await,
        }
    }

    /// What happens to jobs from now on. A receiver that lags loses the oldest events.
    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.inner.events.subscribe()
    }
}
