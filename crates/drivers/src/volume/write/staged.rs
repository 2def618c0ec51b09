//! Files and folders that appear under their name only when they are complete.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::fstatvfs;

use super::super::VolumeError;

/// Ending of the names of what is not complete yet.
const SUFFIX: &str = ".snapkeep-new";

/// Disks are nobody else's business; a swap gives the new file the mode of the old one.
const NEW_FILE_MODE: u32 = 0o600;

/// The hidden name beside `path` under which it is written.
fn temporary_name(path: &Path) -> Result<PathBuf, VolumeError> {
    let Some(name) = path.file_name() else {
        return Err(VolumeError::Unsupported {
            what: format!("writing to [{}], which names no file", path.display()),
            hint: "give the path of a file".into(),
        });
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(OsStr::new(SUFFIX));
    Ok(path.with_file_name(hidden))
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), VolumeError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(VolumeError::io("make durable", folder))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A new file beside the one that it will replace. Dropped before [`StagedFile::commit`] it is removed; after a crash the next
/// [`StagedFile::begin`] for the same path removes it.
pub(super) struct StagedFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl StagedFile {
    /// An empty file that will become `path`.
    pub(super) fn begin(path: &Path) -> Result<Self, VolumeError> {
        let temporary = temporary_name(path)?;
        remove(&temporary).map_err(VolumeError::io("remove the leftover", &temporary))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(NEW_FILE_MODE)
            .open(&temporary)
            .map_err(failed("create", &temporary))?;
        Ok(Self {
            file,
            temporary,
            path: path.to_path_buf(),
            committed: false,
        })
    }

    /// The file, to be written.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Its name until it is complete, for errors.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes the file durable, gives it its name, and makes that durable. A crash before the rename leaves the old file and a
    /// leftover; one after it leaves the new file, whose content was durable before.
    pub(super) fn commit(mut self) -> Result<(), VolumeError> {
        self.file
            .sync_all()
            .map_err(failed("make durable", &self.temporary))?;
        fs::rename(&self.temporary, &self.path).map_err(failed("replace", &self.path))?;
        self.committed = true;
        sync_folder(folder_of(&self.path))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = remove(&self.temporary)
        {
            tracing::warn!(path = %self.temporary.display(), %error, "cannot remove an unfinished file");
        }
    }
}

/// A new folder, as [`StagedFile`] is a new file. It never replaces one that is there.
pub(super) struct StagedFolder {
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl StagedFolder {
    /// An empty folder that will become `path`.
    pub(super) fn begin(path: &Path) -> Result<Self, VolumeError> {
        let temporary = temporary_name(path)?;
        remove(&temporary).map_err(VolumeError::io("remove the leftover", &temporary))?;
        fs::create_dir(&temporary).map_err(failed("create", &temporary))?;
        Ok(Self {
            temporary,
            path: path.to_path_buf(),
            committed: false,
        })
    }

    /// Where files are to be written.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes the names in it durable and gives it its name. The files in it must be durable already.
    pub(super) fn commit(mut self) -> Result<(), VolumeError> {
        sync_folder(&self.temporary)?;
        // An empty folder of that name would be replaced silently, one with files makes the rename fail: nothing is lost.
        fs::rename(&self.temporary, &self.path).map_err(failed("create", &self.path))?;
        self.committed = true;
        sync_folder(folder_of(&self.path))
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = remove(&self.temporary)
        {
            tracing::warn!(path = %self.temporary.display(), %error, "cannot remove an unfinished folder");
        }
    }
}

/// Refuses what would not fit before a file system is filled up on which others depend. `file` is on it.
pub(super) fn ensure_room(file: &File, path: &Path, bytes: u64) -> Result<(), VolumeError> {
    let found = fstatvfs(file).map_err(VolumeError::io("ask for the room at", path))?;
    // Some file systems do not tell and answer zeros.
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if found.f_blocks == 0 || bytes <= free {
        return Ok(());
    }
    Err(VolumeError::NoSpace {
        operation: "write".into(),
        path: path.to_path_buf(),
        cause: io::Error::new(
            io::ErrorKind::StorageFull,
            format!("up to {bytes} bytes are needed and {free} are free"),
        ),
    })
}

/// For `map_err`: a failed write, told as lack of room where it is that.
pub(super) fn failed<E: Into<io::Error>>(
    operation: impl Into<String>,
    path: impl AsRef<Path>,
) -> impl FnOnce(E) -> VolumeError {
    let operation = operation.into();
    let path = path.as_ref().to_path_buf();
    move |cause| {
        let cause = cause.into();
        match cause.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => VolumeError::NoSpace {
                operation,
                path,
                cause,
            },
            _ => VolumeError::Io {
                operation,
                path,
                cause,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        fs::write(&path, "old").unwrap();
        let staged = StagedFile::begin(&path).unwrap();
        io::Write::write_all(&mut staged.file(), b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        staged.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_given_up_or_left_by_a_crash_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        fs::write(folder.path().join(".disk.raw.snapkeep-new"), "leftover").unwrap();
        drop(StagedFile::begin(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let image = folder.path().join("img-0000001");
        let leftover = folder.path().join(".img-0000001.snapkeep-new");
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("disk-0.qcow2"), "half").unwrap();
        let staged = StagedFolder::begin(&image).unwrap();
        fs::write(staged.temporary().join("image.json"), "{}").unwrap();
        staged.commit().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&image).unwrap().count(), 1);
    }
}
