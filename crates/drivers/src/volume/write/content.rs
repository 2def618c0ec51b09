//! What a disk shall become.

use super::super::VolumeError;

/// The content of a whole disk in blocks of one size, as a snapshot holds it.
///
/// Contract: block `n` covers the bytes from `n * block_bytes`, and the last one ends with the disk. The content never
/// changes. All methods may be called from several threads at once.
pub trait DiskContent: Send + Sync {
    /// The size of the disk, in bytes.
    fn size_bytes(&self) -> u64;

    /// The size of a block: a power of two, at least 512 bytes and at most 4 MiB.
    fn block_bytes(&self) -> u64;

    /// Whether the block is known to be all zeros.
    fn is_hole(&self, block: u64) -> bool;

    /// Whether `data`, a whole block, is what the block shall be. Decided by hash: nothing is fetched from a repository.
    fn matches(&self, block: u64, data: &[u8]) -> bool;

    /// [`matches`](Self::matches) for neighbouring blocks from `first` on: hashing many at once can be quicker.
    fn match_each(&self, first: u64, blocks: &[&[u8]]) -> Vec<bool> {
        let numbered = (first..).zip(blocks);
        numbered
            .map(|(block, data)| self.matches(block, data))
            .collect()
    }

    /// Fills `buffer` with the whole block; what it held before is dropped.
    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError>;
}

/// A disk in memory: for small disks and for tests, which may let it fail at a block.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    bytes: Vec<u8>,
    block_bytes: u64,
    failing: Option<u64>,
}

impl MemoryDisk {
    /// A disk of these bytes. `block_bytes` as in [`DiskContent::block_bytes`].
    pub fn new(bytes: Vec<u8>, block_bytes: u64) -> Self {
        Self {
            bytes,
            block_bytes,
            failing: None,
        }
    }

    /// The same disk, whose block `block` cannot be read.
    pub fn failing_at(mut self, block: u64) -> Self {
        self.failing = Some(block);
        self
    }

    /// All bytes of the disk.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn block(&self, block: u64) -> &[u8] {
        let size = self.bytes.len() as u64;
        let start = block.saturating_mul(self.block_bytes).min(size);
        let end = start.saturating_add(self.block_bytes).min(size);
        &self.bytes[start as usize..end as usize]
    }
}

impl DiskContent for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    fn is_hole(&self, block: u64) -> bool {
        self.block(block).iter().all(|byte| *byte == 0)
    }

    fn matches(&self, block: u64, data: &[u8]) -> bool {
        self.block(block) == data
    }

    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        if self.failing == Some(block) {
            return Err(VolumeError::Io {
                operation: "read a block of".into(),
                path: "a disk in memory".into(),
                cause: std::io::Error::other("this block was made to fail"),
            });
        }
        buffer.clear();
        buffer.extend_from_slice(self.block(block));
        Ok(())
    }
}
