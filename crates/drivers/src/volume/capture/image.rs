//! qcow2 images: read through `qemu-nbd`, the changes from a persistent bitmap.

use std::fs::File;
use std::path::Path;

use super::bitmap::{self, ImageDescription};
use super::captured::{Captured, Watch};
use super::disk::{FileDisk, generation};
use super::generation::Trace;
use super::raw::{by_stat, other_method, usable_token};
use super::stat::FileStat;
use super::{Changes, DiskRequest};
use crate::volume::qcow2::Qcow2Header;
use crate::volume::source::{DiskReader, ImageView, NbdSource, QemuNbd, bitmap_context};
use crate::volume::{ChangeSource, Consistency, DiskToken, RangeSet, TokenKind, VolumeError};

pub(super) fn finish(
    disk: FileDisk,
    request: &DiskRequest,
    consistency: Consistency,
    state_dir: &Path,
) -> Result<Captured, VolumeError> {
    match (consistency, disk.clone) {
        (Consistency::Offline, clone) => offline(FileDisk { clone, ..disk }, request, state_dir),
        (_, Ok(clone)) => {
            let read = clone.open()?;
            // What the host had written at that instant may be marked corrupt, though it was not before.
            Qcow2Header::read(&read, clone.path())?;
            let view = ImageView {
                image: clone.path(),
                bitmap: None,
                ignore_writers: false,
            };
            let source = QemuNbd::open(view, state_dir)?;
            let changes =
                Changes::unknown("the bitmaps of an image in use are known to its host alone");
            let size_bytes = source.size_bytes();
            Ok(Captured {
                reader: Box::new(source),
                changes,
                consistency,
                is_detached: true,
                watch: Watch::Nothing,
                scratch: Some(clone),
                generation: generation(request, size_bytes, Trace::Nothing),
            })
        }
        (_, Err(obstacle)) => {
            let view = ImageView {
                image: &disk.path,
                bitmap: None,
                ignore_writers: true,
            };
            let source = QemuNbd::open(view, state_dir)?;
            let changes = Changes::unknown(format!(
                "the volume is written to while it is read ({obstacle})"
            ));
            let size_bytes = source.size_bytes();
            Ok(Captured {
                reader: Box::new(source),
                changes,
                consistency,
                is_detached: false,
                watch: Watch::Nothing,
                scratch: None,
                generation: generation(request, size_bytes, Trace::Nothing),
            })
        }
    }
}

/// An image that nobody has open. QEMU's locks, which `qemu-nbd` holds while it reads, keep it so.
fn offline(
    disk: FileDisk,
    request: &DiskRequest,
    state_dir: &Path,
) -> Result<Captured, VolumeError> {
    let FileDisk {
        file,
        path,
        size_bytes,
        image: header,
        ..
    } = disk;
    // The times of one file do not tell about others.
    let is_self_contained = header.as_ref().is_some_and(Qcow2Header::is_self_contained);
    let settled = |file: &File| is_self_contained.then(|| FileStat::settled(file)).flatten();
    let stat = settled(&file);
    let description = match bitmap::describe(&path) {
        Err(cause @ VolumeError::ToolMissing { .. }) => return Err(cause),
        outcome => outcome.map_err(|cause| cause.to_string()),
    };
    let old = old_bitmap(request, size_bytes, description.as_ref());
    if let Ok(bitmap) = old
        && let Some(token) = &request.token
        && let Some(source) = open_unchanged(&path, bitmap, state_dir)
    {
        return Ok(unchanged(file, source, request, token));
    }
    // What an attempt of ours changes does not count next time; whatever else happened since the first look has to show then.
    let added = match (&header, &description) {
        (Some(header), _) if header.version < 3 => Err((
            "images of qcow2 version 2 keep no bitmaps; qemu-img amend -o compat=v3 changes that"
                .to_owned(),
            stat.clone(),
        )),
        (_, Err(cause)) => Err((cause.clone(), stat.clone())),
        (_, Ok(description)) => bitmap::add(&request.source.volume, &path, description)
            .map_err(|cause| (cause.to_string(), settled(&file))),
    };
    let (trace, obstacle) = match added {
        Ok((name, identity)) => (Trace::Bitmap { name, identity }, None),
        Err((obstacle, stat)) => (stat.map_or(Trace::Nothing, Trace::Stat), Some(obstacle)),
    };
    let generation = generation(request, size_bytes, trace);
    let opened = open_with_changes(&path, old, state_dir);
    let (source, mut changes) = match opened {
        Ok(opened) => opened,
        Err(cause) => {
            generation.failed();
            return Err(cause);
        }
    };
    if changes.ranges.is_none()
        && let Ok(token) = usable_token(request, size_bytes)
        && token.kind == TokenKind::Stat
    {
        changes = by_stat(token, stat.as_ref());
    }
    if changes.source != ChangeSource::Bitmap
        && let Some(obstacle) = obstacle
    {
        changes.reason = Some(obstacle);
    }
    let metadata = file.metadata().map_err(VolumeError::io("look at", &path))?;
    Ok(Captured {
        reader: Box::new(source),
        changes,
        consistency: Consistency::Offline,
        is_detached: false,
        watch: Watch::file(file, FileStat::of(&metadata)),
        scratch: None,
        generation,
    })
}

