//! Regular files and block devices.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::DiskReader;
use crate::volume::{Extent, VolumeError};

/// The bytes of a file or device as they are.
pub(in crate::volume) struct FileSource {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    /// Block devices have no SEEK_DATA; the reader finds their zeroes by looking.
    has_holes: bool,
}

impl FileSource {
    /// A regular file of which the first `size_bytes` are the disk.
    pub(in crate::volume) fn regular(file: File, path: PathBuf, size_bytes: u64) -> Self {
        Self {
            file,
            path,
            size_bytes,
            has_holes: true,
        }
    }

    /// A block device.
    pub(in crate::volume) fn device(file: File, path: PathBuf, size_bytes: u64) -> Self {
        Self {
            file,
            path,
            size_bytes,
            has_holes: false,
        }
    }

    fn seek(&self, from: SeekFrom) -> Result<Option<u64>, VolumeError> {
        match seek(&self.file, from) {
            Ok(offset) => Ok(Some(offset)),
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => Ok(None),
            Err(cause) => Err(VolumeError::io("look for holes in", &self.path)(cause)),
        }
    }
}

impl DiskReader for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn extents(&self, range: Range<u64>) -> Result<Vec<Extent>, VolumeError> {
        let end = range.end.min(self.size_bytes);
        let mut extents = Vec::new();
        let mut push = |range: Range<u64>, zero| {
            if !range.is_empty() {
                extents.push(Extent { range, zero });
            }
        };
        if !self.has_holes {
            push(range.start..end, false);
            return Ok(extents);
        }
        let mut at = range.start;
        while at < end {
            let data = self.seek(SeekFrom::Data(at))?.unwrap_or(end).min(end);
            push(at..data, true);
            let hole = if data < end {
                self.seek(SeekFrom::Hole(data))?.unwrap_or(end).min(end)
            } else {
                end
            };
            push(data..hole, false);
            // A hole that appears between the two questions must not keep the loop in place.
            at = hole.max(at + 1);
        }
        Ok(extents)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        let length = buffer.len();
        let failed = |cause: io::Error| {
            VolumeError::io(format!("read {length} bytes at {offset} of"), &self.path)(cause)
        };
        let too_short = |text: &str| failed(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        if offset.saturating_add(length as u64) > self.size_bytes {
            return Err(too_short("the disk ends before that"));
        }
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Err(too_short("the disk became smaller while it was read"))
            }
            Err(cause) => Err(failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_cover_any_range_and_name_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        file.write_all_at(&[1; 65536], 262_144).unwrap();
        let source = FileSource::regular(file, "/d".into(), 1 << 20);
        let extent = |range, zero| Extent { range, zero };
        assert_eq!(
            source.extents(0..u64::MAX).unwrap(),
            [
                extent(0..262_144, true),
                extent(262_144..327_680, false),
                extent(327_680..1 << 20, true),
            ]
        );
        assert_eq!(
            source.extents(300_000..327_681).unwrap(),
            [
                extent(300_000..327_680, false),
                extent(327_680..327_681, true)
            ]
        );
        assert_eq!(source.extents(1 << 20..1 << 21).unwrap(), []);
    }

    #[test]
    fn a_disk_that_became_smaller_does_not_read_as_zeroes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let source = FileSource::regular(file.try_clone().unwrap(), "/d".into(), 8192);
        let mut buffer = [1; 4096];
        source.read_at(4096, &mut buffer).unwrap();
        assert_eq!(buffer, [0; 4096]);
        file.set_len(6000).unwrap();
        let text = source.read_at(4096, &mut buffer).unwrap_err().to_string();
        assert!(text.contains("became smaller"), "{text}");
        let text = source.read_at(8000, &mut buffer).unwrap_err().to_string();
        assert!(text.contains("ends before"), "{text}");
    }
}
