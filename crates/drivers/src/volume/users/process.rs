//! Processes that have a disk open for writing, or mapped so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, makedev, statx};

use super::Target;
use crate::volume::{DiskUser, DiskUserKind};

/// The access mode in the flags of an open file; 0 is reading only.
const ACCESS_MODE: u32 = 3;
/// Maps of one process that are looked at: 100,000 lines.
const MOST_MAPS: usize = 100_000;

/// Processes other than this one that may write to `target`. Processes that this one may not look at (those of other users,
/// unless it is root) and those that end meanwhile are left out.
pub(super) fn writers(target: Target) -> Vec<DiskUser> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut users = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
            .filter(|pid| *pid != own)
        else {
            continue;
        };
        let folder = entry.path();
        if has_open(&folder, target) || has_mapped(&folder, target) {
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            users.push(DiskUser {
                kind: DiskUserKind::Process,
                name: name.trim_end().to_owned(),
                pid: Some(pid),
            });
        }
    }
    users
}

fn has_open(process: &Path, target: Target) -> bool {
    let Ok(entries) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        is_target(&entry.path(), target)
            && opened_for_writing(&process.join("fdinfo").join(entry.file_name()))
    })
}

/// Whether the link of an open file leads to the target. Answered from what the system knows already: a process with a file on a
/// network file system that hangs must not make this hang too.
fn is_target(link: &Path, target: Target) -> bool {
    statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS)
        .is_ok_and(|found| target.is(&found))
}

impl Target {
    fn is(self, found: &Statx) -> bool {
        let kind = FileType::from_raw_mode(found.stx_mode.into());
        match self {
            Self::File { device, inode } => {
                (device, inode)
                    == (
                        makedev(found.stx_dev_major, found.stx_dev_minor),
                        found.stx_ino,
                    )
            }
            Self::Device(number) => {
                kind == FileType::BlockDevice
                    && number == makedev(found.stx_rdev_major, found.stx_rdev_minor)
            }
        }
    }
}

fn opened_for_writing(fdinfo: &Path) -> bool {
    // Without the information the worse is assumed.
    let Ok(text) = fs::read_to_string(fdinfo) else {
        return true;
    };
    text.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_none_or(|flags| flags & ACCESS_MODE != 0)
}

/// Whether a process has the file mapped shared and writable, which outlives its closing.
fn has_mapped(process: &Path, target: Target) -> bool {
    let Target::File { inode, .. } = target else {
        return false;
    };
    let Ok(maps) = fs::File::open(process.join("maps")) else {
        return false;
    };
    BufReader::new(maps)
        .lines()
        .take(MOST_MAPS)
        .map_while(Result::ok)
        .any(|line| maps_writable(&line, inode) && mapped_file_is(process, &line, target))
}

/// A line of `/proc/<pid>/maps`: `from-to rw-s offset dev inode path`. Its device differs from the file's on btrfs, so that only
/// the inode is looked at here.
fn maps_writable(line: &str, inode: u64) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let access = fields.next().unwrap_or_default();
    access.contains('w')
        && access.ends_with('s')
        && fields.nth(2).and_then(|field| field.parse().ok()) == Some(inode)
}

fn mapped_file_is(process: &Path, line: &str, target: Target) -> bool {
    let range = line.split_ascii_whitespace().next().unwrap_or_default();
    let link = process.join("map_files").join(range);
    // Only root may follow the link; without it the same inode number is taken for the same file.
    match statx(
        CWD,
        &link,
        AtFlags::STATX_DONT_SYNC,
        StatxFlags::BASIC_STATS,
    ) {
        Ok(found) => target.is(&found),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_writable_maps_of_the_inode_count() {
        let line = |access: &str| format!("7f00-7f01 {access} 00000000 fd:00 4711  /d.raw");
        assert!(maps_writable(&line("rw-s"), 4711));
        assert!(!maps_writable(&line("rw-p"), 4711));
        assert!(!maps_writable(&line("r--s"), 4711));
        assert!(!maps_writable(&line("rw-s"), 4712));
        assert!(!maps_writable("", 4711));
    }
}
