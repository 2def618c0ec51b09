//! A sample of what a driver says is unchanged, read and compared: trackers have been wrong before, and nobody noticed.

use std::collections::BTreeSet;
use std::ops::Range;

use rand::Rng;
use rand::seq::IndexedRandom;
use snapkeep_drivers::volume::VolumeError;
use snapkeep_vault::BlobId;
use snapkeep_vault::backup::is_zero;

use super::piece::DiskReader;
use crate::layout::PIECE_BLOCKS;
use crate::volumes::read::ReadError;

/// Share of the unchanged blocks that is looked at: one in so many.
const ONE_IN: u64 = 200;
/// Blocks that are looked at in any case, as far as there are so many.
const AT_LEAST: u64 = 64;
/// Attempts for one block: on a disk that changed almost everywhere unchanged ones are hard to find.
const ATTEMPTS: u64 = 4;
/// Pieces in which blocks that hold data are looked for.
const PIECES_LOOKED_AT: u64 = 16;

/// Why the comparison came to no end.
#[derive(Debug)]
pub(super) enum AuditFailure {
    Source(VolumeError),
    Base(ReadError),
}

/// Compares a sample of the unchanged blocks with the base. The first block that differs, if one does.
pub(super) fn audit(reader: &DiskReader<'_>) -> Result<Option<u64>, AuditFailure> {
    let Some(base) = reader.base else {
        return Ok(None);
    };
    let mut buffer = Vec::new();
    for block in sample(reader).map_err(AuditFailure::Source)? {
        let range = reader.block_range(block);
        let expected = base.blob(block).map_err(AuditFailure::Base)?;
        if expected.is_none() {
            let extents = reader
                .capture
                .extents(range.clone())
                .map_err(AuditFailure::Source)?;
            if extents.iter().all(|extent| extent.zero) {
                continue;
            }
        }
        buffer.resize((range.end - range.start) as usize, 0);
        reader
            .read(range.start, &mut buffer)
            .map_err(AuditFailure::Source)?;
        let is_same = match expected {
            Some(id) => BlobId::of(&buffer) == id,
            None => is_zero(&buffer),
        };
        if !is_same {
            return Ok(Some(block));
        }
    }
    Ok(None)
}

/// Unchanged blocks by chance, ascending: of all of the disk, and, because most of a sparse one is holes, of what holds data in some of
/// its pieces.
fn sample(reader: &DiskReader<'_>) -> Result<BTreeSet<u64>, VolumeError> {
    let blocks = reader.size_bytes.div_ceil(reader.block_bytes);
    let is_unchanged = |block: &u64| reader.is_unchanged(reader.block_range(*block));
    if blocks <= AT_LEAST {
        return Ok((0..blocks).filter(is_unchanged).collect());
    }
    let changed_bytes = reader.changed.as_ref().map_or(0, |it| it.total_bytes());
    let unchanged = blocks.saturating_sub(changed_bytes / reader.block_bytes);
    let wanted = (unchanged / ONE_IN).max(AT_LEAST);
    let mut chosen = BTreeSet::new();
    let mut random = rand::rng();
    for _ in 0..wanted * ATTEMPTS {
        let block = random.random_range(0..blocks);
        if is_unchanged(&block) {
            chosen.insert(block);
        }
        if chosen.len() as u64 >= wanted {
            break;
        }
    }
    let pieces = blocks.div_ceil(PIECE_BLOCKS);
    let looked_at: BTreeSet<u64> = if pieces <= PIECES_LOOKED_AT {
        (0..pieces).collect()
    } else {
        let any = (0..PIECES_LOOKED_AT).map(|_| random.random_range(0..pieces));
        any.collect()
    };
    for piece in looked_at {
        let first = piece * PIECE_BLOCKS;
        let last = (first + PIECE_BLOCKS).min(blocks) - 1;
        let range = reader.block_range(first).start..reader.block_range(last).end;
        let extents = reader.capture.extents(range)?;
        let data: Vec<Range<u64>> = extents
            .into_iter()
            .filter(|extent| !extent.zero)
            .map(|extent| extent.range)
            .collect();
        let few = (AT_LEAST / pieces.min(PIECES_LOOKED_AT)).max(1);
        for _ in 0..few {
            let Some(range) = data.choose(&mut random) else {
                break;
            };
            let block = random.random_range(range.clone()) / reader.block_bytes;
            if is_unchanged(&block) {
                chosen.insert(block);
            }
        }
    }
    Ok(chosen)
}
