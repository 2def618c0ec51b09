//! What a new file takes over from the one that it replaces, besides its content.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    Gid, IFlags, Mode, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fsetxattr,
    ioctl_getflags, ioctl_setflags,
};
use rustix::io::Errno;

use super::super::super::VolumeError;

/// All names of extended attributes of a file, and each of their values: the limit of Linux.
const MAX_XATTR_BYTES: usize = 64 << 10;

/// The bits of a mode that `chmod` sets.
const PERMISSION_BITS: u32 = 0o7777;

/// Marks the new, empty file as one that is not copied on write when the old one is: on btrfs this must come before any data, and
/// a clone is only possible between files that agree in it.
pub(super) fn keep_in_place_writing(old: &File, new: &File) {
    let Ok(flags) = ioctl_getflags(old) else {
        return;
    };
    if flags.contains(IFlags::NOCOW)
        && let Ok(own) = ioctl_getflags(new)
        && let Err(error) = ioctl_setflags(new, own | IFlags::NOCOW)
    {
        tracing::warn!(%error, "the new file of a disk cannot be marked as not copied on write");
    }
}

/// Gives `new` the owner, the mode and the extended attributes (with them ACLs and the SELinux label) of `old`. Without them the
/// host could not open its disk any more, so a failure is one of the rollback.
pub(super) fn take_over(old: &File, new: &File, path: &Path) -> Result<(), VolumeError> {
    let has = old.metadata().map_err(VolumeError::io("look at", path))?;
    let gets = new.metadata().map_err(VolumeError::io("look at", path))?;
    if (has.uid(), has.gid()) != (gets.uid(), gets.gid()) {
        let (owner, group) = (Uid::from_raw(has.uid()), Gid::from_raw(has.gid()));
        fchown(new, Some(owner), Some(group)).map_err(not_kept("owner", path))?;
    }
    for name in names(old, path)? {
        let Some(value) = value(old, &name, path)? else {
            continue;
        };
        // Labels are often right already, and only privileged processes may set them.
        if matches!(self::value(new, &name, path), Ok(Some(present)) if present == value) {
            continue;
        }
        fsetxattr(new, name.as_slice(), &value, XattrFlags::empty()).map_err(not_kept(
            &format!("attribute {}", String::from_utf8_lossy(&name)),
            path,
        ))?;
    }
    // Last: a change of owner clears bits of the mode.
    fchmod(new, Mode::from_raw_mode(has.mode() & PERMISSION_BITS)).map_err(not_kept("mode", path))
}

fn names(file: &File, path: &Path) -> Result<Vec<Vec<u8>>, VolumeError> {
    let mut list = vec![0; MAX_XATTR_BYTES];
    let bytes = match flistxattr(file, list.as_mut_slice()) {
        Ok(bytes) => bytes,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(VolumeError::io("list the attributes of", path)(error)),
    };
    Ok(list[..bytes]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

fn value(file: &File, name: &[u8], path: &Path) -> Result<Option<Vec<u8>>, VolumeError> {
    let mut value = vec![0; MAX_XATTR_BYTES];
    match fgetxattr(file, name, value.as_mut_slice()) {
        Ok(bytes) => {
            value.truncate(bytes);
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(VolumeError::io("read an attribute of", path)(error)),
    }
}

fn not_kept(what: &str, path: &Path) -> impl FnOnce(Errno) -> VolumeError {
    let what = format!(
        "giving the new file of [{}] the {what} of the old one",
        path.display()
    );
    move |error| VolumeError::Unsupported {
        what: format!("{what} ({error})"),
        hint: "run snapkeep as root or as the owner of the disk, or roll back in place".into(),
    }
}
