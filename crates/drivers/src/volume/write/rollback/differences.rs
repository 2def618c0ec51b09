//! Finding what differs from a content and writing only that.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::super::{RangeSet, VolumeError};
use super::super::WriteProgress;
use super::super::grid::{Grid, is_zero, zero_runs};
use super::super::parallel;
use super::target::Target;

/// What one thread compares at a time. It has this much read and this much to write, so eight threads stay at 64 MiB.
const STRIDE_BYTES: u64 = 4 << 20;

/// Threads of a comparison; more do not make a disk faster.
const THREADS: usize = 8;

/// Zeros are looked for in pages of this size: the block of most file systems.
const PAGE_BYTES: usize = 4096;

/// Shorter zeros inside a block that is written anyway are written too: a hole costs an extent. A new file has its holes for
/// nothing.
const MIN_HOLE_BYTES: usize = 64 << 10;

/// Blocks that were written, for the verification: one bit each.
pub(super) struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    pub(super) fn new(blocks: u64) -> Self {
        let words = blocks.div_ceil(64) as usize;
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn set(&self, block: u64) {
        self.words[(block / 64) as usize].fetch_or(1 << (block % 64), Ordering::Relaxed);
    }

    fn has(&self, block: u64) -> bool {
        self.words[(block / 64) as usize].load(Ordering::Relaxed) & (1 << (block % 64)) != 0
    }
}

/// One pass over a disk that makes `new` equal to the content.
pub(super) struct Differences<'a> {
    pub(super) grid: Grid<'a>,
    /// Where the present bytes are read.
    pub(super) old: &'a dyn Target,
    /// What is written. The same disk as `old`, or a clone of it, or an empty file.
    pub(super) new: &'a dyn Target,
    /// Whether `new` is an empty file: then what does not differ is copied, and holes need nothing.
    pub(super) new_is_empty: bool,
    /// Where `old` may differ from the content.
    pub(super) changed: Option<&'a RangeSet>,
    /// Filled with the blocks that were written or zeroed.
    pub(super) marks: Option<&'a Marks>,
    pub(super) progress: &'a WriteProgress,
}

/// What is to be done with a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// It is right as it is.
    Leave,
    /// It is right, but has to get into the new file.
    Copy,
    /// It is to be zeros, and may be something else.
    Zero,
    /// It has to be read and compared.
    Compare,
    /// It differs for sure.
    Write,
}

#[derive(Default)]
struct Buffers {
    old: Vec<u8>,
    block: Vec<u8>,
    pending: Pending,
}

/// Neighbouring blocks that are written together.
#[derive(Default)]
struct Pending {
    start: u64,
    data: Vec<u8>,
}

