//! The one moment of a group of disks.

use super::{DiskCapture, GroupCapture};
use crate::volume::VolumeError;

/// Captures all disks of the group at one moment, in the order of the request. Either all are captured or none.
///
/// # Errors
/// [`VolumeError::InUse`] for a disk that is written to and of which no consistent view can be had (unless that is allowed),
/// [`VolumeError::Missing`], [`VolumeError::Unsupported`], [`VolumeError::ToolMissing`] and failures of system calls.
pub fn capture(_group: GroupCapture<'_>) -> Result<Vec<Box<dyn DiskCapture>>, VolumeError> {
    todo!()
}
