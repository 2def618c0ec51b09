//! Where a captured disk is read from.

mod file;
mod nbd;
mod qemu_nbd;

use std::ops::Range;

use super::{Extent, VolumeError};

pub(in crate::volume) use file::FileSource;
pub(in crate::volume) use nbd::{NbdSource, dirty_ranges};
pub use qemu_nbd::recover_captures;
pub(in crate::volume) use qemu_nbd::{ImageView, QemuNbd, bitmap_context};

/// Reads a disk. The contracts are those of [`DiskCapture`](super::DiskCapture).
pub(in crate::volume) trait DiskReader: Send + Sync {
    fn size_bytes(&self) -> u64;
    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError>;
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError>;
}
