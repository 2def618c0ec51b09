//! The store's background duties, each a thread with a name that does one step a second.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::Database;

use super::guard::Guard;
use super::keyspaces::Doomed;
use super::watchdog::Watch;
use crate::StoreError;
use crate::search::Contexts;

const TICK: Duration = Duration::from_secs(1);

/// A running duty; its last step is done and its thread ended when dropped.
pub(super) struct Worker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Looks for stuck commits. It touches no disk itself, so that a stuck disk cannot hold it up.
    pub(super) fn watchdog(watch: Arc<Watch>) -> Result<Self, StoreError> {
        Self::start("store-watchdog", move || watch.check_stalls())
    }

    /// Syncs the guard file, drops expired search contexts, removes what deleted indices,
    /// collections and tenants left.
    pub(super) fn housekeeper(
        guard: Arc<Guard>,
        contexts: Arc<Contexts>,
        doomed: Arc<Doomed>,
        db: Database,
    ) -> Result<Self, StoreError> {
        Self::start("store-housekeeper", move || {
            if let Err(error) = guard.sync() {
                tracing::warn!(%error, "the list of acknowledged operations was not synced");
            }
            contexts.expire();
            doomed.purge(&db, &guard);
            doomed.remove(&db);
        })
    }

    fn start(name: &str, mut step: impl FnMut() + Send + 'static) -> Result<Self, StoreError> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                loop {
                    let waited = stopped.recv_timeout(TICK);
                    step();
                    if !matches!(waited, Err(RecvTimeoutError::Timeout)) {
                        return;
                    }
                }
            })
            .map_err(|cause| StoreError::storage("start", format!("thread {name}"), cause))?;
        Ok(Worker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a background thread of the document store panicked");
        }
    }
}
