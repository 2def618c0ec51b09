//! What the kernel itself has built on a file or device: loop devices, mounts, swap, and devices on devices.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, makedev, minor};

use super::Target;
use crate::volume::{DiskUser, DiskUserKind};

/// Loop devices that may write to the file.
pub(super) fn loops_on(target: Target) -> Vec<DiskUser> {
    let Ok(devices) = fs::read_dir("/sys/block") else {
        return Vec::new();
    };
    devices
        .flatten()
        .filter(|device| {
            let folder = device.path();
            !is_read_only(&folder)
                && backing_file(&folder).is_some_and(|file| {
                    fs::metadata(file).is_ok_and(|found| {
                        target
                            == Target::File {
                                device: found.dev(),
                                inode: found.ino(),
                            }
                    })
                })
        })
        .map(|device| DiskUser {
            kind: DiskUserKind::Loop,
            name: format!("/dev/{}", device.file_name().to_string_lossy()),
            pid: None,
        })
        .collect()
}

fn backing_file(device: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(device.join("loop/backing_file")).ok()?;
    Some(PathBuf::from(text.trim_end_matches('\n')))
}

fn is_read_only(device: &Path) -> bool {
    fs::read_to_string(device.join("ro")).is_ok_and(|text| text.trim() == "1")
}

/// Mounts, swap and devices on the device or on one of its partitions.
pub(super) fn users_of_device(device: u64) -> Vec<DiskUser> {
    let folder = sysfs_folder(device);
    let mut numbers = BTreeSet::from([device]);
    let mut users = holders(&folder);
    for partition in partitions(&folder) {
        users.extend(holders(&partition));
        numbers.extend(number_of(&partition));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    users.extend(mounts.lines().filter_map(|line| {
        let mount = Mount::parse(line)?;
        let is_on = numbers.contains(&mount.device)
            // btrfs mounts have a number of their own, so that the source is looked at too.
            || rdev(Path::new(mount.source)).is_some_and(|source| numbers.contains(&source));
        is_on.then(|| user(DiskUserKind::Mount, unescape(mount.point)))
    }));
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    users.extend(swaps.lines().skip(1).filter_map(|line| {
        let path = line.split_ascii_whitespace().next()?;
        rdev(Path::new(path))
            .filter(|swap| numbers.contains(swap))
            .map(|_| user(DiskUserKind::Mount, format!("swap on {path}")))
    }));
    users
}

fn user(kind: DiskUserKind, name: String) -> DiskUser {
    DiskUser {
        kind,
        name,
        pid: None,
    }
}

/// The folder of a block device: `/sys/dev/block/<major>:<minor>`.
pub(in crate::volume) fn sysfs_folder(device: u64) -> PathBuf {
    PathBuf::from(format!(
        "/sys/dev/block/{}:{}",
        major(device),
        minor(device)
    ))
}

fn holders(folder: &Path) -> Vec<DiskUser> {
    let Ok(entries) = fs::read_dir(folder.join("holders")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| {
            user(
                DiskUserKind::Holder,
                format!("/dev/{}", entry.file_name().to_string_lossy()),
            )
        })
        .collect()
}

fn partitions(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("partition").exists())
        .collect()
}

fn number_of(folder: &Path) -> Option<u64> {
    parse_number(fs::read_to_string(folder.join("dev")).ok()?.trim())
}

fn parse_number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn rdev(path: &Path) -> Option<u64> {
    if !path.starts_with("/dev") {
        return None;
    }
    fs::metadata(path).ok().map(|found| found.rdev())
}

/// A line of `/proc/self/mountinfo` (proc(5)): `id parent major:minor root point options … - type source super-options`.
struct Mount<'a> {
    device: u64,
    point: &'a str,
    source: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(2);
        let device = parse_number(fields.next()?)?;
        let point = fields.nth(1)?;
        let source = right.split(' ').nth(1)?;
        Some(Self {
            device,
            point,
            source,
        })
    }
}

/// Undoes the octal escapes (`\040` for a space) of mount points.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let escaped = (first == b'\\')
            .then(|| rest.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) => {
                plain.push(byte);
                bytes = &rest[3..];
            }
            None => {
                plain.push(first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_recognised_by_device_and_source() {
        let line =
            r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.device, makedev(98, 0));
        assert_eq!(unescape(mount.point), "/mnt 2");
        assert_eq!(mount.source, "/dev/root");
        assert!(Mount::parse("").is_none());
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescape(r"a\b\04"), r"a\b\04");
    }
}
