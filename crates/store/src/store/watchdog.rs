//! Once a second: watches commits, syncs the guard file, drops expired search contexts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::guard::Guard;
use crate::StoreError;
use crate::search::Contexts;

/// A commit older than this makes the store refuse further writes until it comes back.
const STALL_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(1);

/// Commits under way, with their begin.
#[derive(Default)]
pub(crate) struct Watch {
    next_id: AtomicU64,
    /// Age of the oldest commit in seconds when it exceeds the limit, else 0.
    stalled_s: AtomicU64,
    running: Mutex<BTreeMap<u64, Instant>>,
}

impl Watch {
    /// Refuses when a commit is stuck, else registers a new one until the result is dropped.
    pub(crate) fn enter(&self) -> Result<Running<'_>, StoreError> {
        let seconds = self.stalled_s.load(Ordering::Relaxed);
        if seconds > 0 {
            return Err(StoreError::Stalled { seconds });
        }
        Ok(self.register())
    }

    /// Registers the second half of a commit, which is never refused.
    pub(crate) fn register(&self) -> Running<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Instant::now());
        Running { watch: self, id }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, limit: Duration) {
        let age = self
            .lock()
            .values()
            .next()
            .map_or(Duration::ZERO, Instant::elapsed);
        let seconds = if age > limit { age.as_secs().max(1) } else { 0 };
        let before = self.stalled_s.swap(seconds, Ordering::Relaxed);
        if seconds > 0 && before == 0 {
            tracing::error!(
                seconds,
                "a commit of the document store is stuck; writes are refused until it comes back: check the disk"
            );
        } else if seconds == 0 && before > 0 {
            tracing::info!("the document store accepts writes again");
        }
    }
}

/// A registered commit.
pub(crate) struct Running<'a> {
    watch: &'a Watch,
    id: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.watch.lock().remove(&self.id);
    }
}

/// The thread; ends when dropped.
pub(crate) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn start(
        watch: Arc<Watch>,
        guard: Arc<Guard>,
        contexts: Arc<Contexts>,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("store-watchdog".to_owned())
            .spawn(move || run(&watch, &guard, &contexts, &stopped))
            .map_err(|cause| StoreError::storage("start", "the watchdog thread", cause))?;
        Ok(Watchdog {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn run(watch: &Watch, guard: &Guard, contexts: &Contexts, stopped: &Receiver<()>) {
    loop {
        let is_last = !matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout));
        watch.check(STALL_LIMIT);
        contexts.stats();
        if let Err(error) = guard.sync() {
            tracing::warn!(%error, "the list of acknowledged operations was not synced");
        }
        if is_last {
            return;
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_refused_while_a_commit_is_stuck_and_accepted_afterwards() {
        let watch = Watch::default();
        let stuck = watch.enter().unwrap();
        watch.check(Duration::ZERO);
        assert!(matches!(watch.enter(), Err(StoreError::Stalled { .. })));
        drop(stuck);
        watch.check(Duration::ZERO);
        assert!(watch.enter().is_ok());
    }
}
