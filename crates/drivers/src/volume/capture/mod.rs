//! Capturing disks: one consistent moment for a group of them, then reading at leisure.
//!
//! * [`group`]: the moment itself. [`disk`]: what becomes of one disk, with [`raw`] and [`image`] for the two kinds of files.
//! * Change detection: [`bitmap`], [`reflink`], [`stat`]. [`generation`]: what is left behind for the next time.

mod api;
mod bitmap;
mod captured;
mod disk;
mod generation;
mod group;
mod image;
mod raw;
mod reflink;
mod stat;
#[cfg(test)]
mod tests;

pub use api::{Changes, DiskCapture, DiskRequest, GroupCapture};
pub(super) use bitmap::{identity_over, is_over};
pub use generation::forget;
pub use group::capture;
pub use reflink::forget_gone;
