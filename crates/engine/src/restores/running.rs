//! A restore that runs, and how far it is.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::jobs::RunningJob;
use crate::model::{JobProgress, RecoverySource, RecoveryStage, RestoreInfo, ShardRecovery};
use crate::repositories::OpenVault;

const STAGES: [RecoveryStage; 6] = [
    RecoveryStage::Init,
    RecoveryStage::Index,
    RecoveryStage::VerifyIndex,
    RecoveryStage::Translog,
    RecoveryStage::Finalize,
    RecoveryStage::Done,
];

/// Figures of one shard, readable while it is loaded.
#[derive(Debug)]
pub(crate) struct RecoveryFigures {
    index: String,
    shard: u32,
    source: RecoverySource,
    start_ms: i64,
    stage: AtomicU8,
    /// 0 while it runs.
    stop_ms: AtomicI64,
    bytes_total: AtomicU64,
    bytes_recovered: AtomicU64,
    files_total: AtomicU64,
    files_recovered: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl RecoveryFigures {
    pub(super) fn new(index: &str, shard: u32, source: RecoverySource, start_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            index: index.to_owned(),
            shard,
            source,
            start_ms,
            stage: AtomicU8::new(0),
            stop_ms: AtomicI64::new(0),
            bytes_total: AtomicU64::new(0),
            bytes_recovered: AtomicU64::new(0),
            files_total: AtomicU64::new(0),
            files_recovered: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    /// Sets the stage.
    pub(super) fn set_stage(&self, stage: RecoveryStage) {
        let number = STAGES
            .iter()
            .position(|known| *known == stage)
            .unwrap_or_default();
        self.stage.store(number as u8, Ordering::Relaxed);
    }

    /// Sets what is to be loaded.
    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.files_total.store(files, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    /// Adds bytes that were loaded.
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes_recovered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that all files are loaded.
    pub(super) fn all_loaded(&self) {
        self.files_recovered
            .store(self.files_total.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes the end; the first one counts.
    pub(super) fn finish(&self, failure: Option<&str>, now_ms: i64) {
        if self
            .stop_ms
            .compare_exchange(0, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            match failure {
                Some(reason) => {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(reason.to_owned());
                }
                None => self.set_stage(RecoveryStage::Done),
            }
        }
    }

    fn recovery(&self, throttled_ns: u64) -> ShardRecovery {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stop_ms = self.stop_ms.load(Ordering::Relaxed);
        ShardRecovery {
            index: self.index.clone(),
            shard: self.shard,
            stage: STAGES[usize::from(self.stage.load(Ordering::Relaxed)).min(STAGES.len() - 1)],
            start_ms: self.start_ms,
            stop_ms: (stop_ms != 0).then_some(stop_ms),
            source: self.source.clone(),
            bytes_total: value(&self.bytes_total),
            bytes_recovered: value(&self.bytes_recovered),
            files_total: value(&self.files_total),
            files_recovered: value(&self.files_recovered),
            throttled_ns,
            failure: self
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

/// A restore that runs.
#[derive(Debug)]
pub(crate) struct RunningRestore {
    pub(crate) job: Arc<RunningJob>,
    pub(crate) vault: Arc<OpenVault>,
    /// As promised.
    pub(crate) planned: RestoreInfo,
    /// By target index in the order of `planned.indices`, then by shard.
    pub(crate) shards: Vec<Vec<Arc<RecoveryFigures>>>,
    throttled_before_ns: u64,
    result: Mutex<Option<RestoreInfo>>,
}

impl RunningRestore {
    pub(super) fn new(
        job: Arc<RunningJob>,
        vault: Arc<OpenVault>,
        planned: RestoreInfo,
        shards: Vec<Vec<Arc<RecoveryFigures>>>,
    ) -> Arc<Self> {
        let running = Arc::new(Self {
            throttled_before_ns: vault.read_throttled_ns(),
            job,
            vault,
            planned,
            shards,
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

    /// Its shards as `_recovery` shows them, by index.
    pub(crate) fn recoveries(&self) -> Vec<Vec<ShardRecovery>> {
        let throttled_ns = self
            .vault
            .read_throttled_ns()
            .saturating_sub(self.throttled_before_ns);
        self.shards
            .iter()
            .map(|shards| {
                shards
                    .iter()
                    .map(|figures| figures.recovery(throttled_ns))
                    .collect()
            })
            .collect()
    }

    /// Keeps what became of it for those who wait.
    pub(super) fn set_result(&self, info: RestoreInfo) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(info);
    }

    /// What became of it.
    pub(super) fn result(&self) -> Option<RestoreInfo> {
        self.result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn job_progress(&self) -> JobProgress {
        let mut progress = JobProgress {
            phase: "loading".to_owned(),
            ..JobProgress::default()
        };
        for shard in self.recoveries().into_iter().flatten() {
            progress.bytes_done += shard.bytes_recovered;
            progress.bytes_total += shard.bytes_total;
            progress.items_total += 1;
            progress.items_done += u64::from(!shard.is_active());
            progress.throttled_ns = shard.throttled_ns;
        }
        progress
    }
}
