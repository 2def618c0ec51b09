//! Lock files: what stock restic relies on to see that someone is working.
//!
//! Restic creates its lock, waits 200 ms and lists the locks again. The wait serves storages whose listings lag; on those
//! supported here a listing shows every finished write, so that creating first and listing then is enough: of two that exclude
//! each other at least the later one sees the other.

use super::Repository;
use super::handle::Inner;
use super::retry::retry;
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::{Compressor, DEFAULT_LEVEL, LockFile, Time};
use crate::ids::LockId;
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a lock is written anew.
const REFRESH_EVERY: Duration = Duration::from_secs(5 * 60);
/// How soon a failed refresh is tried again.
const REFRESH_RETRY: Duration = Duration::from_secs(30);
/// Restic takes a lock as left over when it is older than this.
const STALE_AFTER: Duration = Duration::from_secs(30 * 60);
/// A lock that could not be refreshed for this long must be taken as lost: others will soon ignore it.
const LOST_AFTER: Duration = Duration::from_secs(25 * 60);

/// A lock in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// Its file.
    pub id: LockId,
    /// What it says.
    pub lock: LockFile,
    /// Whether nobody holds it any more: older than 30 minutes, or of a process of this machine that is gone.
    pub is_stale: bool,
    /// Whether this process holds it. Host name and process number do not tell: containers may share both.
    pub is_own: bool,
}

/// The locks that this process holds.
static HELD: LazyLock<Mutex<HashSet<LockId>>> = LazyLock::new(Mutex::default);

fn held() -> MutexGuard<'static, HashSet<LockId>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock held by this process. A background thread (`vault-lock`) refreshes it; dropping it removes the file.
#[derive(Debug)]
pub struct RepositoryLock {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    repository: Arc<Inner>,
    is_exclusive: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    id: LockId,
    refreshed: Instant,
    is_ending: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// All locks in the repository, ours among them. Files that vanish meanwhile or cannot be read are left out.
    pub fn locks(&self) -> Result<Vec<LockInfo>, VaultError> {
        let storage = &self.inner.storage;
        let never = CancelFlag::new();
        let mut locks = Vec::new();
        for entry in retry(&never, || storage.list(FileKind::Lock))? {
            let Ok(id) = entry.name.parse::<LockId>() else {
                continue;
            };
            let read = retry(&never, || match storage.get(FileKind::Lock, &entry.name) {
                Err(error) if error.is_not_found() => Ok(None),
                result => result.map(Some),
            });
            let Some(file) = read? else {
                continue;
            };
            match LockFile::open(&self.inner.key, &file) {
                Ok(lock) => {
                    let is_stale = self.is_stale(&lock);
                    let is_own = held().contains(&id);
                    locks.push(LockInfo {
                        id,
                        lock,
                        is_stale,
                        is_own,
                    });
                }
                Err(error) => self.warn(
                    format!("locks/{id}"),
                    format!("a lock file that cannot be read is ignored: {error}"),
                ),
            }
        }
        Ok(locks)
    }

    /// Takes a lock, or says who holds one that excludes it. Non-exclusive locks exclude exclusive ones only.
    pub fn lock(&self, is_exclusive: bool) -> Result<RepositoryLock, VaultError> {
        let id = write_lock(&self.inner, is_exclusive)?;
        match self.conflicting_lock(&id, is_exclusive) {
            Ok(None) => Ok(RepositoryLock::start(&self.inner, id, is_exclusive)),
            Ok(Some(holder)) => {
                remove_lock(&self.inner, &id);
                Err(VaultError::Locked {
                    by: holder.holder(),
                    since: holder.time.to_string(),
                })
            }
            Err(error) => {
                remove_lock(&self.inner, &id);
                Err(error)
            }
        }
    }

    fn conflicting_lock(
        &self,
        own: &LockId,
        is_exclusive: bool,
    ) -> Result<Option<LockFile>, VaultError> {
        let holder = self.locks()?.into_iter().find(|info| {
            info.id != *own && !info.is_stale && (is_exclusive || info.lock.exclusive)
        });
        Ok(holder.map(|info| info.lock))
    }

