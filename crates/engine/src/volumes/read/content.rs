//! A stored disk as the writers of disks ask for it.

use snapkeep_drivers::volume::VolumeError;
use snapkeep_drivers::volume::write::DiskContent;
use snapkeep_vault::BlobId;

use super::{ReadError, StoredDisk};

impl DiskContent for StoredDisk {
    fn size_bytes(&self) -> u64 {
        self.shape().size_bytes
    }

    fn block_bytes(&self) -> u64 {
        self.shape().block_bytes
    }

    // Where the table cannot be read the answer is "no": the writer then asks for the block, and gets the error.
    fn is_hole(&self, block: u64) -> bool {
        matches!(self.blob(block), Ok(None)) && block < self.block_count()
    }

    fn matches(&self, block: u64, data: &[u8]) -> bool {
        match self.blob(block) {
            Ok(Some(id)) => BlobId::of(data) == id,
            Ok(None) => data.len() as u64 == self.block_length(block) && is_zero(data),
            Err(_) => false,
        }
    }

    fn match_each(&self, first: u64, blocks: &[&[u8]]) -> Vec<bool> {
        let ids = BlobId::of_all(blocks);
        let numbered = (first..).zip(blocks).zip(ids);
        numbered
            .map(|((block, data), id)| match self.blob(block) {
                Ok(Some(expected)) => id == expected,
                _ => self.matches(block, data),
            })
            .collect()
    }

    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        self.read_block(block, buffer).map_err(VolumeError::from)
    }
}

/// Whether all bytes are zero, compared in steps because that is what memory is fast at.
fn is_zero(data: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    data.chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

impl From<ReadError> for VolumeError {
    fn from(error: ReadError) -> Self {
        if error.is_cancelled() {
            return Self::Cancelled;
        }
        Self::Content {
            cause: Box::new(error),
        }
    }
}
