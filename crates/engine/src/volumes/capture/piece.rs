//! A piece of a captured disk as a source of the vault.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use snapkeep_drivers::volume::{DiskCapture, Extent, RangeSet, VolumeError};
use snapkeep_vault::backup::{SEGMENT_BYTES, is_zero};
use snapkeep_vault::{BlobId, Chunking, FileSource, SegmentSink, SourceError};

use super::digests::{BlockDigest, DIGEST_BYTES, Digests};
use crate::volumes::read::{ReadError, StoredDisk};

/// Bytes that are read from a disk at once.
const READ_BYTES: u64 = 4 << 20;
/// Stands for a hole and for "not known".
const NO_DIGEST: BlockDigest = [0; DIGEST_BYTES];

/// A disk that is being read, shared by its pieces.
pub(super) struct DiskReader<'a> {
    pub(super) capture: &'a dyn DiskCapture,
    /// The disk in the parent, cut alike.
    pub(super) base: Option<&'a StoredDisk>,
    /// What may differ from the base, in whole blocks; none: everything may.
    pub(super) changed: Option<RangeSet>,
    pub(super) digests: Option<&'a Digests>,
    pub(super) size_bytes: u64,
    pub(super) block_bytes: u64,
    /// Bytes read from the source.
    pub(super) read_bytes: AtomicU64,
}

/// What a block is before anything of it is read.
enum Block {
    /// Zeros.
    Hole,
    /// The same as in the base.
    Same(BlobId),
    /// To be read.
    Unknown,
}

impl DiskReader<'_> {
    /// Bytes of a block; the last one may be shorter.
    pub(super) fn block_range(&self, block: u64) -> Range<u64> {
        let start = block * self.block_bytes;
        start..(start + self.block_bytes).min(self.size_bytes)
    }

    /// Whether nothing of these bytes can differ from the base.
    pub(super) fn is_unchanged(&self, range: Range<u64>) -> bool {
        self.base.is_some()
            && self
                .changed
                .as_ref()
                .is_some_and(|changed| !changed.intersects(range))
    }

    /// Reads bytes of the source.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.capture.read_at(offset, buffer)?;
        self.read_bytes
            .fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn classify(&self, block: u64, zeros: &mut Zeros) -> Result<Block, ReadError> {
        let range = self.block_range(block);
        if self.is_unchanged(range.clone())
            && let Some(base) = self.base
        {
            return Ok(match base.blob(block)? {
                Some(id) => Block::Same(id),
                None => Block::Hole,
            });
        }
        Ok(if zeros.cover(&range) {
            Block::Hole
        } else {
            Block::Unknown
        })
    }
}

/// The stretches of a segment that are known to be zeros, asked for in ascending order.
struct Zeros {
    extents: std::vec::IntoIter<Extent>,
    current: Option<Range<u64>>,
}

impl Zeros {
    fn new(extents: Vec<Extent>) -> Self {
        Self {
            extents: extents.into_iter(),
            current: None,
        }
    }

    /// Whether a range is zeros throughout.
    fn cover(&mut self, range: &Range<u64>) -> bool {
        while self
            .current
            .as_ref()
            .is_none_or(|zeros| zeros.end < range.end)
        {
            match self.extents.next() {
                Some(extent) if extent.zero => match &mut self.current {
                    Some(zeros) if zeros.end == extent.range.start => zeros.end = extent.range.end,
                    current => *current = Some(extent.range),
                },
                Some(_) => {}
                None => break,
            }
        }
        self.current
            .as_ref()
            .is_some_and(|zeros| zeros.start <= range.start && range.end <= zeros.end)
    }
}

/// One piece: the bytes `range` of a disk.
pub(super) struct PieceSource<'a> {
    pub(super) reader: &'a DiskReader<'a>,
    pub(super) range: Range<u64>,
}

/// A segment on its way into the sink.
struct Segment<'a> {
    reader: &'a DiskReader<'a>,
    sink: &'a mut dyn SegmentSink,
    /// Its first block.
    first: u64,
    old: Vec<BlockDigest>,
    new: Vec<BlockDigest>,
    scratch: Vec<u8>,
    /// Blocks that follow each other and are the same as in the base, and the number of the first one.
    same: Vec<BlobId>,
    same_from: u64,
    /// Blocks that follow each other and are to be read.
    unknown: Range<u64>,
    /// Bytes of holes that follow each other. Only one of the three is there at a time.
    zeros: u64,
}

