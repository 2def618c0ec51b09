//! A file or block device of this machine as a source.

use super::source::{Chunking, FileSource, SEGMENT_BYTES, SegmentSink, SourceError};
use rustix::fs::{OFlags, SeekFrom, seek};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that is read in segments of 16 MiB. Holes are asked from the file system and not read; zeros that were written
/// are found when they are read.
#[derive(Debug)]
pub struct LocalFile {
    path: PathBuf,
    /// Opened when first needed by small files (see [`LocalFile::lazy`]), so that many may wait without an open file each.
    file: Option<File>,
    size_bytes: u64,
    chunking: Chunking,
}

impl LocalFile {
    /// Opens a file or block device. Symbolic links are followed.
    pub fn open(path: &Path, chunking: Chunking) -> io::Result<Self> {
        let file = File::open(path)?;
        // A block device has no length in its metadata.
        let size_bytes = seek(&file, SeekFrom::End(0))?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            size_bytes,
            chunking,
        })
    }

    /// A regular file of this size that is opened only while one of its segments is read.
    pub fn lazy(path: PathBuf, size_bytes: u64) -> Self {
        Self {
            path,
            file: None,
            size_bytes,
            chunking: Chunking::Content,
        }
    }

    /// Its length when it was opened; so much is read.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, cause: io::Error) -> SourceError {
        SourceError::Io {
            what: self.path.display().to_string(),
            cause,
        }
    }

    fn read_range(
        &self,
        file: &File,
        start: u64,
        end: u64,
        sink: &mut dyn SegmentSink,
    ) -> Result<(), SourceError> {
        // Asking for holes is a system call or two that a small file does not repay.
        const SMALL_BYTES: u64 = 64 << 10;
        let is_small = self.size_bytes <= SMALL_BYTES;
        let mut position = start;
        while position < end {
            let data_start = if is_small {
                position
            } else {
                next_data(file, position, end)
            };
            if data_start > position {
                sink.hole(data_start - position)?;
                position = data_start;
                continue;
            }
            let data_end = if is_small {
                end
            } else {
                next_hole(file, position, end)
            };
            while position < data_end {
                let wanted = (data_end - position).min(SEGMENT_BYTES as u64) as usize;
                let room = sink.reserve(wanted)?;
                let read = match file.read_at(room, position) {
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(self.failed(error)),
                };
                if read == 0 {
                    let cause = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it became shorter while it was read",
                    );
                    return Err(self.failed(cause));
                }
                sink.advance(read);
                position += read as u64;
            }
        }
        Ok(())
    }
}

/// Where data begins at or behind `position`. File systems that know nothing about holes have none.
fn next_data(file: &File, position: u64, end: u64) -> u64 {
    match seek(file, SeekFrom::Data(position)) {
        Ok(data) => data.min(end),
        Err(rustix::io::Errno::NXIO) => end,
        Err(_) => position,
    }
}

/// Where the data at `position` ends.
fn next_hole(file: &File, position: u64, end: u64) -> u64 {
    seek(file, SeekFrom::Hole(position)).map_or(end, |hole| hole.clamp(position + 1, end))
}

impl FileSource for LocalFile {
    fn segments(&self) -> usize {
        self.size_bytes.div_ceil(SEGMENT_BYTES as u64) as usize
    }

    fn chunking(&self) -> Chunking {
        self.chunking
    }

    fn read_segment(&self, n: usize, sink: &mut dyn SegmentSink) -> Result<(), SourceError> {
        let start = n as u64 * SEGMENT_BYTES as u64;
        let end = self.size_bytes.min(start + SEGMENT_BYTES as u64);
        match &self.file {
            Some(file) => self.read_range(file, start, end, sink),
            None => {
                let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
                let opened = OpenOptions::new()
                    .read(true)
                    .custom_flags(flags)
                    .open(&self.path);
                let file = opened.map_err(|error| self.failed(error))?;
                self.read_range(&file, start, end, sink)
            }
        }
    }
}
