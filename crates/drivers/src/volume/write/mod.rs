//! The write side of disks: roll a disk back, write a new one, write an image of a host.
//!
//! What a disk shall become is a [`DiskContent`]: blocks of one size that can be compared by hash and read. Everything here
//! asks only that trait and knows nothing of repositories.
//!
//! * [`roll_back`] makes an existing disk equal to the content and writes only what differs: a regular file is replaced by a
//!   new one ([`RollbackMode::Swap`], a crash leaves old or new), a block device is written where it is
//!   ([`RollbackMode::InPlace`], which may be repeated as often as needed).
//! * [`write_disk`] writes a new disk file: raw, qcow2 or VMDK.
//! * [`write_image`] writes a folder with all disks of a host, or an OVA.
//!
//! Files appear under their name only when they are complete: they are written under a temporary name beside it, made
//! durable, and renamed.

mod content;
mod disk;
mod grid;
mod image;
mod parallel;
mod progress;
mod qcow2;
mod raw;
mod rollback;
mod sink;
mod staged;
#[cfg(test)]
pub(in crate::volume) mod testing;
#[cfg(test)]
mod tests;
mod vmdk;

pub use content::{DiskContent, MemoryDisk};
pub use disk::{Checksum, Compression, DiskFormat, WrittenDisk, write_disk};
pub use image::{
    ImageDisk, ImageDiskRecord, ImageFile, ImageLayout, ImageManifest, ImageSpec, read_images,
    write_image,
};
pub use progress::{WriteCounts, WriteProgress};
pub use rollback::{RollbackMode, WriteReport, effective_mode, roll_back};
