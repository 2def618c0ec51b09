//! A job that runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use snapkeep_vault::CancelFlag;
use tokio::sync::watch;

use crate::model::{JobInfo, JobKind, JobProgress};

/// Tells how far a job is.
pub(crate) type ProgressSource = Box<dyn Fn() -> JobProgress + Send + Sync>;

/// A job that runs, shared by the thread that does it and those who watch.
pub(crate) struct RunningJob {
    /// Id of the restic repository it works on.
    pub(crate) vault: String,
    /// Raised to stop it.
    pub(crate) cancel: CancelFlag,
    info: Mutex<JobInfo>,
    cancel_reason: Mutex<Option<String>>,
    progress: Mutex<Option<ProgressSource>>,
    ended: watch::Sender<bool>,
}

impl fmt::Debug for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningJob")
            .field("info", &*self.lock(&self.info))
            .finish_non_exhaustive()
    }
}

impl RunningJob {
    pub(crate) fn new(info: JobInfo, vault: String) -> Arc<Self> {
        Arc::new(Self {
            vault,
            cancel: CancelFlag::new(),
            info: Mutex::new(info),
            cancel_reason: Mutex::new(None),
            progress: Mutex::new(None),
            ended: watch::Sender::new(false),
        })
    }

    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job as it is now.
    pub(crate) fn info(&self) -> JobInfo {
        let mut info = self.lock(&self.info).clone();
        if !info.state.is_finished()
            && let Some(progress) = self.lock(&self.progress).as_ref()
        {
            info.progress = progress();
        }
        info
    }

    /// What it does and the repository it works on, without its progress.
    pub(crate) fn work(&self) -> (JobKind, String) {
        let info = self.lock(&self.info);
        (info.kind, info.repository.clone())
    }

    /// Its id.
    pub(crate) fn id(&self) -> String {
        self.lock(&self.info).id.clone()
    }

    /// Sets where its progress comes from.
    pub(crate) fn set_progress(&self, source: ProgressSource) {
        *self.lock(&self.progress) = Some(source);
    }

    /// Asks it to stop; the first reason given counts.
    pub(crate) fn cancel(&self, reason: &str) {
        self.lock(&self.cancel_reason)
            .get_or_insert_with(|| reason.to_owned());
        self.cancel.cancel();
    }

    /// Why it was asked to stop, if it was.
    pub(crate) fn cancel_reason(&self) -> Option<String> {
        self.lock(&self.cancel_reason).clone()
    }

    /// Notes the end and wakes everybody who waits.
    pub(crate) fn end(&self, info: JobInfo) {
        *self.lock(&self.info) = info;
        *self.lock(&self.progress) = None;
        self.ended.send_replace(true);
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) {
        // The sender is part of `self`: it cannot go away meanwhile.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}
