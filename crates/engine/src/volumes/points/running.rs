//! A point that is being made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use snapkeep_vault::BackupProgress;

use crate::jobs::RunningJob;
use crate::layout::PointRecord;
use crate::model::JobProgress;
use crate::snapshots::RunningSnapshot;

/// A point that is being made.
#[derive(Debug)]
pub(crate) struct RunningPoint {
    /// The snapshot that it becomes.
    pub(crate) snapshot: Arc<RunningSnapshot>,
    record: Mutex<PointRecord>,
    taken: AtomicBool,
    /// Bytes of its disks.
    disk_bytes: AtomicU64,
    done: AtomicBool,
}

impl RunningPoint {
    pub(super) fn new(snapshot: Arc<RunningSnapshot>, record: PointRecord) -> Arc<Self> {
        Arc::new(Self {
            snapshot,
            record: Mutex::new(record),
            taken: AtomicBool::new(false),
            disk_bytes: AtomicU64::new(0),
            done: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, PointRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is known now.
    pub(crate) fn record(&self) -> PointRecord {
        self.lock().clone()
    }

    /// Notes what was captured, and when.
    pub(super) fn captured(&self, snapshot_ms: i64, disk_bytes: u64) {
        self.lock().snapshot_ms = snapshot_ms;
        self.disk_bytes.store(disk_bytes, Ordering::Relaxed);
    }

    /// Notes that the source is not needed any more.
    pub(super) fn set_taken(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Whether the source may change.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Bytes of its disks, 0 until they are captured.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// Notes that it has ended, well or not.
    pub(super) fn set_done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    fn add_to(&self, progress: &mut JobProgress) {
        let figures = &self.snapshot.progress;
        let total = self.disk_bytes();
        let done = self.done.load(Ordering::Relaxed);
        let handled = BackupProgress::value(&figures.bytes_read)
            + BackupProgress::value(&figures.bytes_adopted);
        progress.bytes_total += total;
        progress.bytes_done += if done { total } else { handled.min(total) };
        progress.items_total += 1;
        progress.items_done += u64::from(done);
        progress.stored_bytes += BackupProgress::value(&figures.bytes_stored);
        progress.throttled_ns = progress.throttled_ns.max(self.snapshot.throttled_ns());
    }
}

/// Lets the job tell how far its points are.
pub(super) fn show_progress(job: &RunningJob, points: &[Arc<RunningPoint>]) {
    let points: Vec<Weak<RunningPoint>> = points.iter().map(Arc::downgrade).collect();
    job.set_progress(Box::new(move || {
        let points: Vec<Arc<RunningPoint>> = points.iter().filter_map(Weak::upgrade).collect();
        let is_captured = points.iter().all(|point| point.disk_bytes() > 0);
        let phase = if is_captured { "reading" } else { "capturing" };
        let mut progress = JobProgress {
            phase: phase.to_owned(),
            ..JobProgress::default()
        };
        for point in &points {
            point.add_to(&mut progress);
        }
        progress
    }));
}
