//! Cutting one segment into blobs: the sink that sources write into.

use super::FileContent;
use super::source::{Chunking, MAX_BLOB_BYTES, SEGMENT_BYTES, SegmentSink, SinkClosed};
use super::store::BlobWriter;
use super::zeros::{ZERO_BLOB_BYTES, ZEROS, find_hole, is_zero};
use crate::ids::BlobId;
use fastcdc::v2020::FastCDC;

/// Sizes of content-defined chunks: smallest, average, largest.
const CHUNK_MIN_BYTES: usize = 512 << 10;
const CHUNK_AVERAGE_BYTES: usize = 1 << 20;

/// Bytes that are copied at once where a source does not read into the buffer itself.
const COPY_BYTES: usize = 1 << 20;

/// The memory of one worker's segment. It is allocated and zeroed once, and only as far as it is used.
#[derive(Debug, Default)]
pub(super) struct SegmentBuffer {
    bytes: Vec<u8>,
}

impl SegmentBuffer {
    /// A sink for one segment.
    pub fn begin<'a>(&'a mut self, writer: BlobWriter<'a>, chunking: Chunking) -> Segment<'a> {
        Segment {
            bytes: &mut self.bytes,
            start: 0,
            end: 0,
            reserved: 0,
            zero_blocks: 0,
            writer,
            chunking,
        }
    }
}

/// The sink for one segment: `bytes[start..end]` is what is not cut yet.
pub(super) struct Segment<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    end: usize,
    reserved: usize,
    /// Zero blocks that come before `start` and are not stored yet: they wait for more of them, to become one zero blob.
    zero_blocks: usize,
    writer: BlobWriter<'a>,
    chunking: Chunking,
}

impl Segment<'_> {
    /// Ends the segment and gives its content.
    pub fn finish(mut self) -> Result<FileContent, SinkClosed> {
        self.drain(true)?;
        Ok(self.writer.content)
    }

    /// Cuts off blobs as far as their ends are certain; all of it if this `is_end`.
    fn drain(&mut self, is_end: bool) -> Result<(), SinkClosed> {
        match self.chunking {
            Chunking::Content => self.drain_by_content(is_end)?,
            Chunking::Fixed(size) => self.drain_blocks(size as usize, is_end)?,
            Chunking::Explicit => self.drain_largest(is_end)?,
        }
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        Ok(())
    }

    fn drain_by_content(&mut self, is_end: bool) -> Result<(), SinkClosed> {
        while self.start < self.end {
            let rest = &self.bytes[self.start..self.end];
            if let Some((hole_start, hole_len)) = find_hole(rest) {
                cut_by_content(&mut self.writer, &rest[..hole_start], true)?;
                self.writer.store_zeros(hole_len as u64)?;
                self.start += hole_start + hole_len;
                continue;
            }
            self.start += cut_by_content(&mut self.writer, rest, is_end)?;
            break;
        }
        Ok(())
    }

    fn drain_blocks(&mut self, size: usize, is_end: bool) -> Result<(), SinkClosed> {
        while self.end - self.start >= size {
            let is_hole = |block: &[u8]| has_zero_blobs(size) && is_zero(block);
            let mut blocks = self.bytes[self.start..self.end].chunks_exact(size);
            let data = blocks.by_ref().take_while(|block| !is_hole(block)).count();
            if data == 0 {
                self.add_zero_blocks(size, 1)?;
                self.start += size;
                continue;
            }
            self.store_zero_blocks(size)?;
            let end = self.start + data * size;
            let blobs: Vec<&[u8]> = self.bytes[self.start..end].chunks_exact(size).collect();
            self.writer.store_all(&blobs)?;
            self.start = end;
        }
        if is_end {
            self.store_zero_blocks(size)?;
        }
        self.store_rest(is_end)
    }

    /// Appends so many zero blocks, as far as they make up whole zero blobs; the rest waits.
    fn add_zero_blocks(&mut self, size: usize, count: u64) -> Result<(), SinkClosed> {
        let unit = ZERO_BLOB_BYTES as u64;
        let waiting = (self.zero_blocks * size) as u64;
        let zeros = waiting + size as u64 * count;
        self.writer.store_zeros_if_any(zeros - zeros % unit)?;
        self.zero_blocks = (zeros % unit) as usize / size;
        Ok(())
    }

    /// Stores the zero blocks that wait.
    fn store_zero_blocks(&mut self, size: usize) -> Result<(), SinkClosed> {
        for _ in 0..std::mem::take(&mut self.zero_blocks) {
            self.writer.store_zero_block(size)?;
        }
        Ok(())
    }

    fn drain_largest(&mut self, is_end: bool) -> Result<(), SinkClosed> {
        while self.end - self.start > MAX_BLOB_BYTES {
            self.writer
                .store(&self.bytes[self.start..self.start + MAX_BLOB_BYTES])?;
            self.start += MAX_BLOB_BYTES;
        }
        self.store_rest(is_end)
    }

    fn store_rest(&mut self, is_end: bool) -> Result<(), SinkClosed> {
        if is_end && self.start < self.end {
            self.writer.store(&self.bytes[self.start..self.end])?;
            self.start = self.end;
        }
        Ok(())
    }

    /// Makes room for `len` bytes behind `end`.
    fn make_room(&mut self, len: usize) -> Result<(), SinkClosed> {
        if self.end + len > SEGMENT_BYTES && self.end > 0 {
            self.drain(false)?;
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() < self.end + len {
            self.bytes.resize(self.end + len, 0);
        }
        Ok(())
    }

    fn write_zeros(&mut self, mut len: u64) -> Result<(), SinkClosed> {
        while len > 0 {
            let piece = len.min(ZERO_BLOB_BYTES as u64);
            self.write(&ZEROS[..piece as usize])?;
            len -= piece;
        }
        Ok(())
    }

    /// Zeros up to the next block, whole blocks as zero blobs, and the rest as the beginning of another block.
    fn hole_of_blocks(&mut self, size: u64, len: u64) -> Result<(), SinkClosed> {
        let begun = (self.end - self.start) as u64 % size;
        let to_boundary = ((size - begun) % size).min(len);
        self.write_zeros(to_boundary)?;
        self.drain(false)?;
        let whole = (len - to_boundary) / size;
        self.add_zero_blocks(size as usize, whole)?;
        self.write_zeros(len - to_boundary - whole * size)
    }
}