    /// Removes locks of processes of this machine that are gone, as a killed server leaves them.
    pub(crate) fn remove_own_stale_locks(&self) -> Result<(), VaultError> {
        for info in self.locks()? {
            if self.is_left_over(&info.lock) {
                tracing::info!(lock = %info.id, pid = info.lock.pid, "removing the lock of a process that is gone");
                remove_lock(&self.inner, &info.id);
            }
        }
        Ok(())
    }

    fn is_stale(&self, lock: &LockFile) -> bool {
        let age = Time::now().unix_seconds() - lock.time.unix_seconds();
        age > STALE_AFTER.as_secs() as i64 || self.is_left_over(lock)
    }

    /// Whether the lock is of this machine and its process is gone.
    fn is_left_over(&self, lock: &LockFile) -> bool {
        lock.hostname == self.inner.options.hostname && !is_process_alive(lock.pid)
    }
}

fn is_process_alive(pid: u32) -> bool {
    let proc = Path::new("/proc");
    // Where the folder is missing nothing is known; a lock is then left to its age.
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

fn write_lock(repository: &Inner, is_exclusive: bool) -> Result<LockId, VaultError> {
    let lock = LockFile {
        time: Time::now(),
        exclusive: is_exclusive,
        hostname: repository.options.hostname.clone(),
        username: repository.options.username.clone(),
        pid: std::process::id(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
    };
    let sealed = Compressor::new(DEFAULT_LEVEL)
        .and_then(|mut compressor| lock.seal(&repository.key, &mut compressor))
        .map_err(|error| VaultError::Internal(format!("a lock cannot be encoded: {error}")))?;
    let id = LockId::of(&sealed);
    let data = Bytes::from(sealed);
    retry(&CancelFlag::new(), || {
        repository.storage.put(
            FileKind::Lock,
            &id.to_string(),
            data.clone(),
            PutMode::Overwrite,
        )
    })?;
    held().insert(id);
    Ok(id)
}

fn remove_lock(repository: &Inner, id: &LockId) {
    let removed = retry(&CancelFlag::new(), || {
        repository.storage.delete(FileKind::Lock, &id.to_string())
    });
    held().remove(id);
    if let Err(error) = removed {
        tracing::warn!(lock = %id, %error, "a lock could not be removed; others wait for it up to 30 minutes");
    }
}

impl RepositoryLock {
    fn start(repository: &Arc<Inner>, id: LockId, is_exclusive: bool) -> Self {
        let shared = Arc::new(Shared {
            repository: Arc::clone(repository),
            is_exclusive,
            state: Mutex::new(State {
                id,
                refreshed: Instant::now(),
                is_ending: false,
            }),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("vault-lock".to_owned())
            .spawn(move || for_thread.keep_fresh())
            .inspect_err(|error| tracing::warn!(%error, "the lock will not be refreshed: no thread can be started"))
            .ok();
        Self { shared, thread }
    }

    /// Whether others may take the lock as left over, because it could not be refreshed for a long time.
    pub fn is_lost(&self) -> bool {
        let state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.refreshed.elapsed() > LOST_AFTER
    }
}

impl Shared {
    fn keep_fresh(&self) {
        let mut wait = REFRESH_EVERY;
        loop {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (state, timeout) = self
                .changed
                .wait_timeout_while(state, wait, |state| !state.is_ending)
                .unwrap_or_else(PoisonError::into_inner);
            if state.is_ending || !timeout.timed_out() {
                return;
            }
            let old = state.id;
            drop(state);
            // New file first: at every moment one of the two is there.
            match write_lock(&self.repository, self.is_exclusive) {
                Ok(new) => {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.id = new;
                    state.refreshed = Instant::now();
                    drop(state);
                    remove_lock(&self.repository, &old);
                    wait = REFRESH_EVERY;
                }
                Err(error) => {
                    tracing::warn!(%error, "the repository's lock could not be refreshed");
                    wait = REFRESH_RETRY;
                }
            }
        }
    }
}

impl Drop for RepositoryLock {
    fn drop(&mut self) {
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.is_ending = true;
        drop(state);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that refreshes the lock has panicked");
        }
        let id = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id;
        remove_lock(&self.shared.repository, &id);
    }
}
