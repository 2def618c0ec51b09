//! The call: which way a disk is rolled back, and what came of it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::super::{DiskSource, RangeSet, VolumeError, VolumeFormat};
use super::super::grid::Grid;
use super::super::{DiskContent, WriteProgress};
use super::{in_place, swap};

/// How an existing disk is made equal to a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackMode {
    /// A new file is written beside the old one and takes its name. A crash leaves old or new, never a mixture. Needs room for
    /// a second copy where the file system cannot clone.
    #[default]
    Swap,
    /// The differing blocks are written where they are. Cut off in the middle the disk is a mixture; running it again finishes
    /// it, so the caller keeps a durable record until then.
    InPlace,
}

/// What a rollback did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteReport {
    /// How it was done, see [`effective_mode`].
    pub mode: RollbackMode,
    /// Whether the new file began as a clone that shares the old one's blocks.
    pub cloned: bool,
    /// Read from the target and compared, in bytes.
    pub compared_bytes: u64,
    /// Written, in bytes.
    pub written_bytes: u64,
    /// Turned into holes or zeros, in bytes.
    pub punched_bytes: u64,
    /// What an operator should know, as sentences.
    pub notes: Vec<String>,
}

/// What is at a location that is to be written.
enum Kind {
    /// A raw file, or nothing yet.
    Raw(PathBuf),
    Qcow2(PathBuf),
    Device(PathBuf),
    Nbd,
}

/// How `target` will be rolled back when `wanted` is asked for: block devices and NBD exports cannot be swapped, and neither
/// can a raw file with several names (hard links) without parting them; a qcow2 file cannot be written in place.
///
/// # Errors
/// [`VolumeError::Unsupported`] for what is neither file nor block device, [`VolumeError::Io`] when it cannot be looked at.
pub fn effective_mode(
    target: &DiskSource,
    wanted: RollbackMode,
) -> Result<RollbackMode, VolumeError> {
    let kind = kind_of(target)?;
    mode_for(&kind, wanted)
}

/// Makes the disk at `target` equal to `content` and returns when that is durable.
///
/// `changed` are the ranges in which the target may differ from the content; without it everything is read and compared. A call
/// that repeats one in place which was cut off must pass `None`. The target must not be in use. A file that is missing is
/// written anew. `progress` may be used by one call at a time, since the report is told from it.
///
/// Sizes: a file gets the size of the content. A block device or an NBD export that is smaller is refused; of a larger one the
/// rest behind the content stays as it is, which a note of the report tells.
///
/// After an error a swap has left the target as it was; in place the target is a mixture until the call is repeated.
///
/// # Errors
/// [`VolumeError::NoSpace`], [`VolumeError::InUse`], [`VolumeError::Unsupported`], [`VolumeError::Cancelled`], or what
/// reading and writing met.
pub fn roll_back(
    target: &DiskSource,
    content: &dyn DiskContent,
    changed: Option<&RangeSet>,
    mode: RollbackMode,
    progress: &WriteProgress,
) -> Result<WriteReport, VolumeError> {
    let grid = Grid::new(content, 1)?;
    let kind = kind_of(target)?;
    let mode = mode_for(&kind, mode)?;
    let before = progress.counts();
    progress.add_total(grid.size_bytes);
    let mut notes = Vec::new();
    let mut cloned = false;
    match (&kind, mode) {
        (Kind::Raw(path), RollbackMode::Swap) => {
            cloned = swap::swap_raw(path, grid, changed, progress)?;
        }
        (Kind::Raw(path), RollbackMode::InPlace) => {
            in_place::write_file(path, grid, changed, progress)?;
        }
        (Kind::Qcow2(path), _) => {
            let names = fs::metadata(path).map_or(1, |found| found.nlink());
            swap::swap_qcow2(path, grid, progress)?;
            notes.push(
                "the qcow2 file was written anew: a backing file, internal snapshots and bitmaps of the old one are gone"
                    .to_string(),
            );
            if names > 1 {
                notes.push(format!(
                    "{} had {names} names (hard links); the others still lead to the old content",
                    path.display()
                ));
            }
        }
        (Kind::Device(path), _) => {
            notes.extend(in_place::write_device(
                target, path, grid, changed, progress,
            )?);
        }
        (Kind::Nbd, _) => {
            notes.extend(in_place::write_nbd(
                &target.location,
                grid,
                changed,
                progress,
            )?);
        }
    }
    let after = progress.counts();
    Ok(WriteReport {
        mode,
        cloned,
        compared_bytes: after.compared_bytes - before.compared_bytes,
        written_bytes: after.written_bytes - before.written_bytes,
        punched_bytes: after.punched_bytes - before.punched_bytes,
        notes,
    })
}

fn mode_for(kind: &Kind, wanted: RollbackMode) -> Result<RollbackMode, VolumeError> {
    Ok(match kind {
        Kind::Device(_) | Kind::Nbd => RollbackMode::InPlace,
        Kind::Qcow2(_) => RollbackMode::Swap,
        Kind::Raw(path) => match fs::metadata(path) {
            Ok(found) if found.nlink() > 1 => RollbackMode::InPlace,
            Ok(_) => wanted,
            Err(error) if error.kind() == io::ErrorKind::NotFound => RollbackMode::Swap,
            Err(error) => return Err(VolumeError::io("look at", path)(error)),
        },
    })
}

fn kind_of(target: &DiskSource) -> Result<Kind, VolumeError> {
    if target.format == VolumeFormat::Nbd {
        return Ok(Kind::Nbd);
    }
    let given = Path::new(&target.location);
    // Through symbolic links, so that the file is swapped and not the link.
    let (path, found) = match fs::canonicalize(given) {
        Ok(path) => {
            let found = fs::metadata(&path).map_err(VolumeError::io("look at", &path))?;
            (path, Some(found.file_type()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (given.to_path_buf(), None),
        Err(error) => return Err(VolumeError::io("look at", given)(error)),
    };
    match (target.format, found) {
        (VolumeFormat::Block, None) => Err(VolumeError::Missing {
            location: target.location.clone(),
        }),
        (_, Some(found)) if found.is_block_device() => Ok(Kind::Device(path)),
        (VolumeFormat::Qcow2, found) if found.is_none_or(|found| found.is_file()) => {
            Ok(Kind::Qcow2(path))
        }
        (_, found) if found.is_none_or(|found| found.is_file()) => Ok(Kind::Raw(path)),
        _ => Err(VolumeError::Unsupported {
            what: format!(
                "writing a disk to [{}], which is neither a file nor a block device",
                target.location
            ),
            hint: "correct the volume's location".into(),
        }),
    }
}