fn failed(error: VolumeError) -> SourceError {
    SourceError::Other(error.to_string())
}

fn base_failed(error: ReadError) -> SourceError {
    SourceError::Other(format!("the point before cannot be read: {error}"))
}

impl FileSource for PieceSource<'_> {
    fn segments(&self) -> usize {
        (self.range.end - self.range.start).div_ceil(SEGMENT_BYTES as u64) as usize
    }

    fn chunking(&self) -> Chunking {
        Chunking::Fixed(self.reader.block_bytes as u32)
    }

    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        let reader = self.reader;
        let start = self.range.start + n as u64 * SEGMENT_BYTES as u64;
        let end = self.range.end.min(start + SEGMENT_BYTES as u64);
        let first = start / reader.block_bytes;
        let count = (end - start).div_ceil(reader.block_bytes);
        let extents = if reader.is_unchanged(start..end) {
            Vec::new()
        } else {
            reader.capture.extents(start..end).map_err(failed)?
        };
        let mut zeros = Zeros::new(extents);
        let old = match reader.digests {
            Some(digests) if digests.has_parent() => digests.parent(first, count as usize),
            _ => Vec::new(),
        };
        let mut segment = Segment {
            reader,
            sink,
            first,
            old,
            new: vec![NO_DIGEST; count as usize],
            scratch: Vec::new(),
            same: Vec::new(),
            same_from: 0,
            unknown: 0..0,
            zeros: 0,
        };
        for block in first..first + count {
            match reader.classify(block, &mut zeros).map_err(base_failed)? {
                Block::Hole => segment.hole(block)?,
                Block::Same(id) => segment.same(block, id)?,
                Block::Unknown => segment.unknown(block)?,
            }
        }
        segment.flush()?;
        if let Some(digests) = reader.digests {
            digests.note(first, &segment.new);
        }
        Ok(())
    }
}

