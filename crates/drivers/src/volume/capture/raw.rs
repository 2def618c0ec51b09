//! Raw files: read from a clone where there is one, else as they are.

use std::fs::File;

use super::captured::{Captured, Watch};
use super::disk::{FileDisk, generation};
use super::generation::Trace;
use super::reflink;
use super::stat::FileStat;
use super::{Changes, DiskRequest};
use crate::volume::source::FileSource;
use crate::volume::{ChangeSource, Consistency, DiskToken, RangeSet, TokenKind, VolumeError};

pub(super) fn finish(
    disk: FileDisk,
    request: &DiskRequest,
    consistency: Consistency,
) -> Result<Captured, VolumeError> {
    let FileDisk {
        file,
        path,
        size_bytes,
        clone,
        ..
    } = disk;
    // What is in use changes without its times showing it at once.
    let stat = (consistency == Consistency::Offline)
        .then(|| FileStat::settled(&file))
        .flatten();
    match clone {
        Ok(anchor) => {
            let read = anchor.open()?;
            let cloned_bytes = read
                .metadata()
                .map_err(VolumeError::io("look at", anchor.path()))?
                .len();
            let changes = changes(request, cloned_bytes, &read, stat.as_ref())?;
            Ok(Captured {
                reader: Box::new(FileSource::regular(
                    read,
                    anchor.path().to_path_buf(),
                    cloned_bytes,
                )),
                changes,
                consistency,
                is_detached: true,
                watch: Watch::Nothing,
                scratch: None,
                generation: generation(request, cloned_bytes, Trace::Anchor(anchor)),
            })
        }
        Err(obstacle) => {
            let mut changes = match consistency {
                Consistency::Offline => changes(request, size_bytes, &file, stat.as_ref())?,
                _ => Changes::unknown("the volume is written to while it is read"),
            };
            // A clone would have been better.
            changes.reason = Some(match changes.reason {
                Some(reason) => format!("{obstacle}; {reason}"),
                None => obstacle,
            });
            let watched = file
                .try_clone()
                .map_err(VolumeError::io("open again", &path))?;
            let (watch, trace) = match (consistency, stat) {
                (Consistency::Offline, Some(stat)) => {
                    (Watch::file(watched, stat.clone()), Trace::Stat(stat))
                }
                (Consistency::Offline, None) => {
                    let metadata = file.metadata().map_err(VolumeError::io("look at", &path))?;
                    (
                        Watch::file(watched, FileStat::of(&metadata)),
                        Trace::Nothing,
                    )
                }
                _ => (
                    Watch::Length {
                        file: watched,
                        size_bytes,
                    },
                    Trace::Nothing,
                ),
            };
            Ok(Captured {
                reader: Box::new(FileSource::regular(file, path, size_bytes)),
                changes,
                consistency,
                is_detached: false,
                watch,
                scratch: None,
                generation: generation(request, size_bytes, trace),
            })
        }
    }
}

/// What changed in `current`, which is the volume or its clone.
fn changes(
    request: &DiskRequest,
    size_bytes: u64,
    current: &File,
    stat: Option<&FileStat>,
) -> Result<Changes, VolumeError> {
    let token = match usable_token(request, size_bytes) {
        Ok(token) => token,
        Err(reason) => return Ok(Changes::unknown(reason)),
    };
    match token.kind {
        TokenKind::Reflink => {
            let compared = reflink::open_anchor(&token.identity).and_then(|anchor| {
                reflink::differences(&anchor, current, size_bytes)
                    .map_err(|cause| format!("the clones cannot be compared: {cause}"))?
            });
            Ok(match compared {
                Ok(ranges) => Changes {
                    source: ChangeSource::Reflink,
                    ranges: Some(ranges),
                    reason: None,
                },
                Err(reason) => Changes::unknown(reason),
            })
        }
        TokenKind::Stat => Ok(by_stat(token, stat)),
        TokenKind::Bitmap | TokenKind::Qmp => Ok(Changes::unknown(other_method(token))),
    }
}

/// The token, when it is of a disk of this size; else why it cannot be used.
pub(super) fn usable_token(request: &DiskRequest, size_bytes: u64) -> Result<&DiskToken, String> {
    let token = request
        .token
        .as_ref()
        .ok_or("nothing is remembered of an earlier snapshot")?;
    if token.size_bytes == size_bytes {
        Ok(token)
    } else {
        Err(format!(
            "the size of the volume changed from {} to {size_bytes} bytes",
            token.size_bytes
        ))
    }
}

/// For a token that only the method of the last snapshot could use.
pub(super) fn other_method(token: &DiskToken) -> String {
    format!(
        "the last snapshot was taken by another method ({})",
        token.kind.as_str()
    )
}

/// "Nothing changed", or not known. `stat` is None where it cannot be told.
pub(super) fn by_stat(token: &DiskToken, stat: Option<&FileStat>) -> Changes {
    match (FileStat::from_value(&token.identity), stat) {
        (Some(then), Some(now)) if then == *now => Changes {
            source: ChangeSource::Stat,
            ranges: Some(RangeSet::new()),
            reason: None,
        },
        (_, None) => Changes::unknown("the times of the file do not tell whether it changed"),
        _ => Changes::unknown("the file changed since the last snapshot"),
    }
}
