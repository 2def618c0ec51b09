//! Writing a stored disk into a file of its own.

use std::path::Path;

use snapkeep_drivers::volume::VolumeError;
use snapkeep_drivers::volume::write::{
    Checksum, DiskFormat, WriteProgress, WrittenDisk, write_disk,
};

use super::StoredDisk;

/// Why a disk could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is something at the target already.
    #[error("{path} exists already; choose another name, or allow it to be replaced")]
    Exists {
        /// The target.
        path: String,
    },
    /// It could not be read or written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// Writes a disk to `path` in a format of disk files. It appears there when it is complete and durable; after an error, a cancellation
/// or a crash `path` is as it was. Needs no server.
pub fn export_disk(
    disk: &StoredDisk,
    path: &Path,
    format: DiskFormat,
    replace: bool,
    progress: &WriteProgress,
) -> Result<WrittenDisk, ExportError> {
    if !replace && path.symlink_metadata().is_ok() {
        return Err(ExportError::Exists {
            path: path.display().to_string(),
        });
    }
    Ok(write_disk(path, format, Checksum::Skip, disk, progress)?)
}
