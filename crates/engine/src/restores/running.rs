//! A restore that runs, and how far it is.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::jobs::CANCELLED_ON_REQUEST;
use crate::jobs::RunningJob;
use crate::model::{
    JobProgress, RecoverySource, RecoveryStage, RestoreInfo, RestoreRun, RestoreStage,
    RestoreState, ShardRecovery,
};
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

fn of_shards(
    resources: &[Vec<Arc<RecoveryFigures>>],
    throttled_ns: u64,
) -> Vec<Vec<ShardRecovery>> {
    let of_resource = |shards: &Vec<Arc<RecoveryFigures>>| {
        let shards = shards.iter();
        shards
            .map(|figures| figures.recovery(throttled_ns))
            .collect()
    };
    resources.iter().map(of_resource).collect()
}

/// A restore that runs.
#[derive(Debug)]
pub(crate) struct RunningRestore {
    pub(crate) job: Arc<RunningJob>,
    pub(crate) vault: Arc<OpenVault>,
    /// The snapshot that is restored.
    pub(crate) snapshot_uuid: String,
    /// As promised.
    pub(crate) planned: RestoreInfo,
    /// By target index in the order of `planned.indices`, then by shard.
    pub(crate) shards: Vec<Vec<Arc<RecoveryFigures>>>,
    /// The same of `planned.collections`.
    pub(crate) collections: Vec<Vec<Arc<RecoveryFigures>>>,
    /// As it is while it runs, but for its progress; as it ended once it has.
    run: Mutex<RestoreRun>,
    throttled_before_ns: u64,
    result: Mutex<Option<RestoreInfo>>,
}

impl RunningRestore {
    pub(super) fn new(
        job: Arc<RunningJob>,
        vault: Arc<OpenVault>,
        snapshot_uuid: String,
        planned: RestoreInfo,
        shards: Vec<Vec<Arc<RecoveryFigures>>>,
        collections: Vec<Vec<Arc<RecoveryFigures>>>,
        run: RestoreRun,
    ) -> Arc<Self> {
        let running = Arc::new(Self {
            throttled_before_ns: vault.read_throttled_ns(),
            job,
            vault,
            snapshot_uuid,
            planned,
            shards,
            collections,
            run: Mutex::new(run),
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
        of_shards(&self.shards, throttled_ns)
    }

    /// The shards of its collections in the same way.
    pub(super) fn collection_recoveries(&self) -> Vec<Vec<ShardRecovery>> {
        of_shards(&self.collections, 0)
    }

    fn lock_run(&self) -> MutexGuard<'_, RestoreRun> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As `latest_restore` shows it.
    pub(super) fn run(&self) -> RestoreRun {
        let mut run = self.lock_run().clone();
        if run.state.is_running() {
            let progress = self.job_progress();
            run.bytes_done = progress.bytes_done;
            run.bytes_total = progress.bytes_total;
        }
        run
    }

    /// Notes that it is its turn.
    pub(super) fn begin_transfer(&self) {
        self.lock_run().state = RestoreState::Running {
            stage: RestoreStage::Transferring,
        };
    }

    /// Notes that its result is about to become visible; false when it was cancelled before.
    pub(super) fn begin_finalizing(&self) -> bool {
        let mut run = self.lock_run();
        if self.job.cancel.is_cancelled() {
            return false;
        }
        run.state = RestoreState::Running {
            stage: RestoreStage::Finalizing,
        };
        true
    }

    /// Notes which collections were there already.
    pub(super) fn set_conflicts(&self, conflicts: Vec<String>) {
        self.lock_run().conflicts = conflicts;
    }

    /// Asks it to stop; false when it is too late.
    pub(super) fn request_cancel(&self) -> bool {
        let run = self.lock_run();
        let finalizing = RestoreState::Running {
            stage: RestoreStage::Finalizing,
        };
        if run.state == finalizing {
            return false;
        }
        self.job.cancel(CANCELLED_ON_REQUEST);
        true
    }

    /// Notes its end.
    pub(super) fn end_run(
        &self,
        state: RestoreState,
        error: Option<String>,
        now_ms: i64,
    ) -> RestoreRun {
        let progress = self.job_progress();
        let mut run = self.lock_run();
        run.state = state;
        run.error = error;
        run.end_ms = Some(now_ms.max(run.start_ms));
        run.bytes_done = progress.bytes_done;
        run.bytes_total = progress.bytes_total;
        run.clone()
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
        let shards = self
            .recoveries()
            .into_iter()
            .chain(self.collection_recoveries());
        for shard in shards.flatten() {
            progress.bytes_done += shard.bytes_recovered;
            progress.bytes_total += shard.bytes_total;
            progress.items_total += 1;
            progress.items_done += u64::from(!shard.is_active());
            progress.throttled_ns = progress.throttled_ns.max(shard.throttled_ns);
        }
        progress
    }
}
