//! Many blobs at once, in whatever order is fastest.

use super::fetch::Fetcher;
use super::plan::{PLAN_POSITIONS, Plan, PlannedRead};
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::BlobKind;
use crate::ids::BlobId;
use crate::repository::Repository;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Most reading threads: each holds one read and one plain blob, together about 20 MiB.
const READERS_MAX: usize = 4;

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Reading threads, at most 4; 0 = one a core and one more, because some will wait for the storage.
    pub workers: usize,
    /// Raised to stop.
    pub cancel: CancelFlag,
    /// What the blobs hold.
    pub kind: BlobKind,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            workers: 0,
            cancel: CancelFlag::new(),
            kind: BlobKind::Data,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Different blobs opened and proved.
    pub blobs: u64,
    /// Their plain bytes.
    pub plain_bytes: u64,
    /// Packs touched.
    pub packs: u64,
    /// Reads from the storage.
    pub requests: u64,
    /// Bytes of them.
    pub fetched_bytes: u64,
}

/// Why a visitor does not want to go on; made from any error by `?`.
#[derive(Debug)]
pub struct VisitError(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for VisitError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<VisitError> for VaultError {
    fn from(error: VisitError) -> Self {
        match error.0.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => Self::Visitor(error),
        }
    }
}

/// Takes a blob: its position in the request and its plain content.
pub type Visit<'a> = dyn Fn(usize, &[u8]) -> Result<(), VisitError> + Sync + 'a;

impl Repository {
    /// Reads blobs in parallel and in no particular order, grouped by pack, neighbours in one read. `visit` gets each position of `ids`
    /// exactly once, from any of the reading threads, and only content whose SHA-256 was proved. A blob that is asked for
    /// several times is read once, within 65 536 positions. Memory is bounded whatever the number of ids.
    ///
    /// # Errors
    /// The first error ends all: [`VaultError::MissingBlob`], [`VaultError::Damaged`], [`VaultError::Cancelled`], or what `visit` said.
    pub fn read_blobs(
        &self,
        ids: &[BlobId],
        options: &ReadOptions,
        visit: &Visit<'_>,
    ) -> Result<ReadStats, VaultError> {
        let mut stats = ReadStats::default();
        let mut is_current = false;
        for (number, part) in ids.chunks(PLAN_POSITIONS).enumerate() {
            let plan = Plan::new(self, options.kind, part, &mut is_current)?;
            let first = number * PLAN_POSITIONS;
            let job = Job {
                repository: self,
                options,
                plan: &plan,
                visit: &|position, plain| visit(first + position, plain),
                next: AtomicUsize::new(0),
                is_stopped: AtomicBool::new(false),
                failure: Mutex::new(None),
            };
            let part_stats = job.run()?;
            let packs: HashSet<_> = plan.reads.iter().map(|read| read.pack).collect();
            stats.packs += packs.len() as u64;
            stats.add(&part_stats);
        }
        Ok(stats)
    }
}

impl ReadStats {
    fn add(&mut self, other: &Self) {
        self.blobs += other.blobs;
        self.plain_bytes += other.plain_bytes;
        self.packs += other.packs;
        self.requests += other.requests;
        self.fetched_bytes += other.fetched_bytes;
    }
}

struct Job<'a> {
    repository: &'a Repository,
    options: &'a ReadOptions,
    plan: &'a Plan,
    visit: &'a Visit<'a>,
    next: AtomicUsize,
    is_stopped: AtomicBool,
    failure: Mutex<Option<VaultError>>,
}

