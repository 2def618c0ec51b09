//! Uploads of finished packs: a bounded number in flight, each on a thread of its own.

use super::session::{POLL, Session, lock};
use super::source::SinkClosed;
use crate::error::VaultError;
use crate::format::pack::FinishedPack;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The queue between workers and upload threads. Threads are started when there is something for them and end when there is nothing
/// left, so that a small backup starts none it does not need.
#[derive(Debug)]
pub(super) struct Uploads {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<FinishedPack>,
    threads: usize,
    is_closed: bool,
    /// Memory of uploaded packs, to be filled again.
    spare: Vec<Vec<u8>>,
}

impl Uploads {
    /// At most `limit` uploads at once.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Hands over a pack, waiting while `limit` are in flight and one more is waiting.
    pub fn submit(session: &Arc<Session>, pack: FinishedPack) -> Result<(), SinkClosed> {
        let uploads = &session.uploads;
        let mut state = lock(&uploads.state);
        while !state.waiting.is_empty() && state.threads == uploads.limit {
            session.check()?;
            let waited = uploads.changed.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        session.check()?;
        state.waiting.push_back(pack);
        if state.threads == uploads.limit {
            return Ok(());
        }
        state.threads += 1;
        let number = state.threads;
        drop(state);
        let for_thread = Arc::clone(session);
        let started = std::thread::Builder::new()
            .name(format!("vault-upload-{number}"))
            .spawn(move || run_uploads(&for_thread));
        if let Err(error) = started {
            lock(&uploads.state).threads -= 1;
            session.fail(VaultError::Internal(format!(
                "no thread can be started: {error}"
            )));
            return Err(SinkClosed);
        }
        Ok(())
    }

    /// Waits until every pack handed over has been acknowledged.
    pub fn wait_all(session: &Session) -> Result<(), VaultError> {
        let uploads = &session.uploads;
        let mut state = lock(&uploads.state);
        while state.threads > 0 {
            session.check_failure()?;
            let waited = uploads.changed.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        session.check_failure()
    }

    /// Drops what is waiting; uploads under way end by themselves.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.waiting.clear();
        self.changed.notify_all();
    }

    /// Waits until no upload is under way; whether that came true in time.
    pub fn wait_idle(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut state = lock(&self.state);
        while state.threads > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Whether no upload is under way.
    pub fn is_idle(&self) -> bool {
        lock(&self.state).threads == 0
    }

    /// Memory of an uploaded pack, if there is some.
    pub fn spare(&self) -> Option<Vec<u8>> {
        lock(&self.state).spare.pop()
    }

    /// Takes back the memory of an uploaded pack.
    pub fn give_back(&self, buffer: Vec<u8>) {
        let mut state = lock(&self.state);
        if state.spare.len() < self.limit {
            state.spare.push(buffer);
        }
    }
}

fn run_uploads(session: &Arc<Session>) {
    let uploads = &session.uploads;
    let panic_guard = PanicGuard(session);
    loop {
        let mut state = lock(&uploads.state);
        let Some(pack) = state.waiting.pop_front() else {
            // Under the same lock as the look into the queue: a pack handed over later finds one thread less and starts a new one.
            state.threads -= 1;
            drop(state);
            std::mem::forget(panic_guard);
            uploads.changed.notify_all();
            session.upload_thread_ended();
            return;
        };
        drop(state);
        uploads.changed.notify_all();
        if let Err(error) = session.upload(pack) {
            session.fail(error);
            uploads.close();
        }
    }
}

/// A storage that panics must not leave the backup waiting for ever.
struct PanicGuard<'a>(&'a Session);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0
            .fail(VaultError::Internal("an upload has panicked".to_owned()));
        lock(&self.0.uploads.state).threads -= 1;
        self.0.uploads.changed.notify_all();
        self.0.upload_thread_ended();
    }
}