/// Whether zero blobs and blocks of this size fit into each other.
fn has_zero_blobs(size: usize) -> bool {
    size.is_multiple_of(ZERO_BLOB_BYTES) || ZERO_BLOB_BYTES.is_multiple_of(size)
}

/// Cuts `data` by content; the number of bytes stored. Without `is_end` the last chunk, whose end is not certain, is left.
fn cut_by_content(
    writer: &mut BlobWriter<'_>,
    data: &[u8],
    is_end: bool,
) -> Result<usize, SinkClosed> {
    let chunks = FastCDC::new(data, CHUNK_MIN_BYTES, CHUNK_AVERAGE_BYTES, MAX_BLOB_BYTES);
    let mut blobs = Vec::new();
    let mut stored = 0;
    for chunk in chunks {
        let end = chunk.offset + chunk.length;
        if end == data.len() && !is_end && chunk.length < MAX_BLOB_BYTES {
            break;
        }
        blobs.push(&data[chunk.offset..end]);
        stored = end;
    }
    writer.store_all(&blobs)?;
    Ok(stored)
}

impl SegmentSink for Segment<'_> {
    fn write(&mut self, data: &[u8]) -> Result<(), SinkClosed> {
        for piece in data.chunks(COPY_BYTES) {
            self.make_room(piece.len())?;
            self.bytes[self.end..self.end + piece.len()].copy_from_slice(piece);
            self.end += piece.len();
        }
        if matches!(self.chunking, Chunking::Fixed(_)) {
            self.drain(false)?;
        }
        Ok(())
    }

    fn reserve(&mut self, len: usize) -> Result<&mut [u8], SinkClosed> {
        let len = len.min(SEGMENT_BYTES);
        self.make_room(len)?;
        self.reserved = len;
        Ok(&mut self.bytes[self.end..self.end + len])
    }

    fn advance(&mut self, len: usize) {
        assert!(
            len <= self.reserved,
            "{len} bytes where {} were reserved",
            self.reserved
        );
        self.reserved = 0;
        self.end += len;
    }

    fn hole(&mut self, len: u64) -> Result<(), SinkClosed> {
        if let Chunking::Fixed(size) = self.chunking
            && has_zero_blobs(size as usize)
        {
            return self.hole_of_blocks(u64::from(size), len);
        }
        let unit = ZERO_BLOB_BYTES as u64;
        if matches!(self.chunking, Chunking::Fixed(_)) || len < unit {
            return self.write_zeros(len);
        }
        self.drain(true)?;
        self.writer.store_zeros_if_any(len - len % unit)?;
        self.write_zeros(len % unit)
    }

    fn adopt(&mut self, content: &[BlobId]) -> Result<Option<u64>, SinkClosed> {
        match self.chunking {
            Chunking::Fixed(size) => {
                self.drain(false)?;
                if self.start < self.end {
                    return Ok(None);
                }
                // Before the blobs, also when they turn out not to be there: the order is the same.
                self.store_zero_blocks(size as usize)?;
            }
            Chunking::Content | Chunking::Explicit => self.drain(true)?,
        }
        self.writer.adopt(content)
    }

    fn cut(&mut self) -> Result<(), SinkClosed> {
        match self.chunking {
            Chunking::Explicit => self.drain(true),
            Chunking::Content | Chunking::Fixed(_) => Ok(()),
        }
    }
}
