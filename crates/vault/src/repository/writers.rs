//! The backups that run in this process, so that prune can wait for those that may have seen what it removes.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::ids::RepositoryId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

/// One running backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterInfo {
    /// Backups are numbered in the order in which they began.
    pub generation: u64,
    /// When it began.
    pub started: SystemTime,
}

/// The running backups of one repository in this process, however many times it is open.
///
/// Every backup gets a generation larger than all before it, *before* it reads the index. Prune marks packs as unused in the index,
/// takes [`next_generation`](Self::next_generation), and deletes them after all writers below it have ended: later
/// ones never saw those packs in the index.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next_generation: u64,
    running: BTreeMap<u64, SystemTime>,
}

impl Writers {
    /// The writers of a repository, shared by everybody in this process who has it open: one that is reached by two paths, or
    /// opened anew while a backup goes on, must not look unused.
    pub(crate) fn of(repository: RepositoryId) -> Self {
        static OPEN: LazyLock<Mutex<HashMap<RepositoryId, Weak<Shared>>>> =
            LazyLock::new(Mutex::default);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = open.get(&repository).and_then(Weak::upgrade) {
            return Self(shared);
        }
        let writers = Self::default();
        open.insert(repository, Arc::downgrade(&writers.0));
        writers
    }

    /// The backups that run now, oldest first.
    pub fn running(&self) -> Vec<WriterInfo> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let infos = state
            .running
            .iter()
            .map(|(generation, started)| WriterInfo {
                generation: *generation,
                started: *started,
            });
        infos.collect()
    }

    /// The generation that the next backup will get.
    pub fn next_generation(&self) -> u64 {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next_generation
    }

    /// Waits until no backup of a generation below `generation` runs; `Ok(false)` after `timeout`.
    pub fn wait_until_ended(
        &self,
        generation: u64,
        timeout: Duration,
        cancel: &CancelFlag,
    ) -> Result<bool, VaultError> {
        const POLL: Duration = Duration::from_millis(100);
        let end = Instant::now() + timeout;
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.running.range(..generation).next().is_none() {
                return Ok(true);
            }
            if cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let waited = self.0.changed.wait_timeout(state, left.min(POLL));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn begin(&self) -> RunningWriter {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = state.next_generation;
        state.next_generation += 1;
        state.running.insert(generation, SystemTime::now());
        RunningWriter {
            writers: self.clone(),
            generation,
        }
    }
}

/// Counts as a running backup until it is dropped.
#[derive(Debug)]
pub(crate) struct RunningWriter {
    writers: Writers,
    generation: u64,
}

impl Drop for RunningWriter {
    fn drop(&mut self) {
        let shared = &self.writers.0;
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.remove(&self.generation);
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_for_earlier_writers_only() {
        let writers = Writers::default();
        let cancel = CancelFlag::new();
        let earlier = writers.begin();
        let barrier = writers.next_generation();
        let _later = writers.begin();
        let brief = Duration::from_millis(5);
        assert!(!writers.wait_until_ended(barrier, brief, &cancel).unwrap());
        drop(earlier);
        assert!(writers.wait_until_ended(barrier, brief, &cancel).unwrap());
        assert_eq!(writers.running().len(), 1);
    }
}