impl Differences<'_> {
    /// Compares and writes. When it returns nothing is durable yet.
    pub(super) fn apply(&self) -> Result<(), VolumeError> {
        parallel::each(
            0..strides(&self.grid),
            THREADS,
            self.progress,
            Buffers::default,
            |stride, buffers| self.apply_stride(stride, buffers),
        )
    }

    fn apply_stride(&self, stride: u64, buffers: &mut Buffers) -> Result<(), VolumeError> {
        let blocks = stride_blocks(&self.grid, stride);
        let covered =
            self.grid.block_range(blocks.start).start..self.grid.block_range(blocks.end - 1).end;
        let zeros = self.old.zeros(covered.clone());
        let mut at = blocks.start;
        while at < blocks.end {
            let plan = self.plan(at, &zeros);
            let mut end = at + 1;
            while end < blocks.end && self.plan(end, &zeros) == plan {
                end += 1;
            }
            self.run(plan, at..end, buffers)?;
            at = end;
        }
        self.flush(&mut buffers.pending)?;
        self.progress.add_done(covered.end - covered.start);
        Ok(())
    }

    fn plan(&self, block: u64, zeros: &RangeSet) -> Plan {
        let range = self.grid.block_range(block);
        let hole = self.grid.content().is_hole(block);
        let beyond_old = range.end > self.old.size_bytes();
        let may_differ = beyond_old
            || self
                .changed
                .is_none_or(|changed| changed.intersects(range.clone()));
        if !may_differ {
            return if self.new_is_empty && !hole {
                Plan::Copy
            } else {
                Plan::Leave
            };
        }
        match (hole, zeros.contains(range)) {
            (true, true) => Plan::Leave,
            (true, false) => Plan::Zero,
            (false, true) => Plan::Write,
            (false, false) => Plan::Compare,
        }
    }

    fn run(
        &self,
        plan: Plan,
        blocks: Range<u64>,
        buffers: &mut Buffers,
    ) -> Result<(), VolumeError> {
        let range =
            self.grid.block_range(blocks.start).start..self.grid.block_range(blocks.end - 1).end;
        match plan {
            Plan::Leave => Ok(()),
            Plan::Copy => {
                self.read_old(range.clone(), &mut buffers.old)?;
                self.put(range.start, &buffers.old)
            }
            Plan::Zero => self.zero(blocks, range, &mut buffers.old),
            Plan::Write => {
                for block in blocks {
                    self.write_block(block, buffers)?;
                }
                Ok(())
            }
            Plan::Compare => {
                self.read_old(range.clone(), &mut buffers.old)?;
                self.progress.add_compared(range.end - range.start);
                let first = blocks.start;
                let size = self.grid.content().block_bytes() as usize;
                let old: Vec<&[u8]> = buffers.old.chunks(size).collect();
                let same = self.grid.content().match_each(first, &old);
                for (block, is_same) in blocks.zip(same) {
                    let within = self.grid.block_range(block);
                    let old = &buffers.old[(within.start - range.start) as usize
                        ..(within.end - range.start) as usize];
                    if !is_same {
                        self.write_block(block, buffers)?;
                    } else if self.new_is_empty {
                        push(&mut buffers.pending, within.start, old, |pending| {
                            self.flush(pending)
                        })?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Makes blocks zeros that the content has as holes.
    fn zero(
        &self,
        blocks: Range<u64>,
        range: Range<u64>,
        old: &mut Vec<u8>,
    ) -> Result<(), VolumeError> {
        if self.new_is_empty {
            self.progress.add_punched(range.end - range.start);
            return Ok(());
        }
        if !self.old.has_holes() {
            self.read_old(range.clone(), old)?;
            self.progress.add_compared(range.end - range.start);
            if is_zero(old) {
                return Ok(());
            }
        }
        self.new.zero(range.clone())?;
        self.progress.add_punched(range.end - range.start);
        self.mark(blocks);
        Ok(())
    }

    fn write_block(&self, block: u64, buffers: &mut Buffers) -> Result<(), VolumeError> {
        let Buffers {
            block: content,
            pending,
            ..
        } = buffers;
        self.grid.read_block(block, content)?;
        let start = self.grid.block_range(block).start;
        push(pending, start, content, |pending| self.flush(pending))?;
        self.progress.add_written(content.len() as u64);
        self.mark(block..block + 1);
        Ok(())
    }

    fn flush(&self, pending: &mut Pending) -> Result<(), VolumeError> {
        if !pending.data.is_empty() {
            self.put(pending.start, &pending.data)?;
            pending.data.clear();
        }
        Ok(())
    }

    /// Writes `data`, its zeros as holes.
    fn put(&self, start: u64, data: &[u8]) -> Result<(), VolumeError> {
        let min_zeros = match (self.new_is_empty, self.new.has_holes()) {
            (true, _) => PAGE_BYTES,
            (false, true) => MIN_HOLE_BYTES,
            (false, false) => return self.new.write_at(start, data),
        };
        for (run, zero) in zero_runs(data, PAGE_BYTES, min_zeros) {
            let at = start + run.start as u64;
            if !zero {
                self.new.write_at(at, &data[run])?;
            } else if !self.new_is_empty {
                self.new.zero(at..start + run.end as u64)?;
            }
        }
        Ok(())
    }

    fn read_old(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        buffer.resize((range.end - range.start) as usize, 0);
        self.old.read_at(range.start, buffer)
    }

    fn mark(&self, blocks: Range<u64>) {
        if let Some(marks) = self.marks {
            for block in blocks {
                marks.set(block);
            }
        }
    }
}

/// Adds a block to those that wait; they are flushed first where it does not follow them, or where they are many.
fn push(
    pending: &mut Pending,
    start: u64,
    data: &[u8],
    flush: impl Fn(&mut Pending) -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    let follows = pending.start + pending.data.len() as u64 == start;
    if !follows || pending.data.len() + data.len() > STRIDE_BYTES as usize {
        flush(pending)?;
    }
    if pending.data.is_empty() {
        pending.start = start;
    }
    pending.data.extend_from_slice(data);
    Ok(())
}

/// Reads what was written once more and compares it with the content. Returns the first block that is not what it shall be.
pub(super) fn verify(
    grid: &Grid<'_>,
    target: &dyn Target,
    marks: &Marks,
    progress: &WriteProgress,
) -> Result<Option<u64>, VolumeError> {
    const NONE: u64 = u64::MAX;
    let wrong = AtomicU64::new(NONE);
    parallel::each(
        0..strides(grid),
        THREADS,
        progress,
        Vec::new,
        |stride, buffer: &mut Vec<u8>| {
            for block in stride_blocks(grid, stride) {
                if !marks.has(block) {
                    continue;
                }
                let range = grid.block_range(block);
                buffer.resize((range.end - range.start) as usize, 0);
                target.read_at(range.start, buffer)?;
                let right = if grid.content().is_hole(block) {
                    is_zero(buffer)
                } else {
                    grid.content().matches(block, buffer)
                };
                if !right {
                    wrong.fetch_min(block, Ordering::Relaxed);
                }
            }
            Ok(())
        },
    )?;
    let wrong = wrong.load(Ordering::Relaxed);
    Ok((wrong != NONE).then_some(wrong))
}

fn blocks_of_stride(grid: &Grid<'_>) -> u64 {
    (STRIDE_BYTES / grid.block_bytes()).max(1)
}

fn strides(grid: &Grid<'_>) -> u64 {
    grid.size_bytes
        .div_ceil(grid.block_bytes() * blocks_of_stride(grid))
}

fn stride_blocks(grid: &Grid<'_>, stride: u64) -> Range<u64> {
    let per_stride = blocks_of_stride(grid);
    let first = stride * per_stride;
    first..(first + per_stride).min(grid.size_bytes.div_ceil(grid.block_bytes()))
}
