//! The docs file of a segment as a source of the vault: read in parts by many threads, each part counted, hashed and written as
//! lines, blobs cut at the ends of lines.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_drivers::{Proof, ShardCapture};
use snapkeep_vault::{Chunking, FileSource, SegmentSink, SourceError};
use xxhash_rust::xxh3::xxh3_64;

use super::running::ShardFigures;
use crate::layout::lines;

/// Plain bytes of documents that one thread reads at a stretch.
const PART_BYTES: u64 = 8 << 20;
/// A blob ends where the hash of a line says so, but not before this many bytes …
const MIN_BLOB_BYTES: usize = 512 << 10;
/// … and after this many at the end of the line at the latest.
const MAX_BLOB_BYTES: usize = 2 << 20;
/// Lines of about 1 KiB: one in 512 ends a blob.
const CUT_MASK: u64 = 0x1FF;
/// Bytes that are handed over at a time.
const HANDOVER_BYTES: usize = 128 << 10;

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DocsTotals {
    /// All documents in the file.
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) longest_line_bytes: u64,
    /// Those numbered from `count_from` on.
    pub(super) counted: Proof,
}

/// The documents of a shard numbered from a certain one on.
pub(super) struct DocsSource<'a> {
    shard: &'a dyn ShardCapture,
    parts: Vec<Range<u64>>,
    /// Documents below were in an earlier snapshot and count for nothing.
    count_from: u64,
    figures: Arc<ShardFigures>,
    totals: Mutex<DocsTotals>,
    /// Reading one shard may fail without failing the others; what was written of it is then not used.
    failure: Mutex<Option<String>>,
}

impl<'a> DocsSource<'a> {
    /// Documents numbered `from` and above; those numbered `count_from` and above are counted.
    pub(super) fn new(
        shard: &'a dyn ShardCapture,
        from: u64,
        count_from: u64,
        figures: Arc<ShardFigures>,
    ) -> Self {
        Self {
            parts: shard.parts(from, PART_BYTES),
            shard,
            count_from,
            figures,
            totals: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// What was read, or why it could not be.
    pub(super) fn totals(&self) -> Result<DocsTotals, String> {
        match self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            Some(failure) => Err(failure),
            None => Ok(*self.totals.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Lines on their way into the sink.
struct Writer<'s> {
    sink: &'s mut dyn SegmentSink,
    lines: Vec<u8>,
    /// Bytes since the last cut, those in `lines` included.
    since_cut: usize,
}

impl Writer<'_> {
    fn hand_over(&mut self) -> Result<(), SourceError> {
        self.sink.write(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn cut(&mut self) -> Result<(), SourceError> {
        self.hand_over()?;
        self.sink.cut()?;
        self.since_cut = 0;
        Ok(())
    }

    /// Takes note of the line that begins at `start` in `lines`.
    fn line_written(&mut self, start: usize) -> Result<usize, SourceError> {
        let length = self.lines.len() - start;
        if length > MAX_BLOB_BYTES {
            // So long a line gets blobs of its own, so that all others can be read blob by blob.
            let long_line = self.lines.split_off(start);
            if self.since_cut > 0 {
                self.cut()?;
            }
            self.lines = long_line;
            self.cut()?;
            return Ok(length);
        }
        self.since_cut += length;
        let may_cut = self.since_cut >= MIN_BLOB_BYTES;
        if may_cut
            && (self.since_cut >= MAX_BLOB_BYTES || xxh3_64(&self.lines[start..]) & CUT_MASK == 0)
        {
            self.cut()?;
        } else if self.lines.len() >= HANDOVER_BYTES {
            self.hand_over()?;
        }
        Ok(length)
    }
}

impl FileSource for DocsSource<'_> {
    fn segments(&self) -> usize {
        self.parts.len()
    }

    fn chunking(&self) -> Chunking {
        Chunking::Explicit
    }

    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        let mut writer = Writer {
            sink,
            lines: Vec::with_capacity(HANDOVER_BYTES * 2),
            since_cut: 0,
        };
        let mut totals = DocsTotals::default();
        let mut stopped = None;
        let mut reported = 0;
        let read = self.shard.read(self.parts[n].clone(), &mut |document| {
            let start = writer.lines.len();
            lines::write_document(&document, &mut writer.lines);
            match writer.line_written(start) {
                Ok(length) => {
                    totals.bytes += length as u64;
                    totals.longest_line_bytes = totals.longest_line_bytes.max(length as u64);
                }
                Err(error) => {
                    stopped = Some(error);
                    return ControlFlow::Break(());
                }
            }
            totals.documents += 1;
            if document.seq_no >= self.count_from {
                totals.counted.live += 1;
                totals.counted.digest = totals.counted.digest.wrapping_add(document.hash());
            }
            if totals.bytes - reported > HANDOVER_BYTES as u64 {
                self.figures.add_bytes(totals.bytes - reported);
                reported = totals.bytes;
            }
            ControlFlow::Continue(())
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        if let Err(error) = read {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            return Ok(());
        }
        writer.hand_over()?;
        self.figures.add_bytes(totals.bytes - reported);
        let mut sum = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        sum.documents += totals.documents;
        sum.bytes += totals.bytes;
        sum.longest_line_bytes = sum.longest_line_bytes.max(totals.longest_line_bytes);
        sum.counted.live += totals.counted.live;
        sum.counted.digest = sum.counted.digest.wrapping_add(totals.counted.digest);
        Ok(())
    }
}
