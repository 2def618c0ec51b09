//! A disk of a live capture, read over NBD from the process that runs the machine.

use std::fmt;
use std::ops::Range;

use serde_json::Value;
use snapkeep_nbd::{Client, Options, Uri};
use tracing::warn;

use crate::volume::source::dirty_ranges;
use crate::volume::{
    ChangeSource, Changes, Consistency, DiskCapture, DiskRequest, DiskToken, Extent, TokenKind,
    VolumeError, VolumeFormat, forget,
};

/// NBD's name of what is data and what zeroes.
const ALLOCATION: &str = "base:allocation";

/// One disk's part of a live capture. Dropping it without [`settle`](Self::settle) has to be like settling a failure.
pub trait LivePart: Send + Sync {
    /// Where the disk can be read.
    fn uri(&self) -> Uri;

    /// Takes the part down; bitmaps are handed over to the new generation if the snapshot `is_kept`, else back to the old one.
    fn settle(&self, is_kept: bool) -> Result<(), VolumeError>;

    /// What a token recognises the new generation by; None when nothing records changes.
    fn identity(&self) -> Option<Value>;
}

/// A disk as it was at the moment of the capture.
pub struct LiveDisk {
    // Closed before the part is taken down, which ends the export.
    client: Client,
    part: Box<dyn LivePart>,
    changes: Changes,
    consistency: Consistency,
    /// What was asked for; its token stays good when this capture comes to nothing.
    request: DiskRequest,
}

impl LiveDisk {
    /// Opens the disks of a capture, each with its part, its bitmap and what was asked for. Parts of disks that are not opened because
    /// an earlier one failed are dropped, and so are those that were.
    pub fn open_each(
        parts: Vec<Box<dyn LivePart>>,
        bitmaps: Vec<Result<&str, String>>,
        consistency: Consistency,
        requests: &[DiskRequest],
    ) -> Result<Vec<Self>, VolumeError> {
        let disks = parts.into_iter().zip(bitmaps).zip(requests);
        disks
            .map(|((part, bitmap), request)| Self::open(part, bitmap, consistency, request))
            .collect()
    }

    /// Connects to the export of `part`. Which changes it tells by the dirty bitmap that it offers under the given name, or why by none.
    pub fn open(
        part: Box<dyn LivePart>,
        bitmap: Result<&str, String>,
        consistency: Consistency,
        request: &DiskRequest,
    ) -> Result<Self, VolumeError> {
        let uri = part.uri();
        let failed = |cause: snapkeep_nbd::NbdError| failed(&uri, cause);
        let bitmap = bitmap.map(|name| format!("qemu:dirty-bitmap:{name}"));
        let mut contexts = vec![ALLOCATION.to_owned()];
        contexts.extend(bitmap.iter().cloned());
        let client = Client::connect(&uri, &Options::with_contexts(contexts)).map_err(failed)?;
        let bitmap = match &request.token {
            Some(token) if token.size_bytes != client.size_bytes() => Err(format!(
                "the size has changed from {} to {} bytes",
                token.size_bytes,
                client.size_bytes()
            )),
            _ => bitmap,
        };
        let changes = match bitmap {
            Err(reason) => Changes::unknown(reason),
            Ok(bitmap) if !client.has_context(&bitmap) => {
                Changes::unknown(format!("[{bitmap}] is not offered with the export"))
            }
            Ok(bitmap) => Changes {
                source: ChangeSource::Bitmap,
                ranges: Some(dirty_ranges(&client, &bitmap).map_err(failed)?),
                reason: None,
            },
        };
        Ok(Self {
            client,
            part,
            changes,
            consistency,
            request: request.clone(),
        })
    }
}

fn failed(uri: &Uri, cause: impl fmt::Display) -> VolumeError {
    VolumeError::Nbd {
        location: uri.to_string(),
        message: cause.to_string(),
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
            .map_err(|cause| failed(&self.part.uri(), cause))?;
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
            .map_err(|cause| failed(&self.part.uri(), cause))
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

    /// Nothing to find out: when the moment can no longer be shown, reading fails.
    fn verify(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn settle(self: Box<Self>, kept_as: Option<&str>) -> Result<Option<DiskToken>, VolumeError> {
        let Self {
            client,
            part,
            request,
            ..
        } = *self;
        let size_bytes = client.size_bytes();
        drop(client);
        let Some(snapshot) = kept_as else {
            part.settle(false)?;
            return Ok(request.token);
        };
        if let Err(cause) = part.settle(true) {
            // The snapshot is good; only what would make the next one cheap is doubtful.
            warn!(error = %cause, "the bitmap of a live capture cannot be relied on; the next snapshot reads the whole disk");
            return Ok(None);
        }
        if request.source.format == VolumeFormat::Raw {
            // Clones of captures from outside, which nobody compares with any more.
            forget(&request.source);
        }
        Ok(part.identity().map(|identity| DiskToken {
            kind: TokenKind::Qmp,
            identity,
            size_bytes,
            snapshot: snapshot.to_owned(),
        }))
    }
}
