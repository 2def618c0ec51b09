//! Keeping QEMU out of a disk that is being rolled back.

use std::fs::File;
use std::path::Path;

use super::super::super::users::qemu_lock;

/// Makes QEMU refuse to start on the disk until `file` is closed: on a half-written disk it would do harm, and to a file that is
/// swapped under it it would write for nothing. Where the file system has no locks QEMU does not look for them either.
pub(super) fn keep_qemu_out(file: &File, path: &Path) {
    if let Err(error) = qemu_lock::keep_writers_out(file) {
        tracing::warn!(path = %path.display(), %error, "cannot lock a disk against QEMU while it is rolled back");
    }
}
