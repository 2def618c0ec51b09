//! What is at a location.

use super::{ProbedDisk, VolumeError};

/// Finds out what is at `location`, an absolute path or an NBD URI, and how large the disk is for its host.
///
/// # Errors
/// [`VolumeError::Missing`], [`VolumeError::Unsupported`] for what is neither file nor device and for qcow2 images that must
/// not be read as they are.
pub fn probe(_location: &str) -> Result<ProbedDisk, VolumeError> {
    todo!()
}
