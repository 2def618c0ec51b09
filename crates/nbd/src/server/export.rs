//! What a server shows.

use std::io;
use std::ops::Range;

/// A range of bytes that are all zeroes, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZeroRange {
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// They are zeroes without storage behind them.
    pub is_zero: bool,
}

/// A disk.
///
/// Ranges given to its methods are never empty and lie inside of the disk. All methods may be called by many threads at once.
/// Errors reach the client as an error of its request: [`io::ErrorKind::StorageFull`] and [`io::ErrorKind::PermissionDenied`] as
/// such, all others as an input/output error; they are logged with their text.
pub trait Export: Send + Sync {
    /// Bytes; never changes.
    fn size_bytes(&self) -> u64;

    /// The methods that write are never called.
    fn is_read_only(&self) -> bool {
        true
    }

    /// Fills `buffer` from `offset` on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Which parts of a range are zeroes, without looking at data: consecutive ranges from its start on, at least one, none empty,
    /// not more than about `limit`; fewer than cover the range only when there would be too many.
    fn extents(&self, range: Range<u64>, limit: usize) -> io::Result<Vec<ZeroRange>>;

    /// Writes at `offset`; later reads of any connection see it.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _ = (offset, data);
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Makes a range zeroes; `may_be_hole` says that no storage needs to stay behind it.
    fn write_zeroes(&self, range: Range<u64>, may_be_hole: bool) -> io::Result<()> {
        let _ = (range, may_be_hole);
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// What is in a range is not needed any more.
    fn trim(&self, range: Range<u64>) -> io::Result<()> {
        let _ = range;
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Makes durable what was written before, by any connection.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends a range, joined with the one before if they are alike.
pub(crate) fn push_range(ranges: &mut Vec<ZeroRange>, range: Range<u64>, is_zero: bool) {
    match ranges.last_mut() {
        Some(last) if last.is_zero == is_zero => last.range.end = range.end,
        _ => ranges.push(ZeroRange { range, is_zero }),
    }
}
