//! How far a writer is, and how it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::VolumeError;

/// Shared between a writer and those who watch it: counters and the wish to stop.
///
/// Writers look at the wish between two batches of blocks, so it is obeyed within some megabytes.
#[derive(Debug, Default)]
pub struct WriteProgress {
    cancelled: AtomicBool,
    total: AtomicU64,
    compared: AtomicU64,
    written: AtomicU64,
    punched: AtomicU64,
    done: AtomicU64,
}

/// What a writer has done so far, in bytes of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteCounts {
    /// What there is to go through: the size of the disk, or of all disks of an image.
    pub total_bytes: u64,
    /// How much of it has been gone through, holes and untouched ranges included.
    pub done_bytes: u64,
    /// Read from the target and compared.
    pub compared_bytes: u64,
    /// Written because it differed or was missing.
    pub written_bytes: u64,
    /// Turned into a hole, or into zeros where the target has no holes.
    pub punched_bytes: u64,
}

impl WriteProgress {
    /// Nothing done, nothing cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the writer to stop. It returns [`VolumeError::Cancelled`] and leaves what a failure would leave.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// The counters now.
    pub fn counts(&self) -> WriteCounts {
        WriteCounts {
            total_bytes: self.total.load(Ordering::Relaxed),
            done_bytes: self.done.load(Ordering::Relaxed),
            compared_bytes: self.compared.load(Ordering::Relaxed),
            written_bytes: self.written.load(Ordering::Relaxed),
            punched_bytes: self.punched.load(Ordering::Relaxed),
        }
    }

    pub(super) fn check(&self) -> Result<(), VolumeError> {
        if self.is_cancelled() {
            return Err(VolumeError::Cancelled);
        }
        Ok(())
    }

    pub(super) fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_done(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_compared(&self, bytes: u64) {
        self.compared.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_punched(&self, bytes: u64) {
        self.punched.fetch_add(bytes, Ordering::Relaxed);
    }
}
