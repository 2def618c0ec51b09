//! Keeps transfers below a rate.

use super::{FileEntry, FileKind, PutMode, Storage, StorageError, StorageErrorKind};
use crate::cancel::CancelFlag;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait before the rate and the cancel flag are looked at again.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How much a transfer may take at once, as time at the current rate: what was saved up while nothing moved.
const BURST: Duration = Duration::from_millis(100);

/// Which way bytes move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the repository.
    Write,
    /// Out of the repository.
    Read,
}

/// Tokens of one direction: bytes that may move now.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

#[derive(Debug)]
struct Lane {
    /// Bytes a second; 0 is unlimited.
    rate: AtomicU64,
    throttled_ns: AtomicU64,
    bucket: Mutex<Bucket>,
}

impl Lane {
    fn new(rate: Option<u64>) -> Self {
        Self {
            rate: AtomicU64::new(rate.unwrap_or(0)),
            throttled_ns: AtomicU64::new(0),
            bucket: Mutex::new(Bucket {
                tokens: 0.0,
                filled_at: Instant::now(),
            }),
        }
    }

    /// Takes up to `wanted` bytes. The answer is how many, or, if there is none, how long to wait for the next.
    fn take(&self, wanted: u64, rate: u64) -> Result<u64, Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let rate = rate as f64;
        let earned = now.duration_since(bucket.filled_at).as_secs_f64() * rate;
        let most = (rate * BURST.as_secs_f64()).max(1.0);
        bucket.tokens = (bucket.tokens + earned).min(most);
        bucket.filled_at = now;
        if bucket.tokens >= 1.0 {
            let taken = wanted.min(bucket.tokens as u64);
            bucket.tokens -= taken as f64;
            return Ok(taken);
        }
        // Worth waking up for: all that is wanted, or what comes in half a burst.
        let enough = (wanted as f64).min(most / 2.0).max(1.0);
        let wait = Duration::from_secs_f64((enough - bucket.tokens) / rate);
        Err(wait.min(WAIT_MAX))
    }
}

/// The rates of one repository, shared by everything that moves its bytes. They can be changed at any time: a transfer that
/// waits goes on at the new rate.
#[derive(Debug)]
pub struct RateLimits {
    write: Lane,
    read: Lane,
}

impl RateLimits {
    /// Bytes a second each way; `None` and 0 are unlimited.
    pub fn new(write: Option<u64>, read: Option<u64>) -> Self {
        Self {
            write: Lane::new(write),
            read: Lane::new(read),
        }
    }

    /// No limits.
    pub fn unlimited() -> Self {
        Self::new(None, None)
    }

    /// Changes both rates; `None` and 0 are unlimited.
    pub fn set(&self, write: Option<u64>, read: Option<u64>) {
        self.write.rate.store(write.unwrap_or(0), Relaxed);
        self.read.rate.store(read.unwrap_or(0), Relaxed);
    }

    /// The rate now, in bytes a second; `None` is unlimited.
    pub fn get(&self, direction: Direction) -> Option<u64> {
        let rate = self.lane(direction).rate.load(Relaxed);
        (rate != 0).then_some(rate)
    }

    /// How long transfers have waited for their turn, in nanoseconds, added up over all threads.
    pub fn throttled_ns(&self, direction: Direction) -> u64 {
        self.lane(direction).throttled_ns.load(Relaxed)
    }

    /// Waits until `bytes` may move. Large transfers are charged in slices, so that a changed rate counts at
    /// once. `false` if the flag was raised meanwhile; it is looked at every 50 ms.
    pub fn wait_for(&self, direction: Direction, bytes: u64, cancel: Option<&CancelFlag>) -> bool {
        self.pass(direction, bytes, cancel, |_| {})
    }

    /// The same; `passed` is told of each slice that may move.
    fn pass(
        &self,
        direction: Direction,
        bytes: u64,
        cancel: Option<&CancelFlag>,
        passed: impl Fn(u64),
    ) -> bool {
        let lane = self.lane(direction);
        let mut remaining = bytes;
        loop {
            if cancel.is_some_and(CancelFlag::is_cancelled) {
                return false;
            }
            let rate = lane.rate.load(Relaxed);
            if remaining == 0 || rate == 0 {
                passed(remaining);
                return true;
            }
            match lane.take(remaining, rate) {
                Ok(taken) => {
                    remaining -= taken;
                    passed(taken);
                }
                Err(wait) => {
                    let start = Instant::now();
                    std::thread::sleep(wait);
                    let waited = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    lane.throttled_ns.fetch_add(waited, Relaxed);
                }
            }
        }
    }

    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::Write => &self.write,
            Direction::Read => &self.read,
        }
    }
}

/// A storage whose packs, index and side files move no faster than its [`RateLimits`]. The small files that coordinate writers
/// (locks, snapshots, keys, config) never wait: a lock that is refreshed too late is lost.
#[derive(Debug, Clone)]
pub struct Throttled {
    inner: Arc<dyn Storage>,
    limits: Arc<RateLimits>,
    cancel: Option<CancelFlag>,
    /// Bytes written that the limit has let through.
    written: Option<Arc<AtomicU64>>,
}