impl Segment<'_> {
    fn hole(&mut self, block: u64) -> Result<(), SourceError> {
        self.flush_same()?;
        self.flush_unknown()?;
        let range = self.reader.block_range(block);
        self.zeros += range.end - range.start;
        Ok(())
    }

    fn same(&mut self, block: u64, id: BlobId) -> Result<(), SourceError> {
        self.flush_unknown()?;
        self.flush_zeros()?;
        if self.same.is_empty() {
            self.same_from = block;
        }
        self.same.push(id);
        Ok(())
    }

    fn unknown(&mut self, block: u64) -> Result<(), SourceError> {
        self.flush_same()?;
        self.flush_zeros()?;
        if self.unknown.is_empty() {
            self.unknown = block..block;
        }
        self.unknown.end = block + 1;
        if (self.unknown.end - self.unknown.start) * self.reader.block_bytes >= READ_BYTES {
            self.flush_unknown()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        self.flush_same()?;
        self.flush_unknown()?;
        self.flush_zeros()
    }

    fn flush_zeros(&mut self) -> Result<(), SourceError> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            bytes => Ok(self.sink.hole(bytes)?),
        }
    }

    /// Takes blocks over by reference; reads them where that is not possible.
    fn flush_same(&mut self) -> Result<(), SourceError> {
        let ids = std::mem::take(&mut self.same);
        if ids.is_empty() {
            return Ok(());
        }
        let blocks = self.same_from..self.same_from + ids.len() as u64;
        let range = self.bytes_of(&blocks);
        match self.sink.adopt(&ids)? {
            Some(bytes) if bytes == range.end - range.start => {
                for block in blocks {
                    let at = (block - self.first) as usize;
                    self.new[at] = self.old.get(at).copied().unwrap_or(NO_DIGEST);
                }
                Ok(())
            }
            Some(bytes) => Err(SourceError::Other(format!(
                "the point before has {bytes} bytes at {} where {} should be; run a check of the repository",
                range.start,
                range.end - range.start
            ))),
            None => {
                tracing::warn!(
                    "blocks of the point before are no longer in the repository; they are read again"
                );
                self.store(blocks)
            }
        }
    }

    fn flush_unknown(&mut self) -> Result<(), SourceError> {
        let blocks = std::mem::take(&mut self.unknown);
        if blocks.is_empty() {
            return Ok(());
        }
        if self.old.is_empty() || self.reader.base.is_none() {
            self.store(blocks)
        } else {
            self.compare(blocks)
        }
    }

    fn bytes_of(&self, blocks: &Range<u64>) -> Range<u64> {
        self.reader.block_range(blocks.start).start..self.reader.block_range(blocks.end - 1).end
    }

    /// Reads blocks straight into the sink, which finds the zeros among them.
    fn store(&mut self, blocks: Range<u64>) -> Result<(), SourceError> {
        let at_once = (READ_BYTES / self.reader.block_bytes).max(1);
        let mut next = blocks.start;
        while next < blocks.end {
            let some = next..blocks.end.min(next + at_once);
            let range = self.bytes_of(&some);
            let length = (range.end - range.start) as usize;
            let room = self.sink.reserve(length)?;
            self.reader.read(range.start, room).map_err(failed)?;
            if let Some(digests) = self.reader.digests {
                for (block, plain) in some
                    .clone()
                    .zip(room.chunks(self.reader.block_bytes as usize))
                {
                    if !is_zero(plain) {
                        self.new[(block - self.first) as usize] = digests.of(plain);
                    }
                }
            }
            self.sink.advance(length);
            next = some.end;
        }
        Ok(())
    }

    /// Reads blocks and takes those that hash as they did at the parent over by reference.
    fn compare(&mut self, blocks: Range<u64>) -> Result<(), SourceError> {
        let (Some(digests), Some(base)) = (self.reader.digests, self.reader.base) else {
            return self.store(blocks);
        };
        let range = self.bytes_of(&blocks);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize((range.end - range.start) as usize, 0);
        self.reader
            .read(range.start, &mut scratch)
            .map_err(failed)?;
        let mut same: Vec<BlobId> = Vec::new();
        let mut same_from = 0;
        let size = self.reader.block_bytes as usize;
        for (number, (block, plain)) in blocks.zip(scratch.chunks(size)).enumerate() {
            let at = (block - self.first) as usize;
            let known = if is_zero(plain) {
                self.adopt(&mut same, &scratch[same_from * size..number * size])?;
                self.sink.hole(plain.len() as u64)?;
                continue;
            } else {
                let digest = digests.of(plain);
                self.new[at] = digest;
                let is_same = self.old.get(at) == Some(&digest);
                is_same.then(|| base.blob(block)).transpose()
            };
            match known.map_err(base_failed)?.flatten() {
                Some(id) => {
                    if same.is_empty() {
                        same_from = number;
                    }
                    same.push(id);
                }
                None => {
                    self.adopt(&mut same, &scratch[same_from * size..number * size])?;
                    self.sink.write(plain)?;
                }
            }
        }
        self.adopt(&mut same, &scratch[same_from * size..])?;
        self.scratch = scratch;
        Ok(())
    }

    /// Takes blocks over by reference that were read all the same: `plain` ends with them.
    fn adopt(&mut self, same: &mut Vec<BlobId>, plain: &[u8]) -> Result<(), SourceError> {
        if same.is_empty() {
            return Ok(());
        }
        if self.sink.adopt(same)? != Some(plain.len() as u64) {
            // Not there any more: they are stored again.
            self.sink.write(plain)?;
        }
        same.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_cover_blocks_across_extents() {
        let extent = |range: Range<u64>, zero| Extent { range, zero };
        let mut zeros = Zeros::new(vec![
            extent(0..100, false),
            extent(100..150, true),
            extent(150..300, true),
            extent(300..310, false),
            extent(310..400, true),
        ]);
        let covered: Vec<bool> = [0..100, 100..200, 200..300, 300..400]
            .iter()
            .map(|range| zeros.cover(range))
            .collect();
        assert_eq!(covered, [false, true, true, false]);
    }
}
