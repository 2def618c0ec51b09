//! Rollback by writing the differing blocks where they are.
//!
//! Cut off at any point the disk is a mixture of old and new, and the same call made again finishes it: the content does not
//! change, so a block that was written already compares equal. No undo record is needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::super::super::{DiskSource, RangeSet, VolumeError, users_of};
use super::super::WriteProgress;
use super::super::grid::Grid;
use super::super::staged::failed;
use super::differences::{Differences, Marks, verify};
use super::lock::keep_qemu_out;
use super::nbd::NbdTarget;
use super::target::{FileTarget, Target};

/// Writes into the regular file at `path`.
pub(super) fn write_file(
    path: &Path,
    grid: Grid<'_>,
    changed: Option<&RangeSet>,
    progress: &WriteProgress,
) -> Result<(), VolumeError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(VolumeError::io("open for writing", path))?;
    keep_qemu_out(&file, path);
    let old_bytes = file
        .metadata()
        .map_err(VolumeError::io("look at", path))?
        .len();
    let target = FileTarget::regular(&file, path, old_bytes.min(grid.size_bytes));
    write(&target, path, grid, changed, progress, || {
        // Only now: until something is written, a rollback that fails or is cancelled leaves the disk as it was.
        progress.add_punched(old_bytes.abs_diff(grid.size_bytes));
        file.set_len(grid.size_bytes)
            .map_err(failed("set the size of", path))
    })
}

/// Writes to the block device at `path`. Returns a note when it is larger than the content.
pub(super) fn write_device(
    source: &DiskSource,
    path: &Path,
    grid: Grid<'_>,
    changed: Option<&RangeSet>,
    progress: &WriteProgress,
) -> Result<Option<String>, VolumeError> {
    let mut device = open_device(source, path)?;
    keep_qemu_out(&device, path);
    let device_bytes = device
        .seek(SeekFrom::End(0))
        .map_err(VolumeError::io("learn the size of", path))?;
    let note = check_size(&source.location, device_bytes, grid.size_bytes)?;
    let target = FileTarget::device(&device, path, device_bytes);
    write(&target, path, grid, changed, progress, || Ok(()))?;
    Ok(note)
}

/// Writes to an NBD export. Returns a note when it is larger than the content.
pub(super) fn write_nbd(
    location: &str,
    grid: Grid<'_>,
    changed: Option<&RangeSet>,
    progress: &WriteProgress,
) -> Result<Option<String>, VolumeError> {
    let target = NbdTarget::connect(location)?;
    let note = check_size(location, target.size_bytes(), grid.size_bytes)?;
    write(
        &target,
        Path::new(location),
        grid,
        changed,
        progress,
        || Ok(()),
    )?;
    Ok(note)
}

fn write(
    target: &dyn Target,
    path: &Path,
    grid: Grid<'_>,
    changed: Option<&RangeSet>,
    progress: &WriteProgress,
    set_size: impl FnOnce() -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    let marks = Marks::new(grid.size_bytes.div_ceil(grid.block_bytes()));
    Differences {
        grid,
        old: target,
        new: target,
        new_is_empty: false,
        changed,
        marks: Some(&marks),
        progress,
    }
    .apply()?;
    set_size()?;
    target.sync()?;
    target.forget_cached();
    match verify(&grid, target, &marks, progress)? {
        None => Ok(()),
        Some(block) => Err(VolumeError::Io {
            operation: format!(
                "trust what was written at {} to",
                grid.block_range(block).start
            ),
            path: path.to_path_buf(),
            cause: io::Error::other(
                "it reads back differently: the disk is faulty or something else writes to it",
            ),
        }),
    }
}

/// Opens it so that nothing else can mount it or build on it meanwhile.
fn open_device(source: &DiskSource, path: &Path) -> Result<File, VolumeError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::EXCL.bits() as i32)
        .open(path);
    match opened {
        Ok(device) => Ok(device),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            let users = users_of(source)?;
            if users.is_empty() {
                return Err(VolumeError::Unsupported {
                    what: format!("writing to [{}], which the system holds", path.display()),
                    hint: "unmount it, stop what uses it, then try again".into(),
                });
            }
            Err(VolumeError::InUse {
                volume: source.volume.clone(),
                users,
                reason: None,
            })
        }
        Err(error) => Err(VolumeError::io("open for writing", path)(error)),
    }
}

fn check_size(location: &str, target: u64, content: u64) -> Result<Option<String>, VolumeError> {
    if target < content {
        return Err(VolumeError::Unsupported {
            what: format!(
                "rolling back [{location}], which has {target} bytes, to a snapshot of {content} bytes"
            ),
            hint: "enlarge it, or create a new volume from the snapshot".into(),
        });
    }
    Ok((target > content).then(|| {
        format!(
            "{location} has {} bytes more than the snapshot; these were left as they are",
            target - content
        )
    }))
}
