//! Where a file's bytes are on its file system: the FIEMAP system call.
//!
//! Format: Linux `Documentation/filesystems/fiemap.rst`, `include/uapi/linux/fiemap.h`. The only unsafe code of the drivers:
//! there is no safe wrapper of this call.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Extents that one call returns; 64 × 56 bytes on the stack.
const BATCH: usize = 64;

/// Write the file's dirty pages first, so that no extent is missing.
const FLAG_SYNC: u32 = 1;

const EXTENT_LAST: u32 = 0x1;
const EXTENT_UNWRITTEN: u32 = 0x800;
/// UNKNOWN, DELALLOC, ENCODED, DATA_ENCRYPTED, NOT_ALIGNED, DATA_INLINE, DATA_TAIL: the address says nothing about the content.
const EXTENT_ODD: u32 = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400;

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
}

#[repr(C)]
struct Request {
    header: Header,
    extents: [RawExtent; BATCH],
}

/// `FS_IOC_FIEMAP`: its size field is that of the header alone.
const FS_IOC_FIEMAP: Opcode = opcode::read_write::<Header>(b'f', 11);

fn call(file: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: FS_IOC_FIEMAP reads and writes the header and at most `extent_count` extents behind it; `Request` is laid out as the
    // kernel's `struct fiemap` with room for BATCH extents, and no caller asks for more than BATCH.
    unsafe { ioctl(file, Updater::<FS_IOC_FIEMAP, Request>::new(request)) }.map_err(io::Error::from)
}

fn request(range: Range<u64>, extent_count: u32, sync: bool) -> Request {
    Request {
        header: Header {
            start: range.start,
            length: range.end - range.start,
            flags: if sync { FLAG_SYNC } else { 0 },
            mapped_extents: 0,
            extent_count,
            reserved: 0,
        },
        extents: [RawExtent::default(); BATCH],
    }
}

/// How many extents the file has, without listing them (0.1 s for 100,000). Dirty pages are written first.
pub(super) fn count_extents(file: &File) -> io::Result<u64> {
    let mut request = request(0..u64::MAX, 0, true);
    call(file, &mut request)?;
    Ok(u64::from(request.header.mapped_extents))
}

/// What an extent holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// Allocated but never written: zeroes.
    Unwritten,
    /// Data at this address of the file system.
    At(u64),
    /// Data whose address does not identify it: compressed, inline, not yet placed.
    Odd,
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileExtent {
    /// Bytes of the file.
    pub(super) range: Range<u64>,
    /// What is there.
    pub(super) content: Content,
}

/// All extents of a file in ascending order, asked for in batches; holes are left out.
pub(super) struct Extents<'a> {
    file: &'a File,
    batch: std::vec::IntoIter<FileExtent>,
    next_start: u64,
    done: bool,
    sync: bool,
}

impl<'a> Extents<'a> {
    /// Starts at the beginning of the file; its dirty pages are written first.
    pub(super) fn of(file: &'a File) -> Self {
        Self {
            file,
            batch: Vec::new().into_iter(),
            next_start: 0,
            done: false,
            sync: true,
        }
    }

    fn fetch(&mut self) -> io::Result<()> {
        let mut request = request(self.next_start..u64::MAX, BATCH as u32, self.sync);
        call(self.file, &mut request)?;
        self.sync = false;
        let mapped = (request.header.mapped_extents as usize).min(BATCH);
        let mut batch = Vec::with_capacity(mapped);
        for raw in &request.extents[..mapped] {
            // An extent that reaches into the batch before is cut, so that extents never overlap.
            let start = raw.logical.max(self.next_start);
            let end = raw.logical.saturating_add(raw.length);
            if end > start {
                batch.push(FileExtent {
                    range: start..end,
                    content: content(raw, start - raw.logical),
                });
                self.next_start = end;
            }
            self.done |= raw.flags & EXTENT_LAST != 0;
        }
        // A batch without progress would be asked for for ever.
        self.done |= batch.is_empty();
        self.batch = batch.into_iter();
        Ok(())
    }
}

/// What is `skipped` bytes into the extent.
fn content(raw: &RawExtent, skipped: u64) -> Content {
    if raw.flags & EXTENT_ODD != 0 {
        Content::Odd
    } else if raw.flags & EXTENT_UNWRITTEN != 0 {
        Content::Unwritten
    } else if raw.physical == 0 {
        Content::Odd
    } else {
        Content::At(raw.physical.saturating_add(skipped))
    }
}

impl Iterator for Extents<'_> {
    type Item = io::Result<FileExtent>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(extent) = self.batch.next() {
                return Some(Ok(extent));
            }
            if self.done {
                return None;
            }
            if let Err(cause) = self.fetch() {
                self.done = true;
                return Some(Err(cause));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn the_request_is_laid_out_as_the_kernel_expects() {
        assert_eq!(size_of::<Header>(), 32);
        assert_eq!(size_of::<RawExtent>(), 56);
        assert_eq!(size_of::<Request>(), 32 + BATCH * 56);
        assert_eq!(FS_IOC_FIEMAP, 0xC020_660B);
    }

    #[test]
    fn extents_cover_what_was_written_and_leave_out_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 << 20).unwrap();
        // More extents than one batch.
        for spot in 0..100_u64 {
            file.write_all_at(&[7; 4096], spot * 16384).unwrap();
        }
        let extents: Vec<_> = match Extents::of(&file).collect::<io::Result<_>>() {
            Ok(extents) => extents,
            Err(cause) => {
                eprintln!("not tested: no FIEMAP on the file system of temporary files: {cause}");
                return;
            }
        };
        assert_eq!(extents.len(), 100);
        assert_eq!(count_extents(&file).unwrap(), 100);
        for (spot, extent) in extents.iter().enumerate() {
            assert_eq!(
                extent.range,
                spot as u64 * 16384..spot as u64 * 16384 + 4096
            );
            assert!(matches!(extent.content, Content::At(_)));
        }
    }
}
