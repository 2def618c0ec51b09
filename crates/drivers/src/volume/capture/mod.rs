//! Capturing disks: one consistent moment for a group of them, then reading at leisure.

mod api;
mod group;

pub use api::{Changes, DiskCapture, DiskRequest, GroupCapture};
pub use group::capture;
