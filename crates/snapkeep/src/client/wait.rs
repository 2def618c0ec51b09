//! Waiting for a job, with a progress bar.

use std::time::Duration;

use http::Method;
use snapkeep_api::native::types::{Job, JobState};

use super::backend::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Between two looks at a job: short enough for small snapshots to feel immediate.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Client {
    /// Waits until a job has ended, well or not; Ctrl-C cancels the job.
    pub async fn wait(&self, accepted: Job, output: &Output) -> Result<Job, Failure> {
        let bar = output.progress(&accepted);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut cancelling = false;
        let mut pause = SHORTEST_PAUSE;
        let mut job = accepted;
        while !job.state.is_finished() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = &mut interrupted, if !cancelling => {
                    cancelling = true;
                    bar.note("cancelling");
                    let _: Job = self.call(Method::POST, &["jobs", &job.id, "cancel"], None::<&()>).await?;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            job = self.get(&["jobs", &job.id]).await?;
            bar.update(&job);
        }
        bar.finish();
        Ok(job)
    }
}

/// The job, unless it failed or was cancelled.
pub fn succeeded(job: Job) -> Result<Job, Failure> {
    match job.state {
        JobState::Failed => {
            let reason = job
                .error
                .unwrap_or_else(|| "no reason was recorded".to_owned());
            Err(Failure::new(Exit::Failed, "job_failed", reason)
                .hint(format!("details: snapkeep job show {}", job.id)))
        }
        JobState::Cancelled => Err(Failure::new(
            Exit::Cancelled,
            "cancelled",
            format!("job {} was cancelled", job.id),
        )),
        _ => Ok(job),
    }
}