impl Throttled {
    /// Limits transfers of `inner`.
    pub fn new(inner: Arc<dyn Storage>, limits: Arc<RateLimits>) -> Self {
        Self {
            inner,
            limits,
            cancel: None,
            written: None,
        }
    }

    /// The same storage under the same limits; its transfers stop waiting when the flag is raised, with
    /// [`StorageErrorKind::Cancelled`].
    pub fn with_cancel(&self, cancel: CancelFlag) -> Self {
        Self {
            cancel: Some(cancel),
            ..self.clone()
        }
    }

    /// The same storage under the same limits; what the limit lets through of each write is added to `written` while the write
    /// waits, so that progress shows within a pack of many megabytes at a low rate.
    pub fn counting_writes(&self, written: Arc<AtomicU64>) -> Self {
        Self {
            written: Some(written),
            ..self.clone()
        }
    }

    /// How long transfers under these limits have waited for their turn, in nanoseconds, added up over all threads.
    pub fn throttled_ns(&self, direction: Direction) -> u64 {
        self.limits.throttled_ns(direction)
    }

    fn wait_for(
        &self,
        direction: Direction,
        bytes: u64,
        file: (FileKind, &str),
    ) -> Result<(), StorageError> {
        let is_limited = matches!(file.0, FileKind::Data | FileKind::Index | FileKind::Side);
        let cancel = self.cancel.as_ref();
        let count = |passed| {
            if let (Some(written), Direction::Write) = (&self.written, direction) {
                written.fetch_add(passed, Relaxed);
            }
        };
        if !is_limited || self.limits.pass(direction, bytes, cancel, count) {
            return Ok(());
        }
        let operation = match direction {
            Direction::Write => "writing",
            Direction::Read => "reading",
        };
        let kind = StorageErrorKind::Cancelled;
        let location = self.inner.location();
        Err(StorageError::new(
            kind,
            operation,
            file,
            location,
            "it was cancelled",
        ))
    }
}

impl Storage for Throttled {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        self.wait_for(Direction::Write, data.len() as u64, (kind, name))?;
        self.inner.put(kind, name, data, mode)
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        // How much it is shows only afterwards.
        let data = self.inner.get(kind, name)?;
        self.wait_for(Direction::Read, data.len() as u64, (kind, name))?;
        Ok(data)
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        self.wait_for(Direction::Read, len, (kind, name))?;
        self.inner.get_range(kind, name, offset, len)
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        self.inner.list(kind)
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        self.inner.size(kind, name)
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        self.inner.delete(kind, name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::battery::{self, with_memory};

    #[test]
    fn throttling_keeps_the_contract() {
        with_memory(|memory| {
            let limits = RateLimits::new(Some(1 << 30), Some(1 << 30));
            battery::run(&Throttled::new(memory, Arc::new(limits)));
        });
    }

    #[test]
    fn a_transfer_takes_its_time_and_the_wait_is_counted() {
        let limits = RateLimits::new(Some(1_000_000), None);
        let start = Instant::now();
        assert!(limits.wait_for(Direction::Write, 400_000, None));
        let least = Duration::from_millis(250);
        assert!(start.elapsed() >= least);
        assert!(limits.throttled_ns(Direction::Write) >= 200_000_000);
        assert_eq!(limits.throttled_ns(Direction::Read), 0);
    }

    #[test]
    fn directions_do_not_share_a_rate_and_none_is_unlimited() {
        let limits = RateLimits::new(Some(1), None);
        assert!(limits.wait_for(Direction::Read, u64::MAX, None));
        assert_eq!(limits.get(Direction::Write), Some(1));
        assert_eq!(limits.get(Direction::Read), None);
    }

    #[test]
    fn a_waiting_transfer_goes_on_at_once_when_the_limit_is_lifted() {
        let limits = RateLimits::new(Some(1), None);
        std::thread::scope(|scope| {
            // At one byte a second this would take years.
            let transfer = scope.spawn(|| limits.wait_for(Direction::Write, 1_000_000_000, None));
            limits.set(None, None);
            assert!(transfer.join().unwrap());
        });
    }

    #[test]
    fn a_waiting_transfer_ends_when_it_is_cancelled() {
        with_memory(|memory| {
            let cancel = CancelFlag::new();
            let throttled = Throttled::new(memory, Arc::new(RateLimits::new(Some(1), None)))
                .with_cancel(cancel.clone());
            let name = "00".repeat(32);
            std::thread::scope(|scope| {
                let put = scope.spawn(|| {
                    let data = Bytes::from(vec![0; 1_000_000]);
                    throttled.put(FileKind::Data, &name, data, PutMode::Create)
                });
                cancel.cancel();
                assert!(put.join().unwrap().unwrap_err().is_cancelled());
            });
            assert!(!throttled.exists(FileKind::Data, &name).unwrap());
        });
    }

    #[test]
    fn small_coordinating_files_never_wait() {
        with_memory(|memory| {
            let limits = Arc::new(RateLimits::new(Some(1), Some(1)));
            let throttled = Throttled::new(memory, limits);
            let name = "00".repeat(32);
            let data = Bytes::from(vec![0; 1_000_000]);
            throttled
                .put(FileKind::Lock, &name, data, PutMode::Create)
                .unwrap();
            throttled.get(FileKind::Lock, &name).unwrap();
        });
    }
}
