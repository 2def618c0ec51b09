//! Writing to a disk that cannot be written to.

mod scratch;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::NbdError;
use crate::server::{Export, ZeroRange, push_range};
use scratch::{GRANULE_BYTES, Granule, Scratch};

/// Locks among which the granules are distributed.
const LOCKS: usize = 256;

/// A disk that reads as the one below it until it is written to; what is written goes to a sparse scratch file.
///
/// It works in granules of 64 KiB. One that is written in part is first copied as a whole; one that was written is never read from
/// below again. Each granule is guarded by a lock, so that a copy cannot undo a write that happens at the same time.
pub struct Overlay {
    base: Arc<dyn Export>,
    scratch: Scratch,
    locks: Vec<RwLock<()>>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay")
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl Overlay {
    /// What is written is gone with the overlay. The scratch file has no name in `folder`.
    ///
    /// # Errors
    /// [`NbdError::Setup`] when no file can be made there.
    pub fn temporary(base: Arc<dyn Export>, folder: &Path) -> Result<Self, NbdError> {
        let size_bytes = base.size_bytes();
        let file = tempfile::tempfile_in(folder);
        let scratch = file
            .and_then(|file: File| Scratch::temporary(file, size_bytes))
            .map_err(|cause| NbdError::Setup {
                operation: "cannot make a scratch file in",
                object: folder.display().to_string(),
                cause: cause.to_string(),
            })?;
        Ok(Self::new(base, scratch))
    }

    /// What is written is kept in `file`, also after a crash what was flushed. An existing file is continued if it was made with the
    /// same `belongs_to`: text of at most 3 KiB that says which disk is below, and never fits another.
    ///
    /// # Errors
    /// [`NbdError::Setup`] when the file belongs to another disk, is no overlay, or is in use.
    pub fn kept(base: Arc<dyn Export>, file: &Path, belongs_to: &str) -> Result<Self, NbdError> {
        let scratch = Scratch::kept(file, base.size_bytes(), belongs_to)?;
        Ok(Self::new(base, scratch))
    }

    fn new(base: Arc<dyn Export>, scratch: Scratch) -> Self {
        Self {
            base,
            scratch,
            locks: (0..LOCKS).map(|_| RwLock::new(())).collect(),
        }
    }

    /// Bytes in granules that are in the scratch file.
    pub fn written_bytes(&self) -> u64 {
        self.scratch.count(Granule::Written) * GRANULE_BYTES
    }

    fn shared(&self, granule: u64) -> RwLockReadGuard<'_, ()> {
        let lock = &self.locks[granule as usize % LOCKS];
        lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self, granule: u64) -> RwLockWriteGuard<'_, ()> {
        let lock = &self.locks[granule as usize % LOCKS];
        lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// All bytes of a granule; fewer in the last one.
    fn bytes_of(&self, granule: u64) -> Range<u64> {
        let start = granule * GRANULE_BYTES;
        start..(start + GRANULE_BYTES).min(self.size_bytes())
    }

    /// The parts of a range, each in one granule.
    fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> + use<> {
        let granules = range.start / GRANULE_BYTES..range.end.div_ceil(GRANULE_BYTES);
        granules.map(move |granule| {
            let start = granule * GRANULE_BYTES;
            let part = start.max(range.start)..(start + GRANULE_BYTES).min(range.end);
            (granule, part)
        })
    }

    /// Writes a part of a granule, whose lock is held, and takes over the rest of it.
    fn write_part(&self, granule: u64, part: &Range<u64>, data: &[u8]) -> io::Result<()> {
        let state = self.scratch.granule(granule);
        let whole = self.bytes_of(granule);
        if state == Granule::Written || *part == whole {
            self.scratch.write_at(part.start, data)?;
        } else {
            let mut filled = vec![0; (whole.end - whole.start) as usize];
            // What was there before the granule became zeroes may still be in the scratch file: it is written as a whole.
            if state == Granule::Below {
                self.base.read_at(whole.start, &mut filled)?;
            }
            let skip = (part.start - whole.start) as usize;
            filled[skip..skip + data.len()].copy_from_slice(data);
            self.scratch.write_at(whole.start, &filled)?;
        }
        // Only now may others find it there.
        self.scratch.set(granule, Granule::Written);
        Ok(())
    }

    fn clear(&self, granule: u64) {
        let _guard = self.exclusive(granule);
        self.scratch.set(granule, Granule::Zero);
        self.scratch.give_up(self.bytes_of(granule));
    }
}

impl Export for Overlay {
    fn size_bytes(&self) -> u64 {
        self.base.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut rest = buffer;
        for (granule, part) in self.parts(offset..offset + rest.len() as u64) {
            let (piece, behind) = rest.split_at_mut((part.end - part.start) as usize);
            rest = behind;
            let _guard = self.shared(granule);
            match self.scratch.granule(granule) {
                Granule::Below => self.base.read_at(part.start, piece)?,
                Granule::Written => self.scratch.read_at(part.start, piece)?,
                Granule::Zero => piece.fill(0),
            }
        }
        Ok(())
    }

    fn extents(&self, range: Range<u64>, limit: usize) -> io::Result<Vec<ZeroRange>> {
        let mut found = Vec::new();
        let mut at = range.start;
        while at < range.end && found.len() < limit {
            // The longest range of granules in one state.
            let state = self.scratch.granule(at / GRANULE_BYTES);
            let mut end = self.bytes_of(at / GRANULE_BYTES).end;
            while end < range.end && self.scratch.granule(end / GRANULE_BYTES) == state {
                end = self.bytes_of(end / GRANULE_BYTES).end;
            }
            let end = end.min(range.end);
            match state {
                Granule::Written => push_range(&mut found, at..end, false),
                Granule::Zero => push_range(&mut found, at..end, true),
                Granule::Below => {
                    let mut below = at;
                    while below < end && found.len() < limit {
                        for part in self.base.extents(below..end, limit)? {
                            below = part.range.end;
                            push_range(&mut found, part.range, part.is_zero);
                        }
                    }
                }
            }
            at = found
                .last()
                .map_or(range.end, |last: &ZeroRange| last.range.end);
        }
        Ok(found)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        for (granule, part) in self.parts(offset..offset + data.len() as u64) {
            let (piece, behind) = rest.split_at((part.end - part.start) as usize);
            rest = behind;
            let _guard = self.exclusive(granule);
            self.write_part(granule, &part, piece)?;
        }
        Ok(())
    }

    fn write_zeroes(&self, range: Range<u64>, may_be_hole: bool) -> io::Result<()> {
        static ZEROES: [u8; GRANULE_BYTES as usize] = [0; GRANULE_BYTES as usize];
        for (granule, part) in self.parts(range) {
            if may_be_hole && part == self.bytes_of(granule) {
                self.clear(granule);
                continue;
            }
            let _guard = self.exclusive(granule);
            if may_be_hole && self.scratch.granule(granule) == Granule::Zero {
                continue;
            }
            let zeroes = &ZEROES[..(part.end - part.start) as usize];
            self.write_part(granule, &part, zeroes)?;
        }
        Ok(())
    }

    fn trim(&self, range: Range<u64>) -> io::Result<()> {
        for (granule, part) in self.parts(range) {
            // Parts of granules would cost more than they give back.
            if part == self.bytes_of(granule) {
                self.clear(granule);
            }
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.scratch.flush()
    }
}
