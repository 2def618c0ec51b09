//! A disk of a live capture.

use std::fmt;
use std::ops::Range;

use serde_json::json;
use snapkeep_nbd::Client;
use tracing::warn;

use super::plan::Generation;
use super::session::{ALLOCATION, Part};
use crate::volume::{Changes, Consistency, DiskCapture, DiskToken, Extent, TokenKind, VolumeError};

/// A disk as it was at the moment of the capture, read from QEMU.
pub struct LiveDisk {
    // Closed before the part is taken down, which ends the export.
    client: Client,
    part: Part,
    changes: Changes,
    consistency: Consistency,
    /// The token of the request, which stays good when this capture comes to nothing.
    token: Option<DiskToken>,
}

impl LiveDisk {
    /// A disk whose export is open.
    pub fn new(
        part: Part,
        client: Client,
        changes: Changes,
        consistency: Consistency,
        token: Option<DiskToken>,
    ) -> Self {
        Self {
            client,
            part,
            changes,
            consistency,
            token,
        }
    }
}

impl fmt::Debug for LiveDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LiveDisk")
            .field("export", &self.part.uri().to_string())
            .field("changes", &self.changes.source)
            .finish_non_exhaustive()
    }
}

impl DiskCapture for LiveDisk {
    fn size_bytes(&self) -> u64 {
        self.client.size_bytes()
    }

    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        let range = range.start.min(self.size_bytes())..range.end.min(self.size_bytes());
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if !self.client.has_context(ALLOCATION) {
            return Ok(vec![Extent { range, zero: false }]);
        }
        let status = self
            .client
            .block_status(ALLOCATION, range)
            .map_err(|cause| self.part.failed(cause))?;
        Ok(status
            .into_iter()
            .map(|status| Extent {
                zero: status.is_zero(),
                range: status.range,
            })
            .collect())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.client
            .read_at(offset, buffer)
            .map_err(|cause| self.part.failed(cause))
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }

    fn consistency(&self) -> Consistency {
        self.consistency
    }

    fn is_detached(&self) -> bool {
        true
    }

    /// Nothing to find out: when QEMU can no longer show the moment, reading fails.
    fn verify(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn settle(self: Box<Self>, kept_as: Option<&str>) -> Result<Option<DiskToken>, VolumeError> {
        let Self {
            client,
            part,
            token,
            ..
        } = *self;
        let size_bytes = client.size_bytes();
        drop(client);
        let Some(snapshot) = kept_as else {
            part.settle(Generation::Old)?;
            return Ok(token);
        };
        if let Err(cause) = part.settle(Generation::New) {
            // The snapshot is good; only what would make the next one cheap is doubtful.
            warn!(error = %cause, "the bitmap of a live capture cannot be relied on; the next snapshot reads the whole disk");
            return Ok(None);
        }
        Ok(Some(DiskToken {
            kind: TokenKind::Qmp,
            identity: json!({"bitmap": part.bitmap()}),
            size_bytes,
            snapshot: snapshot.to_owned(),
        }))
    }
}
