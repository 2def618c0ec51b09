//! An NBD export as the target of a rollback.

use std::ops::Range;

use snapkeep_nbd::client::{Client, Options};
use snapkeep_nbd::protocol::BASE_ALLOCATION;

use super::super::super::{RangeSet, VolumeError};
use super::target::Target;

/// An export that can be written.
pub(super) struct NbdTarget {
    client: Client,
    location: String,
}

impl NbdTarget {
    /// Connects to the URI `location`.
    pub(super) fn connect(location: &str) -> Result<Self, VolumeError> {
        let failed = |error: snapkeep_nbd::NbdError| VolumeError::Nbd {
            location: location.to_string(),
            message: error.to_string(),
        };
        let uri = location.parse().map_err(failed)?;
        let options = Options::with_contexts([BASE_ALLOCATION]);
        let client = Client::connect(&uri, &options).map_err(failed)?;
        if client.is_read_only() {
            return Err(VolumeError::Unsupported {
                what: format!("writing to [{location}], which is exported read-only"),
                hint: "export it writable for the rollback".into(),
            });
        }
        Ok(Self {
            client,
            location: location.to_string(),
        })
    }

    fn failed(&self, error: snapkeep_nbd::NbdError) -> VolumeError {
        VolumeError::Nbd {
            location: self.location.clone(),
            message: error.to_string(),
        }
    }
}

impl Target for NbdTarget {
    fn size_bytes(&self) -> u64 {
        self.client.size_bytes()
    }

    fn zeros(&self, range: Range<u64>) -> RangeSet {
        let mut zeros = RangeSet::new();
        let end = range.end.min(self.client.size_bytes());
        zeros.insert(range.start.max(end)..range.end);
        if range.start < end && self.client.has_context(BASE_ALLOCATION) {
            // A server that cannot tell after all only costs the reading.
            let states = self
                .client
                .block_status(BASE_ALLOCATION, range.start..end)
                .unwrap_or_default();
            for state in states.into_iter().filter(|state| state.is_zero()) {
                zeros.insert(state.range);
            }
        }
        zeros
    }

    fn has_holes(&self) -> bool {
        false
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        let inside = self.client.size_bytes().saturating_sub(offset);
        let inside = usize::try_from(inside).map_or(buffer.len(), |bytes| bytes.min(buffer.len()));
        buffer[inside..].fill(0);
        self.client
            .read_at(offset, &mut buffer[..inside])
            .map_err(|error| self.failed(error))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.client
            .write_at(offset, data)
            .map_err(|error| self.failed(error))
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        self.client
            .write_zeroes(range, true)
            .map_err(|error| self.failed(error))
    }

    fn sync(&self) -> Result<(), VolumeError> {
        self.client.flush().map_err(|error| self.failed(error))
    }

    fn forget_cached(&self) {}
}
