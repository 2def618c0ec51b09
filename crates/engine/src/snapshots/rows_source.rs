//! The docs and vectors files of a segment as sources of the vault: read in parts by many threads, each part counted and hashed,
//! documents written as lines, vectors as they are, blobs cut at the ends of documents.
//!
//! Both files of a collection are read in a pass of their own over the same documents, and each pass counts and hashes all of a
//! document, so that neither can differ from what is proved.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_drivers::{LiveDocument, Proof, ShardCapture};
use snapkeep_vault::{Chunking, FileSource, SegmentSink, SourceError};
use xxhash_rust::xxh3::xxh3_64;

use super::running::ShardFigures;
use crate::layout::{SegmentPart, lines};

/// Plain bytes of documents that one thread reads at a stretch.
const RANGE_BYTES: u64 = 8 << 20;
/// A part of a collection's files ends after so many bytes of objects and vectors: a restore holds a part in memory.
const PART_BYTES: u64 = 8 << 20;
/// A blob ends where the hash of a line says so, but not before this many bytes …
const MIN_BLOB_BYTES: usize = 512 << 10;
/// … and after this many at the end of the line at the latest.
const MAX_BLOB_BYTES: usize = 2 << 20;
/// Lines of about 1 KiB: one in 512 ends a blob.
const CUT_MASK: u64 = 0x1FF;
/// Bytes that are handed over at a time.
const HANDOVER_BYTES: usize = 128 << 10;

/// Which file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Lines of an index.
    Documents,
    /// Lines of a collection.
    Objects,
    /// Vectors of a collection.
    Vectors,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowTotals {
    /// All documents in the file.
    pub(super) documents: u64,
    /// Bytes of the file.
    pub(super) bytes: u64,
    pub(super) longest_line_bytes: u64,
    /// Those numbered from `count_from` on.
    pub(super) counted: Proof,
    /// Documents and bytes of this file in each part; of collections only.
    pub(super) parts: Vec<(u64, u64)>,
}

/// The documents of a shard numbered from a certain one on.
pub(super) struct RowsSource<'a> {
    shard: &'a dyn ShardCapture,
    column: Column,
    ranges: Vec<Range<u64>>,
    /// Documents below were in an earlier snapshot and count for nothing.
    count_from: u64,
    figures: Arc<ShardFigures>,
    /// By range.
    totals: Mutex<Vec<RowTotals>>,
    /// Reading one shard may fail without failing the others; what was written of it is then not used.
    failure: Mutex<Option<String>>,
}

impl<'a> RowsSource<'a> {
    /// Documents numbered `from` and above; those numbered `count_from` and above are counted.
    pub(super) fn new(
        shard: &'a dyn ShardCapture,
        column: Column,
        from: u64,
        count_from: u64,
        figures: Arc<ShardFigures>,
    ) -> Self {
        let ranges = shard.parts(from, RANGE_BYTES);
        Self {
            shard,
            column,
            count_from,
            figures,
            totals: Mutex::new(vec![RowTotals::default(); ranges.len()]),
            ranges,
            failure: Mutex::default(),
        }
    }

    /// What was read, or why it could not be.
    pub(super) fn totals(&self) -> Result<RowTotals, String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = failure.as_ref() {
            return Err(failure.clone());
        }
        let mut sum = RowTotals::default();
        for range in self
            .totals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            sum.documents += range.documents;
            sum.bytes += range.bytes;
            sum.longest_line_bytes = sum.longest_line_bytes.max(range.longest_line_bytes);
            sum.counted.live += range.counted.live;
            sum.counted.digest = sum.counted.digest.wrapping_add(range.counted.digest);
            sum.parts.extend(&range.parts);
        }
        Ok(sum)
    }
}

/// Pairs the parts of an objects file with those of its vectors file.
pub(super) fn pair_parts(
    objects: &RowTotals,
    vectors: &RowTotals,
) -> Result<Vec<SegmentPart>, String> {
    let same = objects.counted == vectors.counted
        && objects.parts.len() == vectors.parts.len()
        && objects
            .parts
            .iter()
            .zip(&vectors.parts)
            .all(|(one, other)| one.0 == other.0);
    if !same {
        return Err("two readings of the same moment gave different objects".to_owned());
    }
    let pairs = objects.parts.iter().zip(&vectors.parts);
    Ok(pairs
        .map(|((documents, bytes), (_, vector_bytes))| SegmentPart {
            documents: *documents,
            bytes: *bytes,
            vector_bytes: *vector_bytes,
        })
        .collect())
}

