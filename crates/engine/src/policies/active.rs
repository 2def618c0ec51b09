//! What policies are doing now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::{PolicyKey, PolicyRun};

/// Runs under way, and turns of what must not run twice at a time.
#[derive(Debug)]
pub(crate) struct ActivePolicies {
    /// Held while due work is looked for.
    pub(super) tick: tokio::sync::Mutex<()>,
    runs: Mutex<HashMap<PolicyKey, PolicyRun>>,
    retaining: Mutex<HashMap<PolicyKey, Arc<tokio::sync::Mutex<()>>>>,
    /// Tasks under way: runs with the verification and retention after them, and what else was due.
    followed: watch::Sender<usize>,
}

/// Counts a task as under way until dropped.
pub(super) struct Followed(watch::Sender<usize>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ActivePolicies {
    pub(crate) fn new() -> Self {
        Self {
            tick: tokio::sync::Mutex::new(()),
            runs: Mutex::default(),
            retaining: Mutex::default(),
            followed: watch::Sender::new(0),
        }
    }

    /// Notes that a run begins; false when one of the same policy is under way.
    pub(super) fn begin(&self, key: &PolicyKey, run: &PolicyRun) -> bool {
        let mut runs = lock(&self.runs);
        if runs.contains_key(key) {
            return false;
        }
        runs.insert(key.clone(), run.clone());
        true
    }

    /// Notes what is known of a run by now.
    pub(super) fn update(&self, key: &PolicyKey, run: &PolicyRun) {
        if let Some(known) = lock(&self.runs).get_mut(key) {
            known.clone_from(run);
        }
    }

    /// Notes that a run has ended.
    pub(super) fn end(&self, key: &PolicyKey) {
        lock(&self.runs).remove(key);
    }

    /// The run of a policy that is under way.
    pub(super) fn run_of(&self, key: &PolicyKey) -> Option<PolicyRun> {
        lock(&self.runs).get(key).cloned()
    }

    /// The turn of retention of a policy.
    pub(super) fn retention_turn(&self, key: &PolicyKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.retaining);
        // Those that nobody holds or waits for are forgotten: policies come and go.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(key.clone()).or_default())
    }

    /// Notes a task; taken before the task is spawned, so that none is overlooked in between.
    pub(super) fn follow(&self) -> Followed {
        self.followed.send_modify(|count| *count += 1);
        Followed(self.followed.clone())
    }

    /// Waits until all that was begun has ended and is noted.
    pub(super) async fn idle(&self) {
        let mut followed = self.followed.subscribe();
        // The sender is part of `self`: it cannot go away meanwhile.
        let _ = followed.wait_for(|count| *count == 0).await;
    }

    /// The same, for so long at most.
    pub(crate) async fn wait_idle(&self, longest: Duration) {
        if tokio::time::timeout(longest, self.idle()).await.is_err() {
            tracing::warn!(
                "runs of policies did not end in time; they are failed at the next start"
            );
        }
    }
}
