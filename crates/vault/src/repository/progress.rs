//! Figures of running work, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a backup has done so far. All figures only grow.
#[derive(Debug, Default)]
pub struct BackupProgress {
    /// Bytes that sources delivered, holes included.
    pub bytes_read: AtomicU64,
    /// Bytes of that that were holes or zeros.
    pub bytes_zero: AtomicU64,
    /// Plain bytes of blobs that were new to the repository.
    pub bytes_new: AtomicU64,
    /// Bytes as stored (compressed and encrypted) of the new blobs.
    pub bytes_stored: AtomicU64,
    /// Bytes of finished packs that the storage has acknowledged.
    pub bytes_uploaded: AtomicU64,
    /// Plain bytes taken over by reference.
    pub bytes_adopted: AtomicU64,
    /// Blobs that sources delivered.
    pub blobs_read: AtomicU64,
    /// New data blobs.
    pub data_blobs: AtomicU64,
    /// New tree blobs.
    pub tree_blobs: AtomicU64,
    /// Packs that the storage has acknowledged.
    pub packs: AtomicU64,
}

impl BackupProgress {
    /// The current value of one of the figures.
    pub fn value(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