/// Bytes on their way into the sink.
struct Writer<'s> {
    sink: &'s mut dyn SegmentSink,
    pending: Vec<u8>,
    /// Bytes since the last cut, those in `pending` included.
    since_cut: usize,
}

impl Writer<'_> {
    fn hand_over(&mut self) -> Result<(), SourceError> {
        self.sink.write(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    fn cut(&mut self) -> Result<(), SourceError> {
        self.hand_over()?;
        self.sink.cut()?;
        self.since_cut = 0;
        Ok(())
    }

    /// Takes note of the record that begins at `start` in `pending`.
    fn record_written(&mut self, start: usize) -> Result<(), SourceError> {
        let length = self.pending.len() - start;
        if length > MAX_BLOB_BYTES {
            // So long a record gets blobs of its own, so that all others can be read blob by blob.
            let long_record = self.pending.split_off(start);
            if self.since_cut > 0 {
                self.cut()?;
            }
            self.pending = long_record;
            return self.cut();
        }
        self.since_cut += length;
        let may_cut = self.since_cut >= MIN_BLOB_BYTES && length > 0;
        if may_cut
            && (self.since_cut >= MAX_BLOB_BYTES || xxh3_64(&self.pending[start..]) & CUT_MASK == 0)
        {
            self.cut()
        } else if self.pending.len() >= HANDOVER_BYTES {
            self.hand_over()
        } else {
            Ok(())
        }
    }
}

/// Reads one range.
struct RangeReader<'r, 's> {
    source: &'r RowsSource<'r>,
    writer: Writer<'s>,
    totals: RowTotals,
    /// Documents, bytes of this file, and bytes of objects and vectors since the last end of a part.
    part: (u64, u64, u64),
    reported: u64,
}

impl RangeReader<'_, '_> {
    fn document(&mut self, document: &LiveDocument<'_>) -> Result<(), SourceError> {
        let start = self.writer.pending.len();
        match self.source.column {
            Column::Vectors => self.writer.pending.extend_from_slice(document.vectors),
            Column::Documents | Column::Objects => {
                lines::write_document(document, &mut self.writer.pending);
            }
        }
        let length = (self.writer.pending.len() - start) as u64;
        self.writer.record_written(start)?;
        let totals = &mut self.totals;
        totals.documents += 1;
        totals.bytes += length;
        totals.longest_line_bytes = totals.longest_line_bytes.max(length);
        if document.seq_no >= self.source.count_from {
            totals.counted.live += 1;
            totals.counted.digest = totals.counted.digest.wrapping_add(document.hash());
        }
        if totals.bytes - self.reported > HANDOVER_BYTES as u64 {
            self.report();
        }
        self.part.0 += 1;
        self.part.1 += length;
        // By what is read, not by what is written: both files of a collection must have the same parts.
        self.part.2 += (document.source.len() + document.vectors.len()) as u64;
        if self.source.column != Column::Documents && self.part.2 >= PART_BYTES {
            self.end_part()?;
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), SourceError> {
        if self.source.column != Column::Documents && self.part.0 > 0 {
            self.writer.cut()?;
            self.totals.parts.push((self.part.0, self.part.1));
        }
        self.part = (0, 0, 0);
        Ok(())
    }

    fn report(&mut self) {
        self.source
            .figures
            .add_bytes(self.totals.bytes - self.reported);
        self.reported = self.totals.bytes;
    }
}

impl FileSource for RowsSource<'_> {
    fn segments(&self) -> usize {
        self.ranges.len()
    }

    fn chunking(&self) -> Chunking {
        Chunking::Explicit
    }

    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        let mut reader = RangeReader {
            source: self,
            writer: Writer {
                sink,
                pending: Vec::with_capacity(HANDOVER_BYTES * 2),
                since_cut: 0,
            },
            totals: RowTotals::default(),
            part: (0, 0, 0),
            reported: 0,
        };
        let mut stopped = None;
        let read =
            self.shard.read(
                self.ranges[n].clone(),
                &mut |document| match reader.document(&document) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        stopped = Some(error);
                        ControlFlow::Break(())
                    }
                },
            );
        if let Some(error) = stopped {
            return Err(error);
        }
        if let Err(error) = read {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            return Ok(());
        }
        reader.end_part()?;
        reader.writer.hand_over()?;
        reader.report();
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)[n] = reader.totals;
        Ok(())
    }
}
