//! A content cut into units that suit a writer: whole blocks and whole clusters.

use std::ops::Range;

use super::super::VolumeError;
use super::DiskContent;

/// The smallest block a content may have.
const MIN_BLOCK_BYTES: u64 = 512;

/// The largest block a content may have; with it the buffers of all threads stay within 64 MiB.
const MAX_BLOCK_BYTES: u64 = 4 << 20;

/// The largest disk. QEMU and Linux stop well below; it keeps all sums of offsets far from overflow.
const MAX_DISK_BYTES: u64 = 1 << 56;

/// A content in units of one size: as large as a block or as the writer's clusters, whichever is larger.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    content: &'a dyn DiskContent,
    block_bytes: u64,
    pub(super) size_bytes: u64,
    pub(super) unit_bytes: u64,
}

impl<'a> Grid<'a> {
    /// Units of at least `min_bytes`, a power of two.
    pub(super) fn new(content: &'a dyn DiskContent, min_bytes: u64) -> Result<Self, VolumeError> {
        debug_assert!(min_bytes.is_power_of_two());
        let block_bytes = content.block_bytes();
        let size_bytes = content.size_bytes();
        if !block_bytes.is_power_of_two()
            || !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&block_bytes)
        {
            return Err(VolumeError::Unsupported {
                what: format!("a disk in blocks of {block_bytes} bytes"),
                hint: "blocks are a power of two from 512 bytes to 4 MiB; check the repository"
                    .into(),
            });
        }
        if size_bytes > MAX_DISK_BYTES {
            return Err(VolumeError::Unsupported {
                what: format!("a disk of {size_bytes} bytes"),
                hint: "disks may have up to 64 PiB; check the repository".into(),
            });
        }
        Ok(Self {
            content,
            block_bytes,
            size_bytes,
            unit_bytes: block_bytes.max(min_bytes),
        })
    }

    pub(super) fn content(&self) -> &'a dyn DiskContent {
        self.content
    }

    pub(super) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// How many units there are.
    pub(super) fn units(&self) -> u64 {
        self.size_bytes.div_ceil(self.unit_bytes)
    }

    /// The bytes of the disk that `unit` covers.
    pub(super) fn range(&self, unit: u64) -> Range<u64> {
        let start = unit * self.unit_bytes;
        start..(start + self.unit_bytes).min(self.size_bytes)
    }

    /// The blocks of `unit`.
    pub(super) fn blocks(&self, unit: u64) -> Range<u64> {
        let range = self.range(unit);
        range.start / self.block_bytes..range.end.div_ceil(self.block_bytes)
    }

    /// The bytes of the disk that `block` covers.
    pub(super) fn block_range(&self, block: u64) -> Range<u64> {
        let start = block * self.block_bytes;
        start..(start + self.block_bytes).min(self.size_bytes)
    }

    /// Whether all of `unit` is known to be zeros.
    pub(super) fn is_hole(&self, unit: u64) -> bool {
        self.blocks(unit).all(|block| self.content.is_hole(block))
    }

    /// The units that are not holes.
    pub(super) fn data_units(&self) -> impl Iterator<Item = u64> + use<'a> {
        let grid = *self;
        (0..grid.units()).filter(move |unit| !grid.is_hole(*unit))
    }

    /// How much is not known to be zeros, in bytes: the most that a file with holes takes.
    pub(super) fn data_bytes(&self) -> u64 {
        self.data_units()
            .map(|unit| self.range(unit))
            .map(|range| range.end - range.start)
            .sum()
    }

    /// All bytes of `unit`.
    pub(super) fn read(&self, unit: u64) -> Result<Vec<u8>, VolumeError> {
        let range = self.range(unit);
        let bytes = (range.end - range.start) as usize;
        let blocks = self.blocks(unit);
        let mut data = Vec::new();
        if blocks.end - blocks.start == 1 {
            self.read_block(blocks.start, &mut data)?;
            return Ok(data);
        }
        data.reserve_exact(bytes);
        let mut one = Vec::new();
        for block in blocks {
            if self.content.is_hole(block) {
                let hole = self.block_range(block);
                data.resize(data.len() + (hole.end - hole.start) as usize, 0);
            } else {
                self.read_block(block, &mut one)?;
                data.extend_from_slice(&one);
            }
        }
        Ok(data)
    }

    /// Fills `buffer` with `block` and makes sure that it has the length it must have: a writer that trusted it would shift
    /// everything behind.
    pub(super) fn read_block(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        self.content.read(block, buffer)?;
        let range = self.block_range(block);
        if buffer.len() as u64 != range.end - range.start {
            return Err(VolumeError::Unsupported {
                what: format!(
                    "block {block} of the snapshot, which has {} bytes instead of {}",
                    buffer.len(),
                    range.end - range.start
                ),
                hint: "check the repository".into(),
            });
        }
        Ok(())
    }
}

