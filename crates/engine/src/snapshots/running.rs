//! A snapshot that is being taken, and how far it is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_vault::BackupProgress;

use crate::jobs::RunningJob;
use crate::model::{
    FileStats, IndexStatus, JobProgress, ShardStage, ShardStatus, SnapshotInfo, SnapshotPhase,
    SnapshotStatus,
};
use crate::repositories::OpenVault;

const STAGES: [ShardStage; 5] = [
    ShardStage::Init,
    ShardStage::Started,
    ShardStage::Finalize,
    ShardStage::Done,
    ShardStage::Failure,
];

/// Figures of one shard, readable while it is worked on.
#[derive(Debug, Default)]
pub(crate) struct ShardFigures {
    stage: AtomicU8,
    incremental_files: AtomicU64,
    incremental_bytes: AtomicU64,
    processed_files: AtomicU64,
    processed_bytes: AtomicU64,
    total_files: AtomicU64,
    total_bytes: AtomicU64,
    start_ms: AtomicI64,
    time_ms: AtomicI64,
    reason: Mutex<Option<String>>,
}

impl ShardFigures {
    /// Notes that work begins.
    pub(crate) fn start(&self, now_ms: i64) {
        self.start_ms.store(now_ms, Ordering::Relaxed);
        self.set_stage(ShardStage::Started);
    }

    /// Sets the stage.
    pub(crate) fn set_stage(&self, stage: ShardStage) {
        let number = STAGES
            .iter()
            .position(|known| *known == stage)
            .unwrap_or_default();
        self.stage.store(number as u8, Ordering::Relaxed);
    }

    /// Sets what will be read, an estimate until it is done, and all that the shard will consist of.
    pub(crate) fn expect(&self, incremental: FileStats, total: FileStats) {
        self.incremental_files
            .store(incremental.files, Ordering::Relaxed);
        self.incremental_bytes
            .store(incremental.bytes, Ordering::Relaxed);
        self.total_files.store(total.files, Ordering::Relaxed);
        self.total_bytes.store(total.bytes, Ordering::Relaxed);
    }

    /// Adds bytes that were read.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.processed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes the end.
    pub(crate) fn finish(&self, incremental: FileStats, total: FileStats, now_ms: i64) {
        self.expect(incremental, total);
        self.processed_files
            .store(incremental.files, Ordering::Relaxed);
        self.processed_bytes
            .store(incremental.bytes, Ordering::Relaxed);
        self.note_time(now_ms);
        self.set_stage(ShardStage::Done);
    }

