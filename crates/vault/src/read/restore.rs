//! Restoring a directory with everything below it.

use super::restore_files::{FileTask, Window, set_attributes, set_owner};
use super::trees::TreeReader;
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::{Mode, Node, NodeKind, Time};
use crate::ids::BlobId;
use crate::repository::Repository;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Reading threads; see [`ReadOptions::workers`](super::ReadOptions::workers).
    pub workers: usize,
    /// Raised to stop. What was restored so far stays.
    pub cancel: CancelFlag,
    /// Bytes of files restored so far, holes included; readable from any thread.
    pub restored_bytes: Arc<AtomicU64>,
}

/// What was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreStats {
    /// Regular files.
    pub files: u64,
    /// Directories below the target.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
    /// Bytes of that that were left as holes.
    pub hole_bytes: u64,
    /// Paths that were left out, each with the reason: devices, pipes and sockets; at most 1000.
    pub skipped: Vec<String>,
}

/// Most entries of [`RestoreStats::skipped`].
const SKIPPED_MAX: usize = 1000;

impl Repository {
    /// Restores what is in the directory `root` into `target`, which is made if it does not exist. Files there are
    /// overwritten, other files are left alone. Permissions, times and extended attributes are restored, owners too when run as
    /// root; holes become holes again. Hard links become files of their own.
    ///
    /// Names come from the repository and are not trusted: none can lead out of `target`, neither by `..` nor through a symbolic link.
    /// Memory is bounded whatever the size (about 90 MiB), beside about 200 bytes a directory.
    pub fn restore_tree(
        &self,
        root: BlobId,
        target: &Path,
        options: &RestoreOptions,
    ) -> Result<RestoreStats, VaultError> {
        fs::create_dir_all(target).map_err(|error| local("making", target, error))?;
        let mut restorer = Restorer {
            repository: self,
            options,
            window: Window::default(),
            finished_dirs: Vec::new(),
            stats: RestoreStats::default(),
        };
        let mut trees = TreeReader::new(self);
        let mut waiting = vec![(root, target.to_owned())];
        while let Some((tree, directory)) = waiting.pop() {
            if options.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            for node in trees.read(&tree)?.into_nodes() {
                let path = directory.join(OsStr::from_bytes(&node.name));
                if let Some(subtree) = restorer.restore_node(node, path.clone())? {
                    waiting.push((subtree, path));
                }
            }
        }
        restorer.flush()?;
        // Deepest last in the list, first here: setting a time in a directory would change that of its parent no more.
        for (path, mode, time) in restorer.finished_dirs.iter().rev() {
            let result = fs::set_permissions(path, Permissions::from_mode(mode.unix_permissions()))
                .and_then(|()| File::open(path))
                .and_then(|directory| set_times(&directory, *time));
            result.map_err(|error| local("setting permissions and times of", path, error))?;
        }
        Ok(restorer.stats)
    }
}

struct Restorer<'a> {
    repository: &'a Repository,
    options: &'a RestoreOptions,
    window: Window,
    finished_dirs: Vec<(PathBuf, Mode, Time)>,
    stats: RestoreStats,
}

impl Restorer<'_> {
    /// Restores one node or puts it into the window; the subtree of a directory to go on with.
    fn restore_node(&mut self, node: Node, path: PathBuf) -> Result<Option<BlobId>, VaultError> {
        match node.kind {
            NodeKind::Dir => {
                make_dir(&path).map_err(|error| local("making", &path, error))?;
                set_owner(&path, &node)
                    .map_err(|error| local("setting the owner of", &path, error))?;
                set_attributes(&path, &node);
                self.stats.dirs += 1;
                self.finished_dirs.push((path, node.mode, node.mtime));
                return Ok(node.subtree);
            }
            NodeKind::File => {
                self.stats.files += 1;
                self.window.push(FileTask::new(node, path));
                if self.window.is_full() {
                    self.flush()?;
                }
            }
            NodeKind::Symlink => {
                make_symlink(&node.link_target, &path)
                    .map_err(|error| local("making", &path, error))?;
                set_owner(&path, &node)
                    .map_err(|error| local("setting the owner of", &path, error))?;
                self.stats.symlinks += 1;
            }
            NodeKind::Dev
            | NodeKind::CharDev
            | NodeKind::Fifo
            | NodeKind::Socket
            | NodeKind::Irregular => {
                if self.stats.skipped.len() < SKIPPED_MAX {
                    let reason = format!(
                        "{}: a {} is not restored",
                        path.display(),
                        node.kind.as_str()
                    );
                    self.stats.skipped.push(reason);
                }
            }
        }
        Ok(None)
    }

    fn flush(&mut self) -> Result<(), VaultError> {
        let window = std::mem::take(&mut self.window);
        let (bytes, holes) = window.restore(self.repository, self.options)?;
        self.stats.bytes += bytes;
        self.stats.hole_bytes += holes;
        Ok(())
    }
}

/// Makes a directory; one that is there is fine, anything else of that name, a link above all, is not.
fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() {
                Ok(())
            } else {
                Err(error)
            }
        }
        result => result,
    }
}

fn make_symlink(link_target: &[u8], path: &Path) -> io::Result<()> {
    let link_target = OsStr::from_bytes(link_target);
    match std::os::unix::fs::symlink(link_target, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            std::os::unix::fs::symlink(link_target, path)
        }
        result => result,
    }
}

/// Sets the time of the last change; one that the system cannot represent is left out.
pub(super) fn set_times(file: &File, mtime: Time) -> io::Result<()> {
    match mtime.to_system_time() {
        Some(time) => file.set_times(FileTimes::new().set_modified(time).set_accessed(time)),
        None => Ok(()),
    }
}

pub(super) fn local(operation: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Local {
        operation,
        path: path.to_owned(),
        source,
    }
}
