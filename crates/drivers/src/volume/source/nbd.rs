//! Disks behind an NBD server, an operator's or a `qemu-nbd` of our own.

use std::ops::Range;
use std::str::FromStr;

use snapkeep_nbd::protocol::BASE_ALLOCATION;
use snapkeep_nbd::{Client, NbdError, Options, Uri};

use super::{DiskReader, QemuNbd};
use crate::volume::ranges::MOST_CHANGES;
use crate::volume::{Extent, RangeSet, VolumeError};

/// How much of a disk is asked about at once: 16 GiB, at most 262,144 answers at QEMU's 64 KiB.
const STATUS_WINDOW_BYTES: usize = 16 << 30;

/// One export, read over one connection that all threads share.
pub(in crate::volume) struct NbdSource {
    // Before the server: fields are dropped in order, and the server ends when its client has left.
    client: Client,
    _server: Option<QemuNbd>,
    location: String,
}

impl NbdSource {
    /// Connects to the export of `location`, an NBD URI.
    pub(in crate::volume) fn connect(location: &str) -> Result<Self, VolumeError> {
        let uri = Uri::from_str(location).map_err(failed(location))?;
        let options = Options::with_contexts([BASE_ALLOCATION]);
        Ok(Self {
            client: Client::connect(&uri, &options).map_err(failed(location))?,
            _server: None,
            location: location.to_owned(),
        })
    }

    /// Reads from a server of our own; `location` is what it serves, for errors.
    pub(in crate::volume) fn own(server: QemuNbd, client: Client, location: String) -> Self {
        Self {
            client,
            _server: Some(server),
            location,
        }
    }

    /// What a dirty bitmap says has changed. `context` is the full name, `qemu:dirty-bitmap:…`.
    pub(in crate::volume) fn dirty(&self, context: &str) -> Result<RangeSet, VolumeError> {
        dirty_ranges(&self.client, context).map_err(failed(&self.location))
    }
}

/// What the dirty bitmap of this context says has changed on a disk, asked for in pieces: a large disk may have more changes than
/// there is memory for.
pub(in crate::volume) fn dirty_ranges(
    client: &Client,
    context: &str,
) -> Result<RangeSet, NbdError> {
    let size = client.size_bytes();
    let mut dirty = RangeSet::new();
    for start in (0..size).step_by(STATUS_WINDOW_BYTES) {
        let window = start..size.min(start + STATUS_WINDOW_BYTES as u64);
        let status = client.block_status(context, window)?;
        for part in status.into_iter().filter(|part| part.is_dirty()) {
            dirty.insert(part.range);
        }
        dirty = dirty.coarsened(MOST_CHANGES);
    }
    Ok(dirty.within(0..size))
}

fn failed(location: &str) -> impl FnOnce(NbdError) -> VolumeError {
    let location = location.to_owned();
    move |cause| VolumeError::Nbd {
        location,
        message: cause.to_string(),
    }
}

impl DiskReader for NbdSource {
    fn size_bytes(&self) -> u64 {
        self.client.size_bytes()
    }

    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        let range = range.start..range.end.min(self.client.size_bytes());
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if !self.client.has_context(BASE_ALLOCATION) {
            return Ok(vec![Extent { range, zero: false }]);
        }
        let status = self
            .client
            .block_status(BASE_ALLOCATION, range)
            .map_err(failed(&self.location))?;
        Ok(status
            .into_iter()
            .map(|part| Extent {
                zero: part.is_zero(),
                range: part.range,
            })
            .collect())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.client
            .read_at(offset, buffer)
            .map_err(failed(&self.location))
    }
}
