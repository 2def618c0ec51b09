//! What all workers have in common.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::model::{WorkerInfo, WorkerState};

/// First pause after an error; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after an error.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What a step of work leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// There is more to do at once.
    More,
    /// Nothing to do until woken, or until so much time has passed. The text says what was done last.
    Idle(Duration, String),
}

/// A background duty, done in steps. A step may be cut off between two `await`s when the server stops.
pub(crate) trait Worker: Send + 'static {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Does one step.
    fn step(
        &mut self,
        inner: &Arc<Inner>,
    ) -> impl Future<Output = Result<Step, EngineError>> + Send;
}

#[derive(Debug)]
struct Entry {
    info: Arc<Mutex<WorkerInfo>>,
    wake: Arc<Notify>,
    task: Option<JoinHandle<()>>,
}

/// All workers.
pub(crate) struct Workers {
    entries: Mutex<Vec<Entry>>,
    stop: CancellationToken,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
            stop: CancellationToken::new(),
        }
    }

    /// Starts a worker.
    pub(crate) fn spawn(&self, inner: &Arc<Inner>, worker: impl Worker) {
        let info = Arc::new(Mutex::new(WorkerInfo {
            name: worker.name().to_owned(),
            state: WorkerState::Idle,
            status: String::new(),
            errors: 0,
            last_error: None,
        }));
        let wake = Arc::new(Notify::new());
        // A weak reference: workers must not keep an engine alive that everybody else has dropped.
        let run = run(
            worker,
            Arc::downgrade(inner),
            Arc::clone(&info),
            Arc::clone(&wake),
            self.stop.clone(),
        );
        let task = Some(inner.runtime.spawn(run));
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Entry { info, wake, task });
    }

    /// Tells a worker that there is something to do.
    pub(crate) fn wake(&self, name: &str) {
        for entry in self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            if entry
                .info
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .name
                == name
            {
                entry.wake.notify_one();
            }
        }
    }

    /// What they do.
    pub(crate) fn list(&self) -> Vec<WorkerInfo> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|entry| {
                entry
                    .info
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            })
            .collect()
    }

    /// Stops them all and waits, for so long at most.
    pub(crate) async fn stop(&self, longest: Duration) {
        self.stop.cancel();
        let tasks: Vec<JoinHandle<()>> = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries
                .iter_mut()
                .filter_map(|entry| entry.task.take())
                .collect()
        };
        for task in tasks {
            if tokio::time::timeout(longest, task).await.is_err() {
                tracing::warn!("a background worker did not stop in time");
            }
        }
    }
}

async fn run(
    mut worker: impl Worker,
    inner: Weak<Inner>,
    info: Arc<Mutex<WorkerInfo>>,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    let note = |change: &dyn Fn(&mut WorkerInfo)| {
        change(&mut info.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(inner) = inner.upgrade() else { break };
        note(&|info| info.state = WorkerState::Busy);
        let step = tokio::select! {
            step = worker.step(&inner) => step,
            () = stop.cancelled() => break,
        };
        drop(inner);
        let wait = match step {
            Ok(Step::More) => continue,
            Ok(Step::Idle(wait, status)) => {
                pause = FIRST_PAUSE;
                note(&|info| {
                    info.state = WorkerState::Idle;
                    info.status.clone_from(&status);
                });
                wait
            }
            Err(error) => {
                tracing::warn!(worker = worker.name(), %error, "a background worker failed and will try again");
                note(&|info| {
                    info.state = WorkerState::BackingOff;
                    info.errors += 1;
                    info.last_error = Some(error.to_string());
                });
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = wake.notified() => {}
            () = stop.cancelled() => break,
        }
    }
    note(&|info| info.state = WorkerState::Stopped);
}
