//! Watches commits: one that is stuck makes the store refuse writes instead of piling them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::StoreError;

/// A commit older than this makes the store refuse further writes until it comes back.
const STALL_LIMIT: Duration = Duration::from_secs(10);

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

    /// Looks at the oldest commit; called once a second.
    pub(super) fn check_stalls(&self) {
        self.check(STALL_LIMIT);
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
