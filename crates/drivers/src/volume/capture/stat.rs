//! "Nothing changed": a file whose inode, size and times are what they were.
//!
//! Good only where the kernel itself keeps the times: not on network and FUSE file systems, nor where files of several layers show
//! through one name. `utimensat` can forge mtime but moves ctime, so that both are compared.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::fstatfs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kernels stamp files with the time of the last clock tick, at most 10 ms ago: a file that was written to since may look as it
/// did before, unless this much has passed between its last change and the look.
const SETTLED: Duration = Duration::from_millis(40);

/// `f_type` of file systems with times of nanoseconds that the kernel keeps: ext4, XFS, btrfs, F2FS, ZFS, bcachefs, tmpfs (statfs(2)).
const TRUSTED: [u64; 7] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0xF2F5_2010,
    0x2FC1_2FC1,
    0xCA45_1A4E,
    0x0102_1994,
];

/// What a file looked like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileStat {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl FileStat {
    /// As it looks now.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// As it looks now, when that can be told from any later look after a write: waits a moment when the file has just been
    /// written to. None: the file system or the clock does not allow it.
    pub(super) fn settled(file: &File) -> Option<Self> {
        let trusted = fstatfs(file).is_ok_and(|found| {
            TRUSTED.contains(&(u64::try_from(found.f_type).unwrap_or_default()))
        });
        if !trusted {
            return None;
        }
        for _ in 0..2 {
            let stat = Self::of(&file.metadata().ok()?);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            let age_ns = i128::try_from(now.as_nanos()).ok()? - stat.changed_ns;
            // Whole seconds: a file system that keeps no more (ext4 with small inodes) tells too little.
            let is_coarse = stat.changed_ns % 1_000_000_000 == 0;
            if age_ns < 0 || is_coarse {
                return None;
            }
            if age_ns >= SETTLED.as_nanos() as i128 {
                return Some(stat);
            }
            thread::sleep(SETTLED);
        }
        None
    }

    /// For a token.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Of a token; None when it is not one of these.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn every_write_shows_and_nothing_else_does() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let Some(before) = FileStat::settled(file.as_file()) else {
            eprintln!("not tested: the file system of temporary files does not keep exact times");
            return;
        };
        assert_eq!(
            FileStat::from_value(&before.to_value()),
            Some(before.clone())
        );
        let mut buffer = [0; 512];
        file.as_file().read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(FileStat::of(&file.as_file().metadata().unwrap()), before);
        // Straight after: the clock tick of the change must not be the one that was seen.
        file.as_file().write_all_at(&[0], 0).unwrap();
        assert_ne!(FileStat::of(&file.as_file().metadata().unwrap()), before);
    }

    #[test]
    fn a_forged_modification_time_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Some(before) = FileStat::settled(file.as_file()) else {
            eprintln!("not tested: the file system of temporary files does not keep exact times");
            return;
        };
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        file.as_file().write_all_at(b"x", 0).unwrap();
        file.as_file().set_len(0).unwrap();
        file.as_file().set_modified(modified).unwrap();
        assert_ne!(FileStat::settled(file.as_file()), Some(before));
    }
}
