//! The gone file of a segment as a source of the vault: copies in older segments that died.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_drivers::{Proof, ShardCapture};
use snapkeep_vault::{Chunking, FileSource, SegmentSink, SourceError};

use super::running::ShardFigures;
use crate::layout::lines;

/// Entries are short: blobs end after so many bytes, at the end of a line.
const BLOB_BYTES: usize = 1 << 20;
const HANDOVER_BYTES: usize = 128 << 10;

/// A dead copy told by an earlier snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EarlierGone {
    pub(super) id: String,
    pub(super) seq_no: u64,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GoneTotals {
    /// Entries in the file.
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// All copies that died since the last snapshot.
    pub(super) died: Proof,
}

/// Copies numbered below `below` that died: those of `earlier` and those since `next_seq_no`.
pub(super) struct GoneSource<'a> {
    shard: &'a dyn ShardCapture,
    next_seq_no: u64,
    below: u64,
    earlier: Vec<EarlierGone>,
    figures: Arc<ShardFigures>,
    totals: Mutex<GoneTotals>,
    failure: Mutex<Option<String>>,
}

impl<'a> GoneSource<'a> {
    pub(super) fn new(
        shard: &'a dyn ShardCapture,
        next_seq_no: u64,
        below: u64,
        earlier: Vec<EarlierGone>,
        figures: Arc<ShardFigures>,
    ) -> Self {
        Self {
            shard,
            next_seq_no,
            below,
            earlier,
            figures,
            totals: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// What was read, or why it could not be.
    pub(super) fn totals(&self) -> Result<GoneTotals, String> {
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

impl FileSource for GoneSource<'_> {
    fn segments(&self) -> usize {
        1
    }

    fn chunking(&self) -> Chunking {
        Chunking::Explicit
    }

    fn read_segment(&self, _n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        let mut lines = Vec::with_capacity(HANDOVER_BYTES * 2);
        let mut totals = GoneTotals::default();
        let mut since_cut = 0;
        let mut write =
            |id: &str, seq_no: u64, totals: &mut GoneTotals| -> Result<(), SourceError> {
                let start = lines.len();
                lines::write_gone(id, seq_no, &mut lines);
                totals.entries += 1;
                totals.bytes += (lines.len() - start) as u64;
                since_cut += lines.len() - start;
                if lines.len() >= HANDOVER_BYTES || since_cut >= BLOB_BYTES {
                    sink.write(&lines)?;
                    lines.clear();
                }
                if since_cut >= BLOB_BYTES {
                    sink.cut()?;
                    since_cut = 0;
                }
                Ok(())
            };
        for gone in self.earlier.iter().filter(|gone| gone.seq_no < self.below) {
            write(&gone.id, gone.seq_no, &mut totals)?;
        }
        let mut stopped = None;
        let read = self.shard.gone_since(self.next_seq_no, &mut |gone| {
            totals.died.live += 1;
            totals.died.digest = totals.died.digest.wrapping_add(gone.hash);
            if gone.old_seq_no < self.below
                && let Err(error) = write(gone.id, gone.old_seq_no, &mut totals)
            {
                stopped = Some(error);
                return ControlFlow::Break(());
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
        sink.write(&lines)?;
        self.figures.add_bytes(totals.bytes);
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        Ok(())
    }
}