impl Job<'_> {
    fn run(&self) -> Result<ReadStats, VaultError> {
        let wanted = match self.options.workers {
            0 => self.repository.options().worker_count() + 1,
            count => count,
        };
        let thread_count = wanted.min(READERS_MAX).min(self.plan.reads.len());
        let mut stats = ReadStats::default();
        if thread_count <= 1 {
            self.work(&mut stats);
        } else {
            let results: Vec<_> = std::thread::scope(|scope| {
                let work = || {
                    let mut stats = ReadStats::default();
                    self.work(&mut stats);
                    stats
                };
                let threads: Vec<_> = (0..thread_count).map(|_| scope.spawn(work)).collect();
                threads
                    .into_iter()
                    .map(std::thread::ScopedJoinHandle::join)
                    .collect()
            });
            for result in results {
                match result {
                    Ok(part) => stats.add(&part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
        let failure = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failure.map_or(Ok(stats), Err)
    }

    fn work(&self, stats: &mut ReadStats) {
        if let Err(error) = self.read_claimed(stats) {
            self.is_stopped.store(true, Ordering::Release);
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
        }
    }

    fn read_claimed(&self, stats: &mut ReadStats) -> Result<(), VaultError> {
        let mut fetcher = Fetcher::new(self.repository, &self.options.cancel)?;
        let mut copy = Vec::new();
        while let Some(read) = self
            .plan
            .reads
            .get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            if self.is_stopped.load(Ordering::Acquire) {
                return Ok(());
            }
            stats.requests += 1;
            match fetcher.read(&read.pack, read.offset, read.length) {
                Ok(Some(bytes)) => {
                    stats.fetched_bytes += bytes.len() as u64;
                    // Decrypted where it was read, unless the storage keeps its own hold on the bytes.
                    match bytes.try_into_mut() {
                        Ok(mut own) => self.visit_read(&mut fetcher, read, &mut own, stats)?,
                        Err(shared) => {
                            copy.clear();
                            copy.extend_from_slice(&shared);
                            self.visit_read(&mut fetcher, read, &mut copy, stats)?;
                        }
                    }
                }
                Ok(None) => {
                    self.visit_elsewhere(&mut fetcher, read, "its pack is missing", stats)?
                }
                Err(VaultError::Storage(error)) if !error.is_transient() => {
                    // A pack that is shorter than the index says, for instance.
                    self.visit_elsewhere(&mut fetcher, read, &error.to_string(), stats)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn visit_read(
        &self,
        fetcher: &mut Fetcher<'_>,
        read: &PlannedRead,
        bytes: &mut [u8],
        stats: &mut ReadStats,
    ) -> Result<(), VaultError> {
        for blob in &read.blobs {
            if self.options.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            let start = (u64::from(blob.entry.offset) - read.offset) as usize;
            let sealed = bytes.get_mut(start..start + blob.entry.length as usize);
            let sealed =
                sealed.ok_or_else(|| VaultError::Internal("a read is too short".to_owned()))?;
            let problem = match fetcher.open(&blob.entry, sealed) {
                Ok(plain) => {
                    self.visit_positions(blob.positions.clone(), plain, stats)?;
                    continue;
                }
                Err(problem) => format!("in pack {}: {problem}", read.pack),
            };
            let plain = fetcher.fetch_any(self.options.kind, &blob.entry.id, problem)?;
            self.visit_positions(blob.positions.clone(), plain, stats)?;
        }
        Ok(())
    }

    fn visit_elsewhere(
        &self,
        fetcher: &mut Fetcher<'_>,
        read: &PlannedRead,
        problem: &str,
        stats: &mut ReadStats,
    ) -> Result<(), VaultError> {
        for blob in &read.blobs {
            let reason = format!("in pack {}: {problem}", read.pack);
            let plain = fetcher.fetch_any(self.options.kind, &blob.entry.id, reason)?;
            self.visit_positions(blob.positions.clone(), plain, stats)?;
        }
        Ok(())
    }

    fn visit_positions(
        &self,
        positions: std::ops::Range<usize>,
        plain: &[u8],
        stats: &mut ReadStats,
    ) -> Result<(), VaultError> {
        stats.blobs += 1;
        stats.plain_bytes += plain.len() as u64;
        for position in &self.plan.positions[positions] {
            (self.visit)(*position as usize, plain)?;
        }
        Ok(())
    }
}
