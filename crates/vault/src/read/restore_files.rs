//! Writing files: a window of them at a time, in the order in which their blobs lie in packs.

use super::blobs::{ReadOptions, VisitError};
use super::plan::locate;
use super::restore::{RestoreOptions, local, set_times};
use crate::backup::zeros::{ZERO_BLOB_BYTES, ZERO_BLOCK_BYTES, is_zero, zero_blob_id};
use crate::error::VaultError;
use crate::format::{BlobKind, Node};
use crate::ids::BlobId;
use crate::repository::Repository;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blobs that are planned together. Their ids and places take about 6 MiB.
const WINDOW_BLOBS: usize = 64 << 10;
/// Files of one blob in a window; each is open only while it is written.
const WINDOW_FILES: usize = 4096;
/// Files of several blobs in a window; they stay open meanwhile.
const WINDOW_OPEN_FILES: usize = 128;

/// A file to be written.
#[derive(Debug)]
pub(super) struct FileTask {
    node: Node,
    path: PathBuf,
    file: OnceLock<File>,
    /// Blobs of the current window that are not written yet.
    missing: AtomicUsize,
}

impl FileTask {
    pub fn new(node: Node, path: PathBuf) -> Self {
        Self {
            node,
            path,
            file: OnceLock::new(),
            missing: AtomicUsize::new(0),
        }
    }

    fn content(&self) -> &[BlobId] {
        self.node.content.as_deref().unwrap_or_default()
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            // A link of that name in the target must not lead the content elsewhere.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)
    }

    fn open(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)?;
        Ok(self.file.get_or_init(|| file))
    }

    fn complete(&self, file: &File) -> io::Result<()> {
        set_owner(&self.path, &self.node)?;
        set_attributes(&self.path, &self.node);
        file.set_permissions(Permissions::from_mode(self.node.mode.unix_permissions()))?;
        set_times(file, self.node.mtime)
    }
}

/// Files that are restored together.
#[derive(Debug, Default)]
pub(super) struct Window {
    files: Vec<FileTask>,
    blobs: usize,
    open_files: usize,
}

/// Where a blob of the request goes.
struct Piece {
    file: usize,
    offset: u64,
}

impl Window {
    pub fn push(&mut self, task: FileTask) {
        self.blobs += task.content().len();
        self.open_files += usize::from(task.content().len() > 1);
        self.files.push(task);
    }

    pub fn is_full(&self) -> bool {
        self.blobs >= WINDOW_BLOBS
            || self.files.len() >= WINDOW_FILES
            || self.open_files >= WINDOW_OPEN_FILES
    }

    /// Writes all files; their bytes and those of them that are holes.
    pub fn restore(
        self,
        repository: &Repository,
        options: &RestoreOptions,
    ) -> Result<(u64, u64), VaultError> {
        let mut ids = Vec::with_capacity(self.blobs.min(WINDOW_BLOBS));
        let mut pieces = Vec::with_capacity(self.blobs.min(WINDOW_BLOBS));
        let mut is_current = false;
        let mut bytes = 0;
        let mut holes = 0;
        for (number, task) in self.files.iter().enumerate() {
            let failed = |error| local("writing", &task.path, error);
            // A file of one blob is made when that arrives, complete.
            let is_kept_open = task.content().len() != 1 || task.content()[0] == zero_blob_id();
            let mut offset = 0;
            let mut last: Option<(BlobId, u64)> = None;
            let file = if is_kept_open {
                Some(task.create().map_err(failed)?)
            } else {
                None
            };
            for id in task.content() {
                let length = match last {
                    Some((last_id, length)) if last_id == *id => length,
                    _ if *id == zero_blob_id() => ZERO_BLOB_BYTES as u64,
                    _ => u64::from(
                        locate(repository, BlobKind::Data, id, &mut is_current)?.plain_length(),
                    ),
                };
                last = Some((*id, length));
                if *id == zero_blob_id() {
                    holes += length;
                    options.restored_bytes.fetch_add(length, Ordering::Relaxed);
                } else {
                    ids.push(*id);
                    pieces.push(Piece {
                        file: number,
                        offset,
                    });
                    task.missing.fetch_add(1, Ordering::Relaxed);
                }
                offset += length;
                if ids.len() >= WINDOW_BLOBS {
                    // Only a file of more blobs than a window gets here; its length is set at the end.
                    self.write_pieces(repository, options, &ids, &pieces)?;
                    ids.clear();
                    pieces.clear();
                }
            }
            bytes += offset;
            if let Some(file) = file {
                // Nothing is written into holes, so that the length must be set; before the data where that is possible.
                file.set_len(offset).map_err(failed)?;
                if task.missing.load(Ordering::Relaxed) == 0 {
                    task.complete(&file).map_err(failed)?;
                }
            }
        }
        self.write_pieces(repository, options, &ids, &pieces)?;
        for task in &self.files {
            if task.content().len() > 1 {
                let failed = |error| local("writing", &task.path, error);
                let file = task.open().map_err(failed)?;
                task.complete(file).map_err(failed)?;
            }
        }
        Ok((bytes, holes))
    }

    fn write_pieces(
        &self,
        repository: &Repository,
        options: &RestoreOptions,
        ids: &[BlobId],
        pieces: &[Piece],
    ) -> Result<(), VaultError> {
        let read_options = ReadOptions {
            workers: options.workers,
            cancel: options.cancel.clone(),
            kind: BlobKind::Data,
        };
        repository.read_blobs(ids, &read_options, &|position, plain| {
            let piece = &pieces[position];
            let task = &self.files[piece.file];
            let failed = |error| VisitError::from(local("writing", &task.path, error));
            if task.content().len() == 1 {
                let file = task.create().map_err(failed)?;
                if plain.len() < ZERO_BLOCK_BYTES {
                    file.write_all_at(plain, 0).map_err(failed)?;
                } else {
                    file.set_len(plain.len() as u64).map_err(failed)?;
                    write_sparse(&file, plain, 0).map_err(failed)?;
                }
                task.complete(&file).map_err(failed)?;
            } else {
                let file = task.open().map_err(failed)?;
                write_sparse(file, plain, piece.offset).map_err(failed)?;
            }
            options
                .restored_bytes
                .fetch_add(plain.len() as u64, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(())
    }
}

/// Writes what is not zero; the file is new, so that the rest is zero already.
fn write_sparse(file: &File, plain: &[u8], offset: u64) -> io::Result<()> {
    let mut start = 0;
    let mut end = 0;
    for block in plain.chunks(ZERO_BLOCK_BYTES) {
        if is_zero(block) {
            if start < end {
                file.write_all_at(&plain[start..end], offset + start as u64)?;
            }
            start = end + block.len();
        }
        end += block.len();
    }
    if start < end {
        file.write_all_at(&plain[start..end], offset + start as u64)?;
    }
    Ok(())
}

/// Sets the extended attributes of a file or directory. Those that the target's file system or our rights do not allow (`security.…`
/// for instance) are left out, as restic does.
pub(super) fn set_attributes(path: &Path, node: &Node) {
    for attribute in &node.extended_attributes {
        let flags = rustix::fs::XattrFlags::empty();
        let name = attribute.name.as_str();
        if let Err(error) = rustix::fs::lsetxattr(path, name, &attribute.value, flags) {
            tracing::debug!(path = %path.display(), name, %error, "an extended attribute is not restored");
        }
    }
}

/// Gives a file to its owner, which only root can.
pub(super) fn set_owner(path: &Path, node: &Node) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, Some(node.uid), Some(node.gid))?;
    }
    Ok(())
}
