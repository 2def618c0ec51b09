//! Group commit: commits write the journal one after another, one sync covers all that are waiting.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use fjall::{Database, PersistMode};

use crate::StoreError;

/// Shares syncs between concurrent writers.
#[derive(Default)]
pub(crate) struct Syncer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Commits begun, whether or not they are in the journal yet.
    begun: u64,
    /// Commits ended.
    ended: u64,
    /// Requests for durability so far; each is a number that `synced` must reach.
    asked: u64,
    synced: u64,
    /// Value of `ended` that the last sync covered.
    synced_ended: u64,
    is_syncing: bool,
}

impl Syncer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Call before a commit …
    pub(crate) fn begin(&self) {
        self.lock().begun += 1;
    }

    /// … and after it, whether or not it succeeded.
    pub(crate) fn end(&self) {
        self.lock().ended += 1;
    }

    /// Returns when everything in the journal before the call is on disk. One caller syncs, and those who
    /// come meanwhile wait for the next sync together.
    pub(crate) fn make_durable(&self, db: &Database) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.asked += 1;
        let ticket = state.asked;
        loop {
            if state.synced >= ticket {
                return Ok(());
            }
            if state.is_syncing {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_syncing = true;
            let covered = state.asked;
            let covered_ended = state.ended;
            drop(state);
            let outcome = db.persist(PersistMode::SyncData);
            state = self.lock();
            state.is_syncing = false;
            if outcome.is_ok() {
                state.synced = covered;
                state.synced_ended = covered_ended;
            }
            self.changed.notify_all();
            outcome.map_err(|cause| StoreError::engine("sync", "the journal", cause))?;
        }
    }

    /// Makes sure that what a snapshot taken before this call shows is on disk. Without it, a crash after
    /// the capture could hand out the same sequence numbers again for other documents, and the next
    /// increment would miss them. Costs nothing when no commit is under way.
    pub(crate) fn make_visible_durable(&self, db: &Database) -> Result<(), StoreError> {
        let is_durable = {
            let state = self.lock();
            state.begun == state.ended && state.synced_ended == state.ended
        };
        if is_durable {
            return Ok(());
        }
        self.make_durable(db)
    }
}
