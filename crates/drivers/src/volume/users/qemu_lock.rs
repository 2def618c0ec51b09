//! The locks by which QEMU programs keep out of each other's images.
//!
//! QEMU (`block/file-posix.c`) takes shared locks on single bytes of an image: byte 100 + n for a permission n that it uses, byte
//! 200 + n for a permission that it does not let others use; n = 0 reads consistently, 1 writes, 3 resizes. Whoever wants a
//! permission looks whether the other byte is locked. The same protocol without QEMU: ask and lock with `fcntl`.

use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::volume::{DiskUser, DiskUserKind};

const USED: i64 = 100;
const NOT_SHARED: i64 = 200;
const READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// The QEMU program that has the image open for writing, if there is one. Does not see locks that are taken through `file` itself.
pub(super) fn writer(file: &File) -> io::Result<Option<DiskUser>> {
    for byte in [USED + WRITE, USED + RESIZE] {
        let mut lock = byte_lock(libc::F_WRLCK, byte);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
        if i32::from(lock.l_type) != libc::F_UNLCK {
            return Ok(Some(DiskUser {
                kind: DiskUserKind::QemuLock,
                name: "image locked for writing".to_owned(),
                pid: u32::try_from(lock.l_pid).ok().filter(|pid| *pid > 0),
            }));
        }
    }
    Ok(None)
}

/// Makes QEMU programs refuse to open the image for writing until `file` is closed. Readers are not kept out.
pub(in crate::volume) fn keep_writers_out(file: &File) -> io::Result<()> {
    set(file, libc::F_RDLCK)
}

/// Takes back [`keep_writers_out`].
pub(in crate::volume) fn let_writers_in(file: &File) -> io::Result<()> {
    set(file, libc::F_UNLCK)
}

fn set(file: &File, kind: i32) -> io::Result<()> {
    for byte in [USED + READ, NOT_SHARED + WRITE, NOT_SHARED + RESIZE] {
        fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(kind, byte)))?;
    }
    Ok(())
}

fn byte_lock(kind: i32, byte: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        // Must be 0 for locks of open file descriptions.
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locks as a running QEMU does that writes and shares nothing but reading.
    fn lock_as_qemu(file: &File) {
        for byte in [USED + READ, USED + WRITE, NOT_SHARED + WRITE] {
            fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_RDLCK, byte))).unwrap();
        }
    }

    #[test]
    fn a_writer_is_seen_and_a_reader_is_not() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let own = File::open(image.path()).unwrap();
        assert_eq!(writer(&own).unwrap(), None);

        let reader = File::open(image.path()).unwrap();
        keep_writers_out(&reader).unwrap();
        assert_eq!(writer(&own).unwrap(), None);
        drop(reader);

        let qemu = File::open(image.path()).unwrap();
        lock_as_qemu(&qemu);
        let user = writer(&own).unwrap().unwrap();
        assert_eq!(user.kind, DiskUserKind::QemuLock);
        drop(qemu);
        assert_eq!(writer(&own).unwrap(), None);
    }

    #[test]
    fn keeping_writers_out_shows_in_the_byte_that_qemu_looks_at() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let own = File::open(image.path()).unwrap();
        keep_writers_out(&own).unwrap();
        let qemu = File::open(image.path()).unwrap();
        let mut seen = byte_lock(libc::F_WRLCK, NOT_SHARED + WRITE);
        fcntl(&qemu, FcntlArg::F_OFD_GETLK(&mut seen)).unwrap();
        assert_eq!(i32::from(seen.l_type), libc::F_RDLCK);
        let_writers_in(&own).unwrap();
        let mut seen = byte_lock(libc::F_WRLCK, NOT_SHARED + WRITE);
        fcntl(&qemu, FcntlArg::F_OFD_GETLK(&mut seen)).unwrap();
        assert_eq!(i32::from(seen.l_type), libc::F_UNLCK);
    }
}
