//! Rollback by a new file that takes the old one's name.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::ioctl_ficlone;

use super::super::super::{RangeSet, VolumeError};
use super::super::grid::Grid;
use super::super::qcow2;
use super::super::staged::{StagedFile, ensure_room, failed};
use super::super::{Compression, WriteProgress};
use super::attributes;
use super::differences::Differences;
use super::lock::keep_qemu_out;
use super::target::FileTarget;

/// Swaps the raw file at `path`. Returns whether the new file began as a clone.
///
/// Nothing at `path` changes before the rename, so a crash leaves the old file or the new one. The old file may be missing.
pub(super) fn swap_raw(
    path: &Path,
    grid: Grid<'_>,
    changed: Option<&RangeSet>,
    progress: &WriteProgress,
) -> Result<bool, VolumeError> {
    let old = open_old(path)?;
    let staged = StagedFile::begin(path)?;
    let new = staged.file();
    let mut cloned = false;
    let mut old_bytes = 0;
    if let Some(old) = &old {
        attributes::keep_in_place_writing(old, new);
        cloned = clone_whole(old, new);
        old_bytes = old
            .metadata()
            .map_err(VolumeError::io("look at", path))?
            .len();
    }
    if !cloned {
        new.set_len(0)
            .map_err(failed("empty", staged.temporary()))?;
        ensure_room(new, staged.temporary(), grid.data_bytes())?;
    }
    new.set_len(grid.size_bytes)
        .map_err(failed("set the size of", staged.temporary()))?;
    let written = FileTarget::regular(new, staged.temporary(), grid.size_bytes);
    let present = FileTarget::regular(old.as_ref().unwrap_or(new), path, old_bytes);
    Differences {
        grid,
        old: &present,
        new: &written,
        new_is_empty: !cloned,
        changed,
        marks: None,
        progress,
    }
    .apply()?;
    finish(old.as_ref(), staged, path)?;
    Ok(cloned)
}

/// Swaps the qcow2 file at `path` for a new one, which is written whole.
pub(super) fn swap_qcow2(
    path: &Path,
    grid: Grid<'_>,
    progress: &WriteProgress,
) -> Result<(), VolumeError> {
    let old = open_old(path)?;
    let staged = StagedFile::begin(path)?;
    if let Some(old) = &old {
        attributes::keep_in_place_writing(old, staged.file());
    }
    qcow2::write(
        staged.file(),
        staged.temporary(),
        grid.content(),
        Compression::None,
        progress,
    )?;
    finish(old.as_ref(), staged, path)
}

fn open_old(path: &Path) -> Result<Option<File>, VolumeError> {
    match File::open(path) {
        Ok(file) => {
            keep_qemu_out(&file, path);
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VolumeError::io("open", path)(error)),
    }
}

/// Whatever the reason that this fails (another file system, no clones, no room), copying is tried next and tells.
fn clone_whole(old: &File, new: &File) -> bool {
    ioctl_ficlone(new, old).is_ok()
}

fn finish(old: Option<&File>, staged: StagedFile, path: &Path) -> Result<(), VolumeError> {
    if let Some(old) = old {
        attributes::take_over(old, staged.file(), path)?;
    }
    staged.commit()
}