/// The parts of `data` that are zeros and those that are not, in order. A part is told by pages of `page` bytes, and zeros in
/// runs shorter than `min_zeros` count as data.
pub(super) fn zero_runs(data: &[u8], page: usize, min_zeros: usize) -> Vec<(Range<usize>, bool)> {
    let mut pages: Vec<(Range<usize>, bool)> = Vec::new();
    let mut start = 0;
    while start < data.len() {
        let end = (start + page).min(data.len());
        let zero = is_zero(&data[start..end]);
        match pages.last_mut() {
            Some((last, last_zero)) if *last_zero == zero => last.end = end,
            _ => pages.push((start..end, zero)),
        }
        start = end;
    }
    let mut runs: Vec<(Range<usize>, bool)> = Vec::new();
    let whole = data.len();
    for (range, zero) in pages {
        let zero = zero && (range.len() >= min_zeros || range.len() == whole);
        match runs.last_mut() {
            Some((last, last_zero)) if *last_zero == zero => last.end = range.end,
            _ => runs.push((range, zero)),
        }
    }
    runs
}

/// Whether all bytes are zero.
pub(super) fn is_zero(data: &[u8]) -> bool {
    // Sums of fixed pieces become vector instructions, and the first piece that is not zero ends it.
    let pieces = data.chunks_exact(256);
    let rest = pieces.remainder();
    pieces
        .map(|piece| piece.iter().fold(0, |sum, byte| sum | byte))
        .all(|sum| sum == 0)
        && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn units_are_as_large_as_blocks_or_clusters() {
        let disk = MemoryDisk::new(vec![1; 100_000], 4096);
        let grid = Grid::new(&disk, 65_536).unwrap();
        assert_eq!((grid.unit_bytes, grid.units()), (65_536, 2));
        assert_eq!(grid.range(1), 65_536..100_000);
        assert_eq!(grid.blocks(1), 16..25);
        assert_eq!(grid.read(1).unwrap().len(), 100_000 - 65_536);

        let grid = Grid::new(&disk, 512).unwrap();
        assert_eq!((grid.unit_bytes, grid.units()), (4096, 25));
    }

    #[test]
    fn blocks_of_an_impossible_size_are_refused() {
        for block_bytes in [0, 256, 3000, 8 << 20] {
            let disk = MemoryDisk::new(vec![1; 100], block_bytes);
            assert!(Grid::new(&disk, 512).is_err(), "{block_bytes}");
        }
    }

    #[test]
    fn short_runs_of_zeros_count_as_data() {
        let mut data = vec![0; 10 * 4096 + 100];
        data[4096 * 3] = 1;
        data[4096 * 5] = 1;
        assert_eq!(
            zero_runs(&data, 4096, 8192),
            vec![
                (0..3 * 4096, true),
                (3 * 4096..6 * 4096, false),
                (6 * 4096..data.len(), true)
            ]
        );
        assert_eq!(zero_runs(&[0; 100], 4096, 8192), vec![(0..100, true)]);
        assert_eq!(zero_runs(&[], 4096, 8192), vec![]);
    }
}
