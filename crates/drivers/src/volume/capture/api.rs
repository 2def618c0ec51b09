//! What the engine asks of a captured disk.

use std::ops::Range;
use std::path::Path;

use crate::volume::host::HostControl;
use crate::volume::{
    ChangeSource, Consistency, DiskSource, DiskToken, Extent, RangeSet, VolumeError,
};

/// What is known about the changes since the snapshot that the token starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// How it was found out.
    pub source: ChangeSource,
    /// All bytes that may differ; what is outside is the same as in that snapshot. None: not known, everything has to be read.
    pub ranges: Option<RangeSet>,
    /// Why a better method was not used; None when there is none.
    pub reason: Option<String>,
}

impl Changes {
    /// Everything has to be read, because of `reason`.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self {
            source: ChangeSource::Scan,
            ranges: None,
            reason: Some(reason.into()),
        }
    }
}

/// A disk at one moment, held open. All calls block; reading may be done by many threads at once.
///
/// The order of use: read what is needed, [`verify`](Self::verify), make the snapshot durable, [`settle`](Self::settle).
/// Dropping it without settling is safe and like settling a failed snapshot: the old token stays good.
pub trait DiskCapture: Send + Sync {
    /// Size of the disk at that moment, in bytes.
    fn size_bytes(&self) -> u64;

    /// What of `range` is known to be zeroes: adjacent extents in ascending order that cover `range` cut to the size of the disk.
    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError>;

    /// Fills `buffer` from `offset`. A range that ends beyond the disk is an error: a disk that shrank must not pass as zeroes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError>;

    /// What changed since the snapshot of the token that was given.
    fn changes(&self) -> &Changes;

    /// What the image is worth.
    fn consistency(&self) -> Consistency;

    /// Whether writers may go on already, because what is read is a clone or kept by copy-before-write.
    fn is_detached(&self) -> bool;

    /// To be called after the last read and before the snapshot is made durable: fails when a disk that nobody was to
    /// write to was written to while it was read. Never fails for detached captures and those that are marked inconsistent.
    fn verify(&self) -> Result<(), VolumeError>;

    /// Ends the capture. `kept_as` is the UUID of the snapshot that now holds it durably, None when it failed or was given up.
    /// Returns the token to keep in place of the one that was given: for the new snapshot, or the old one again after a
    /// failure, or none when nothing can be told next time. Traces of the older generation are dropped only here.
    ///
    /// Works without any read before it: after a disk was rolled back to a snapshot, capture it and settle it as that
    /// snapshot, and the next increment is a small one.
    fn settle(self: Box<Self>, kept_as: Option<&str>) -> Result<Option<DiskToken>, VolumeError>;
}

/// One disk of a [`GroupCapture`].
#[derive(Debug, Clone)]
pub struct DiskRequest {
    /// The disk.
    pub source: DiskSource,
    /// What was remembered at the parent snapshot, if the next one is an increment of it. The caller has checked that
    /// [`DiskToken::snapshot`] is that parent.
    pub token: Option<DiskToken>,
}

/// Disks that are captured at one moment.
#[derive(Clone, Copy)]
pub struct GroupCapture<'a> {
    /// The disks, in the order of the result.
    pub disks: &'a [DiskRequest],
    /// What runs on them: frozen around the moment of the capture when it is running and can be frozen.
    pub host: &'a dyn HostControl,
    /// Read disks that are written to even if there is no consistent view of them; recorded as [`Consistency::Inconsistent`].
    pub allow_inconsistent: bool,
    /// Folder below the data directory for sockets and the records of freezes.
    pub state_dir: &'a Path,
}
