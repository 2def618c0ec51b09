//! Who may be writing to a disk.
//!
//! Three ways to find them, since none sees everything: open files of processes (only those this process may look at), the image
//! locks of QEMU (from any process or container of this machine), and what the kernel itself has built on a file or device.

mod kernel;
mod process;
pub(in crate::volume) mod qemu_lock;

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

pub(in crate::volume) use kernel::sysfs_folder;

use super::{DiskSource, DiskUser, VolumeError, VolumeFormat};

/// A file or device as the kernel knows it, whatever its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A regular file.
    File {
        /// The device that its file system is on.
        device: u64,
        /// Its inode.
        inode: u64,
    },
    /// A block device, by its number.
    Device(u64),
}

/// Everybody who may be writing to the disk now, other than this process. Empty for NBD: only its server knows.
///
/// # Errors
/// [`VolumeError::Missing`] and failures to look.
pub fn users_of(source: &DiskSource) -> Result<Vec<DiskUser>, VolumeError> {
    if source.format == VolumeFormat::Nbd {
        return Ok(Vec::new());
    }
    let path = Path::new(&source.location);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(VolumeError::Missing {
                location: source.location.clone(),
            });
        }
        Err(cause) => return Err(VolumeError::io("look at", path)(cause)),
    };
    let mut users = Vec::new();
    let target = if metadata.file_type().is_block_device() {
        users.extend(kernel::users_of_device(metadata.rdev()));
        Target::Device(metadata.rdev())
    } else {
        let file = File::open(path).map_err(VolumeError::io("open", path))?;
        users.extend(
            qemu_lock::writer(&file).map_err(VolumeError::io("ask for the locks of", path))?,
        );
        let target = Target::File {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        users.extend(kernel::loops_on(target));
        target
    };
    users.extend(process::writers(target));
    Ok(users)
}