    /// Notes a failure.
    pub(crate) fn fail(&self, reason: &str, now_ms: i64) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        self.note_time(now_ms);
        self.set_stage(ShardStage::Failure);
    }

    fn note_time(&self, now_ms: i64) {
        self.time_ms.store(
            (now_ms - self.start_ms.load(Ordering::Relaxed)).max(0),
            Ordering::Relaxed,
        );
    }

    /// Start and time spent, for the manifest.
    pub(crate) fn times(&self) -> (i64, i64) {
        (
            self.start_ms.load(Ordering::Relaxed),
            self.time_ms.load(Ordering::Relaxed),
        )
    }

    fn status(&self, shard: u32, now_ms: i64) -> ShardStatus {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stage = STAGES[usize::from(self.stage.load(Ordering::Relaxed)).min(STAGES.len() - 1)];
        let (start_ms, time_ms) = self.times();
        let processed = FileStats {
            files: value(&self.processed_files),
            bytes: value(&self.processed_bytes),
        };
        // What was expected may turn out too little while it is read.
        let at_least = |expected: u64| expected.max(processed.bytes);
        ShardStatus {
            shard,
            name: None,
            stage,
            incremental: FileStats {
                files: value(&self.incremental_files),
                bytes: at_least(value(&self.incremental_bytes)),
            },
            processed,
            total: FileStats {
                files: value(&self.total_files),
                bytes: at_least(value(&self.total_bytes)),
            },
            start_ms,
            time_ms: if matches!(stage, ShardStage::Started | ShardStage::Finalize) {
                (now_ms - start_ms).max(0)
            } else {
                time_ms
            },
            reason: self
                .reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

/// A snapshot that is being taken.
#[derive(Debug)]
pub(crate) struct RunningSnapshot {
    pub(crate) job: Arc<RunningJob>,
    pub(crate) vault: Arc<OpenVault>,
    /// As it was accepted; state and shard counts are filled in by [`Self::info`].
    pub(crate) accepted: SnapshotInfo,
    /// By index in the order of `accepted.indices`, then by collection in theirs, then by shard.
    pub(crate) shards: Vec<Vec<Arc<ShardFigures>>>,
    /// What the vault did.
    pub(crate) progress: Arc<BackupProgress>,
    /// Bytes that the rate limit has let through into the repository.
    pub(crate) sent: Arc<AtomicU64>,
    /// Raised when it is cancelled because it is deleted: nothing of it is to stay.
    pub(crate) deleted: AtomicBool,
    started: AtomicBool,
    throttled_before_ns: u64,
    /// What became of it, once it has ended.
    result: Mutex<Option<SnapshotInfo>>,
}

impl RunningSnapshot {
    pub(crate) fn new(
        job: Arc<RunningJob>,
        vault: Arc<OpenVault>,
        accepted: SnapshotInfo,
    ) -> Arc<Self> {
        let indices = accepted.indices.iter().map(|it| it.shard_count as usize);
        let collections = accepted.collections.iter().map(|it| it.shards.len());
        let shards = indices
            .chain(collections)
            .map(|shards| (0..shards).map(|_| Arc::default()).collect())
            .collect();
        let running = Arc::new(Self {
            throttled_before_ns: vault.write_throttled_ns(),
            job,
            vault,
            accepted,
            shards,
            progress: Arc::default(),
            sent: Arc::default(),
            deleted: AtomicBool::new(false),
            started: AtomicBool::new(false),
            result: Mutex::new(None),
        });
        let weak = Arc::downgrade(&running);
        running.job.set_progress(Box::new(move || {
            weak.upgrade()
                .map(|it| it.job_progress())
                .unwrap_or_default()
        }));
        running
    }

    /// Notes that it is its turn.
    pub(crate) fn start(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Nanoseconds that writing waited for the rate limit since the start. Other snapshots into the same vault count too.
    pub(crate) fn throttled_ns(&self) -> u64 {
        self.vault
            .write_throttled_ns()
            .saturating_sub(self.throttled_before_ns)
    }

    /// Keeps what became of it for those who wait.
    pub(crate) fn set_result(&self, info: SnapshotInfo) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(info);
    }

    /// What became of it.
    pub(crate) fn result(&self) -> Option<SnapshotInfo> {
        self.result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All shards, by index and then by collection.
    fn statuses(&self, now_ms: i64) -> Vec<IndexStatus> {
        let indices = self.accepted.indices.iter().map(|it| (&it.name, None));
        let collections = self.accepted.collections.iter();
        let collections = collections.map(|it| (&it.name, Some(&it.shards)));
        let mut statuses: Vec<IndexStatus> = indices
            .chain(collections)
            .zip(&self.shards)
            .map(|((name, shard_names), shards)| IndexStatus {
                name: name.clone(),
                shards: (0..)
                    .zip(shards)
                    .map(|(number, figures)| ShardStatus {
                        name: shard_names
                            .and_then(|names| names.get(number as usize))
                            .cloned(),
                        ..figures.status(number, now_ms)
                    })
                    .collect(),
            })
            .collect();
        let shards = statuses.iter_mut().flat_map(|index| &mut index.shards);
        hold_back(shards, self.unsent_bytes());
        statuses
    }

    /// Bytes of documents that were read and wait in memory for the rate limit.
    fn unsent_bytes(&self) -> u64 {
        let stored = BackupProgress::value(&self.progress.bytes_stored);
        let plain = BackupProgress::value(&self.progress.bytes_new);
        let waiting = stored.saturating_sub(BackupProgress::value(&self.sent));
        let share = u128::from(waiting) * u128::from(plain) / u128::from(stored.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// As lists show it while it runs.
    pub(crate) fn info(&self, now_ms: i64) -> SnapshotInfo {
        let mut info = self.accepted.clone();
        let statuses = self.statuses(now_ms);
        let count = |stage| {
            let shards = statuses.iter().flat_map(|index| &index.shards);
            u32::try_from(shards.filter(|shard| shard.stage == stage).count()).unwrap_or(u32::MAX)
        };
        info.shards_successful = count(ShardStage::Done);
        info.shards_failed = count(ShardStage::Failure);
        info
    }

    /// How far it is.
    pub(crate) fn status(&self, now_ms: i64) -> SnapshotStatus {
        let phase = if self.job.cancel.is_cancelled() {
            SnapshotPhase::Aborted
        } else if self.started.load(Ordering::Relaxed) {
            SnapshotPhase::Started
        } else {
            SnapshotPhase::Init
        };
        let mut indices = self.statuses(now_ms);
        let collections = indices.split_off(self.accepted.indices.len().min(indices.len()));
        SnapshotStatus {
            info: self.info(now_ms),
            phase,
            indices,
            collections,
            throttled_ns: self.throttled_ns(),
            stored_bytes: self.stored_bytes(),
        }
    }

    /// Bytes that are in the repository or on their way, without those that wait for their turn.
    fn stored_bytes(&self) -> u64 {
        let stored = BackupProgress::value(&self.progress.bytes_stored);
        stored.min(BackupProgress::value(&self.sent))
    }

    fn job_progress(&self) -> JobProgress {
        let statuses = self.statuses(0);
        let mut progress = JobProgress {
            phase: if self.started.load(Ordering::Relaxed) {
                "reading"
            } else {
                "waiting"
            }
            .to_owned(),
            stored_bytes: self.stored_bytes(),
            throttled_ns: self.throttled_ns(),
            ..JobProgress::default()
        };
        for shard in statuses.iter().flat_map(|index| &index.shards) {
            progress.bytes_done += shard.processed.bytes;
            progress.bytes_total += shard.incremental.bytes;
            progress.items_total += 1;
            progress.items_done += u64::from(matches!(
                shard.stage,
                ShardStage::Done | ShardStage::Failure
            ));
        }
        progress
    }
}

/// Takes `unsent` bytes back from what the shards show as done. The shards that were read last are the ones that wait; one
/// whose documents wait is not done.
fn hold_back<'a>(shards: impl DoubleEndedIterator<Item = &'a mut ShardStatus>, unsent: u64) {
    let mut unsent = unsent;
    for shard in shards.rev() {
        let held = unsent.min(shard.processed.bytes);
        if held == 0 {
            continue;
        }
        unsent -= held;
        shard.processed.bytes -= held;
        if matches!(shard.stage, ShardStage::Done | ShardStage::Finalize) {
            shard.stage = ShardStage::Started;
            shard.processed.files = shard.processed.files.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_shard(bytes: u64) -> ShardStatus {
        let figures = ShardFigures::default();
        figures.start(0);
        let all = FileStats { files: 2, bytes };
        figures.finish(all, all, 10);
        figures.status(0, 10)
    }

    #[test]
    fn a_shard_whose_documents_wait_for_the_rate_limit_is_not_done() {
        let mut shards = [read_shard(100), read_shard(0), read_shard(50)];
        hold_back(shards.iter_mut(), 70);
        let shown = shards.map(|shard| (shard.stage, shard.processed.bytes));
        let expected = [
            (ShardStage::Started, 80),
            (ShardStage::Done, 0),
            (ShardStage::Started, 0),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_has_arrived_is_shown_as_done() {
        let mut shards = [read_shard(100)];
        hold_back(shards.iter_mut(), 0);
        assert_eq!(shards[0].stage, ShardStage::Done);
        assert_eq!(shards[0].processed.files, 2);
    }
}
