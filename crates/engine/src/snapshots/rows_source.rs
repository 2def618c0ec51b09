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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use snapkeep_drivers::{ChangeToken, DriverError, GoneDocument};
    use snapkeep_vault::BlobId;
    use snapkeep_vault::backup::SinkClosed;

    use crate::layout::lines::read_documents;

    /// Documents of so many bytes of source and of vectors, read in ranges of ten.
    struct Fake(Vec<(usize, usize)>);

    impl Fake {
        fn source(&self, at: usize) -> String {
            format!("{{\"t\":\"{}\"}}", "x".repeat(self.0[at].0))
        }

        fn vectors(&self, at: usize) -> Vec<u8> {
            (0..self.0[at].1)
                .map(|byte| (byte * 31 + at) as u8)
                .collect()
        }
    }

    impl ShardCapture for Fake {
        fn token(&self) -> ChangeToken {
            ChangeToken {
                index_uuid: String::new(),
                history_uuid: String::new(),
                next_seq_no: self.0.len() as u64,
            }
        }

        fn proof(&self) -> Proof {
            Proof::default()
        }

        fn size_bytes(&self) -> u64 {
            0
        }

        fn can_continue(&self, _: &ChangeToken) -> bool {
            true
        }

        fn parts(&self, from: u64, _: u64) -> Vec<Range<u64>> {
            let end = self.0.len() as u64;
            (from..end)
                .step_by(10)
                .map(|first| first..end.min(first + 10))
                .collect()
        }

        fn read(
            &self,
            range: Range<u64>,
            visit: &mut dyn FnMut(LiveDocument<'_>) -> ControlFlow<()>,
        ) -> Result<(), DriverError> {
            for seq_no in range {
                let (source, vectors) =
                    (self.source(seq_no as usize), self.vectors(seq_no as usize));
                let flow = visit(LiveDocument {
                    id: "id",
                    routing: None,
                    version: 1,
                    seq_no,
                    source: source.as_bytes(),
                    vectors: &vectors,
                });
                if flow.is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn gone_since(
            &self,
            _: u64,
            _: &mut dyn FnMut(GoneDocument<'_>) -> ControlFlow<()>,
        ) -> Result<(), DriverError> {
            Ok(())
        }
    }

    /// Blobs as the vault would cut them.
    #[derive(Default)]
    struct Blobs(Vec<Vec<u8>>, Vec<u8>);

    impl SegmentSink for Blobs {
        fn write(&mut self, data: &[u8]) -> Result<(), SinkClosed> {
            self.1.extend_from_slice(data);
            Ok(())
        }

        fn reserve(&mut self, _: usize) -> Result<&mut [u8], SinkClosed> {
            Err(SinkClosed)
        }

        fn advance(&mut self, _: usize) {}

        fn hole(&mut self, _: u64) -> Result<(), SinkClosed> {
            Err(SinkClosed)
        }

        fn adopt(&mut self, _: &[BlobId]) -> Result<Option<u64>, SinkClosed> {
            Err(SinkClosed)
        }

        fn cut(&mut self) -> Result<(), SinkClosed> {
            if !self.1.is_empty() {
                self.0.push(std::mem::take(&mut self.1));
            }
            Ok(())
        }
    }

    fn store(source: &RowsSource<'_>) -> Vec<Vec<u8>> {
        let mut blobs = Blobs::default();
        for segment in 0..source.segments() {
            source.read_segment(segment, &mut blobs).unwrap();
            // The end of a segment ends a blob.
            blobs.cut().unwrap();
        }
        blobs.0
    }

    fn take(blobs: &mut impl Iterator<Item = Vec<u8>>, bytes: u64) -> Vec<u8> {
        let mut taken = Vec::new();
        while (taken.len() as u64) < bytes {
            taken.extend(blobs.next().unwrap());
        }
        assert_eq!(taken.len() as u64, bytes, "a part ends a blob");
        taken
    }

    fn columns(fake: &Fake) -> [RowsSource<'_>; 2] {
        [Column::Objects, Column::Vectors]
            .map(|column| RowsSource::new(fake, column, 0, 0, Arc::default()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn both_files_can_be_read_part_by_part(
            sizes in proptest::collection::vec(
                (prop_oneof![15 => 0..2000_usize, 1 => Just(3 << 20)], prop_oneof![15 => 0..4000_usize, 1 => Just(9 << 20)]),
                0..45,
            ),
        ) {
            let fake = Fake(sizes);
            let [objects, vectors] = columns(&fake);
            let mut lines = store(&objects).into_iter();
            let mut floats = store(&vectors).into_iter();
            let (objects, vectors) = (objects.totals().unwrap(), vectors.totals().unwrap());
            let mut read = Vec::new();
            for part in pair_parts(&objects, &vectors).unwrap() {
                let before = read.len() as u64;
                let (text, vectors) = (take(&mut lines, part.bytes), take(&mut floats, part.vector_bytes));
                read_documents(&text, &vectors, |_| false, &mut read).unwrap();
                prop_assert_eq!(read.len() as u64 - before, part.documents);
                let last = read.last().unwrap();
                let without_last = text.len() + vectors.len() - last.source.len() - last.vectors.len();
                // Nothing but one document makes a part large.
                prop_assert!((without_last as u64) < PART_BYTES + (64 << 10));
            }
            prop_assert!(lines.next().is_none() && floats.next().is_none());
            prop_assert_eq!(read.len(), fake.0.len());
            for (at, document) in read.iter().enumerate() {
                prop_assert_eq!(&document.source, &fake.source(at).into_bytes());
                prop_assert_eq!(&document.vectors, &fake.vectors(at));
            }
        }
    }

    #[test]
    fn an_index_has_no_parts_and_only_new_documents_count() {
        let fake = Fake(vec![(10, 0); 30]);
        let source = RowsSource::new(&fake, Column::Documents, 10, 25, Arc::default());
        store(&source);
        let totals = source.totals().unwrap();
        assert_eq!(
            (totals.documents, totals.counted.live, totals.parts.len()),
            (20, 5, 0)
        );
    }

    #[test]
    fn readings_that_differ_are_no_pair() {
        let fake = Fake(vec![(10, 8); 30]);
        let [objects, vectors] = columns(&fake);
        store(&objects);
        store(&vectors);
        let (objects, mut vectors) = (objects.totals().unwrap(), vectors.totals().unwrap());
        assert!(pair_parts(&objects, &vectors).is_ok());
        vectors.counted.digest ^= 1;
        assert!(pair_parts(&objects, &vectors).is_err());
    }
}
