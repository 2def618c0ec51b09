//! Background workers: each has a name, a status and a count of its errors, and backs off after one.

mod progress;
mod prune;
mod registry;
mod rescan;

use std::sync::Arc;

pub(crate) use prune::NAME as PRUNE_WORKER;
pub(crate) use registry::{Step, Worker, Workers};

use crate::engine::{Engine, Inner};
use crate::model::WorkerInfo;

/// Starts them all.
pub(crate) fn start(inner: &Arc<Inner>) {
    inner.workers.spawn(inner, progress::ProgressWorker);
    inner
        .workers
        .spawn(inner, crate::audit::AuditWorker::default());
    inner.workers.spawn(inner, rescan::RescanWorker::default());
    inner.workers.spawn(inner, prune::PruneWorker::default());
    if inner.config.run_policies {
        inner
            .workers
            .spawn(inner, crate::policies::PolicyWorker::default());
    }
}

impl Engine {
    /// The background workers.
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.inner.workers.list()
    }
}
