//! A disk of a snapshot as the NBD server wants it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use snapkeep_engine::StoredDisk;
use snapkeep_nbd::{Export, ZeroRange};

/// A disk in a repository, read-only.
pub struct SnapshotDisk(Arc<StoredDisk>);

impl SnapshotDisk {
    pub fn new(disk: Arc<StoredDisk>) -> Self {
        Self(disk)
    }
}

impl Export for SnapshotDisk {
    fn size_bytes(&self) -> u64 {
        self.0.shape().size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer).map_err(io::Error::other)
    }

    fn extents(&self, range: Range<u64>, limit: usize) -> io::Result<Vec<ZeroRange>> {
        let found = self.0.extents(range).map_err(io::Error::other)?;
        let wanted = found.into_iter().take(limit);
        Ok(wanted
            .map(|(range, is_zero)| ZeroRange { range, is_zero })
            .collect())
    }
}
