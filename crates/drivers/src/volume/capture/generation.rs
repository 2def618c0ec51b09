//! The hand-over from what the last snapshot left behind to what this one leaves.

use std::path::Path;

use serde_json::Value;

use super::bitmap;
use super::reflink::{self, Anchor};
use super::stat::FileStat;
use crate::volume::{DiskSource, DiskToken, TokenKind, VolumeFormat};

/// What this capture can leave behind for the next.
#[derive(Debug)]
pub(super) enum Trace {
    /// Nothing can be told next time.
    Nothing,
    /// What the file looked like.
    Stat(FileStat),
    /// The clone that was read.
    Anchor(Anchor),
    /// A bitmap that records since the moment of the capture.
    Bitmap {
        /// Its name.
        name: String,
        /// What the token says.
        identity: Value,
    },
    /// The bitmap of the old token, which has nothing recorded since: it starts from both snapshots.
    SameBitmap(Value),
}

/// Two generations: the old one stays good until the new one's snapshot is durable.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) source: DiskSource,
    pub(super) size_bytes: u64,
    pub(super) new: Trace,
    pub(super) old: Option<DiskToken>,
}

impl Generation {
    /// The snapshot is durable: drops the old generation and returns the new one's token.
    ///
    /// A crash in between leaves the caller with a token whose traces are gone, and then everything is read; the other order
    /// could leave two tokens that are both believed.
    pub(super) fn kept(self, snapshot: &str) -> Option<DiskToken> {
        let is_same = matches!(self.new, Trace::SameBitmap(_));
        let kept = match self.new {
            Trace::Nothing => None,
            Trace::Stat(stat) => Some((TokenKind::Stat, stat.to_value())),
            Trace::Anchor(anchor) => match anchor.keep() {
                Ok(identity) => Some((TokenKind::Reflink, identity)),
                Err(cause) => {
                    tracing::warn!(volume = %self.source.volume, %cause, "the next snapshot will read the whole volume");
                    None
                }
            },
            Trace::Bitmap { identity, .. } | Trace::SameBitmap(identity) => {
                Some((TokenKind::Bitmap, identity))
            }
        };
        if !is_same {
            remove_other_traces(&self.source, kept.as_ref());
        }
        kept.map(|(kind, identity)| DiskToken {
            kind,
            identity,
            size_bytes: self.size_bytes,
            snapshot: snapshot.to_owned(),
        })
    }

    /// There is no snapshot: drops the new generation and returns the old one's token.
    pub(super) fn failed(self) -> Option<DiskToken> {
        // A clone goes with its value.
        if let Trace::Bitmap { name, .. } = &self.new
            && let Err(cause) = bitmap::remove(Path::new(&self.source.location), name)
        {
            tracing::debug!(volume = %self.source.volume, %cause, "a bitmap that is not needed stays in the image for now");
        }
        self.old
    }
}

/// Removes everything that captures have left beside or inside a disk: clones and bitmaps. To be called when a volume is not to be
/// snapshotted any more, or the clone would take up ever more space. What cannot be removed now is logged and stays.
pub fn forget(source: &DiskSource) {
    remove_other_traces(source, None);
}

fn remove_other_traces(source: &DiskSource, kept: Option<&(TokenKind, Value)>) {
    let path = Path::new(&source.location);
    let identity_of = |wanted: TokenKind| {
        kept.filter(|(kind, _)| *kind == wanted)
            .map(|(_, identity)| identity)
    };
    match source.format {
        VolumeFormat::Raw => {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            reflink::remove_other_anchors(&source.volume, &path, identity_of(TokenKind::Reflink));
        }
        VolumeFormat::Qcow2 => {
            let bitmap = identity_of(TokenKind::Bitmap).and_then(bitmap::name_in_token);
            bitmap::remove_others(&source.volume, path, bitmap);
        }
        VolumeFormat::Block | VolumeFormat::Nbd => {}
    }
}
