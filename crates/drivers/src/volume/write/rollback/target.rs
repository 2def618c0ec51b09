//! What a rollback reads and writes.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, SeekFrom, fadvise, fallocate, seek};
use rustix::io::Errno;

use super::super::super::{RangeSet, VolumeError};
use super::super::staged::failed;

/// Zeros are written in pieces of this size where nothing better works.
const ZERO_BYTES: usize = 1 << 20;

/// A disk as a rollback needs it. All methods may be called from several threads at once, for ranges that do not overlap.
pub(super) trait Target: Sync {
    /// Size in bytes.
    fn size_bytes(&self) -> u64;

    /// What of `range` is known to read as zeros without reading it, also what lies behind the end. May know of nothing.
    fn zeros(&self, range: Range<u64>) -> RangeSet;

    /// Whether [`Target::zero`] frees room, so that it is worth calling for whatever is not a hole. If not, a range is read first
    /// and zeroed only when something is in it.
    fn has_holes(&self) -> bool;

    /// Fills `buffer`; what lies behind the end reads as zeros.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError>;

    /// Writes all of `data`.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), VolumeError>;

    /// Makes `range` zeros, as a hole where the target can.
    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError>;

    /// Makes everything written so far durable.
    fn sync(&self) -> Result<(), VolumeError>;

    /// Makes the next reads come from the disk and not from memory, as far as that is possible. After [`Target::sync`].
    fn forget_cached(&self);
}

/// A regular file or a block device.
pub(super) struct FileTarget<'a> {
    file: &'a File,
    path: PathBuf,
    size_bytes: u64,
    is_regular: bool,
}

impl<'a> FileTarget<'a> {
    /// A regular file, whose size must not change any more.
    pub(super) fn regular(file: &'a File, path: &Path, size_bytes: u64) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            size_bytes,
            is_regular: true,
        }
    }

    /// A block device of that size.
    pub(super) fn device(file: &'a File, path: &Path, size_bytes: u64) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            size_bytes,
            is_regular: false,
        }
    }
}

impl Target for FileTarget<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn zeros(&self, range: Range<u64>) -> RangeSet {
        let mut zeros = RangeSet::new();
        let end = range.end.min(self.size_bytes);
        zeros.insert(range.start.max(end)..range.end);
        let mut position = range.start;
        while position < end {
            // Block devices answer EINVAL, and file systems without holes name the position itself.
            let data = match seek(self.file, SeekFrom::Data(position)) {
                Ok(data) => data.clamp(position, end),
                Err(Errno::NXIO) if self.is_regular => end,
                Err(_) => return zeros,
            };
            zeros.insert(position..data);
            position = match seek(self.file, SeekFrom::Hole(data)) {
                Ok(hole) if data < end => hole.clamp(data + 1, end),
                _ => return zeros,
            };
        }
        zeros
    }

    fn has_holes(&self) -> bool {
        self.is_regular
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = offset + filled as u64;
            match self.file.read_at(&mut buffer[filled..], position) {
                Ok(0) => {
                    buffer[filled..].fill(0);
                    return Ok(());
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(VolumeError::Io {
                        operation: format!("read at {position}"),
                        path: self.path.clone(),
                        cause: error,
                    });
                }
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.file
            .write_all_at(data, offset)
            .map_err(failed(format!("write at {offset} of"), &self.path))
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let bytes = range.end - range.start;
        // On a device this discards where the device promises zeros afterwards, and else has it write zeros.
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let ways = [punch, FallocateFlags::ZERO_RANGE];
        for way in ways {
            match fallocate(self.file, way, range.start, bytes) {
                Ok(()) => return Ok(()),
                // Not this way: the file system or the device cannot, or the range does not fit its sectors.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NODEV | Errno::NOSYS | Errno::IO) => {}
                Err(error) => {
                    return Err(failed(
                        format!("make a hole at {} of", range.start),
                        &self.path,
                    )(error));
                }
            }
        }
        write_zeros(self, range)
    }

    fn sync(&self) -> Result<(), VolumeError> {
        self.file
            .sync_all()
            .map_err(failed("make durable", &self.path))
    }

    fn forget_cached(&self) {
        // Advice only: a file system that does not take it verifies what it has in memory.
        let _ = fadvise(self.file, 0, None, Advice::DontNeed);
    }
}

/// Writes zeros into `range`, for targets that have nothing better.
pub(super) fn write_zeros(target: &dyn Target, range: Range<u64>) -> Result<(), VolumeError> {
    let zeros = vec![0; ZERO_BYTES.min((range.end - range.start) as usize)];
    let mut position = range.start;
    while position < range.end {
        let bytes = zeros.len().min((range.end - position) as usize);
        target.write_at(position, &zeros[..bytes])?;
        position += bytes as u64;
    }
    Ok(())
}