/// Opens the image if its bitmap has nothing recorded. It then goes on recording for the next snapshot too, and the image is not
/// written to at all. What fails here is told when the image is opened for good.
fn open_unchanged(path: &Path, bitmap: &str, state_dir: &Path) -> Option<NbdSource> {
    let view = ImageView {
        image: path,
        bitmap: Some(bitmap),
        ignore_writers: false,
    };
    let source = QemuNbd::open(view, state_dir).ok()?;
    let changed = source.dirty(&bitmap_context(bitmap)).ok()?;
    changed.is_empty().then_some(source)
}

fn unchanged(file: File, source: NbdSource, request: &DiskRequest, token: &DiskToken) -> Captured {
    let size_bytes = source.size_bytes();
    let watch = match file.metadata() {
        Ok(metadata) => Watch::file(file, FileStat::of(&metadata)),
        Err(_) => Watch::Nothing,
    };
    Captured {
        reader: Box::new(source),
        changes: Changes {
            source: ChangeSource::Bitmap,
            ranges: Some(RangeSet::new()),
            reason: None,
        },
        consistency: Consistency::Offline,
        is_detached: false,
        watch,
        scratch: None,
        generation: generation(
            request,
            size_bytes,
            Trace::SameBitmap(token.identity.clone()),
        ),
    }
}

/// The bitmap that records since the token's snapshot, or why there is none.
fn old_bitmap<'a>(
    request: &'a DiskRequest,
    size_bytes: u64,
    description: Result<&ImageDescription, &String>,
) -> Result<&'a str, String> {
    let token = usable_token(request, size_bytes)?;
    // A running QEMU leaves its bitmaps in the image when it ends.
    if !matches!(token.kind, TokenKind::Bitmap | TokenKind::Qmp) {
        return Err(other_method(token));
    }
    description.map_err(Clone::clone)?.usable(&token.identity)
}

fn open_with_changes(
    path: &Path,
    old: Result<&str, String>,
    state_dir: &Path,
) -> Result<(NbdSource, Changes), VolumeError> {
    let view = |bitmap| ImageView {
        image: path,
        bitmap,
        ignore_writers: false,
    };
    let reason = match old {
        Err(reason) => reason,
        Ok(bitmap) => {
            let read = QemuNbd::open(view(Some(bitmap)), state_dir)
                .and_then(|source| Ok((source.dirty(&bitmap_context(bitmap))?, source)));
            match read {
                Ok((ranges, source)) => {
                    let changes = Changes {
                        source: ChangeSource::Bitmap,
                        ranges: Some(ranges),
                        reason: None,
                    };
                    return Ok((source, changes));
                }
                Err(cause) => format!("bitmap [{bitmap}] cannot be read: {cause}"),
            }
        }
    };
    Ok((
        QemuNbd::open(view(None), state_dir)?,
        Changes::unknown(reason),
    ))
}
