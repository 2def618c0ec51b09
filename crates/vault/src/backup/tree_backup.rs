//! Backing up a folder with everything below it.

use super::job::{Backup, FileContent};
use super::local_file::LocalFile;
use super::source::FileSource;
use super::tree_walk::{Event, PreviousFile, walk};
use crate::error::VaultError;
use crate::format::{Node, Tree};
use crate::ids::BlobId;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// Files that are stored together, at most this many and about so many bytes.
const BATCH_FILES: usize = 1024;
const BATCH_BYTES: u64 = 256 << 20;
/// Batches of events that the walk may be ahead.
const EVENTS_AHEAD: usize = 16;
/// Most problems that are kept in words.
const PROBLEMS_MAX: usize = 1000;

/// How to back up a folder.
#[derive(Debug, Clone, Default)]
pub struct TreeBackupOptions {
    /// Root of an earlier snapshot of the same folder. Files whose inode, size and times are those in it are taken over without
    /// being read.
    pub parent: Option<BlobId>,
}

/// What a backup of a folder found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeBackupResult {
    /// Files that the parent does not have.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files taken over.
    pub files_unmodified: u64,
    /// Directories that the parent does not have.
    pub dirs_new: u64,
    /// Directories with a change anywhere below.
    pub dirs_changed: u64,
    /// Directories that are the parent's.
    pub dirs_unmodified: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of paths that vanished or could not be listed.
    pub problem_count: u64,
    /// The first 1000 of them with the reason.
    pub problems: Vec<String>,
}

impl Backup {
    /// Stores the folder `root` and gives its tree for the snapshot; the root of the snapshot is the folder itself.
    ///
    /// Memory is bounded by the entries of the directories that are open at once, not by those of the folder. A file
    /// that cannot be read fails the backup; paths that vanish before they are looked at are counted as problems.
    pub fn store_folder(
        &self,
        root: &Path,
        options: &TreeBackupOptions,
    ) -> Result<(BlobId, TreeBackupResult), VaultError> {
        let (sender, receiver) = sync_channel(EVENTS_AHEAD);
        let parent = options.parent;
        let repository = self.repository().clone();
        std::thread::scope(|scope| {
            let started = std::thread::Builder::new()
                .name("vault-walk".to_owned())
                .spawn_scoped(scope, move || walk(&repository, root, parent, &sender));
            started.map_err(|error| {
                VaultError::Internal(format!("no thread can be started: {error}"))
            })?;
            let mut folder = Folder::new(self);
            // Dropped on an error, which ends the walk.
            for event in receiver.into_iter().flatten() {
                folder.take(event)?;
            }
            folder.flush()?;
            let missing_root =
                || VaultError::Internal("the walk over a folder has no end".to_owned());
            Ok((folder.root.ok_or_else(missing_root)?, folder.result))
        })
    }
}

/// A directory that is not complete.
struct OpenDir {
    node: Node,
    nodes: Vec<Node>,
    /// Files and directories in it that are not stored yet.
    missing: usize,
    is_walked: bool,
    parent: Option<u64>,
    previous: Option<BlobId>,
}

struct PendingFile {
    dir: u64,
    node: usize,
    path: PathBuf,
    size_bytes: u64,
}

struct Folder<'a> {
    backup: &'a Backup,
    dirs: HashMap<u64, OpenDir>,
    next_dir: u64,
    /// From the root to where the walk is.
    path: Vec<u64>,
    batch: Vec<PendingFile>,
    batch_bytes: u64,
    root: Option<BlobId>,
    result: TreeBackupResult,
}

impl<'a> Folder<'a> {
    fn new(backup: &'a Backup) -> Self {
        Self {
            backup,
            dirs: HashMap::new(),
            next_dir: 0,
            path: Vec::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            root: None,
            result: TreeBackupResult::default(),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), VaultError> {
        match event {
            Event::Enter { node, previous } => self.enter(node, previous),
            Event::Leave => {
                if let Some(number) = self.path.pop() {
                    self.complete(number, |dir| dir.is_walked = true)?;
                }
            }
            Event::File {
                node,
                path,
                previous,
            } => self.take_file(node, path, previous)?,
            Event::Other(node) => {
                if let Some(dir) = self.current() {
                    dir.nodes.push(node);
                }
            }
            Event::Skipped(problem) => {
                self.result.problem_count += 1;
                if self.result.problems.len() < PROBLEMS_MAX {
                    self.result.problems.push(problem);
                }
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn current(&mut self) -> Option<&mut OpenDir> {
        self.dirs.get_mut(self.path.last()?)
    }

    fn enter(&mut self, node: Node, previous: Option<BlobId>) {
        if let Some(dir) = self.current() {
            dir.missing += 1;
        }
        let number = self.next_dir;
        self.next_dir += 1;
        self.dirs.insert(
            number,
            OpenDir {
                node,
                nodes: Vec::new(),
                missing: 0,
                is_walked: false,
                parent: self.path.last().copied(),
                previous,
            },
        );
        self.path.push(number);
    }

    fn take_file(
        &mut self,
        mut node: Node,
        path: PathBuf,
        previous: PreviousFile,
    ) -> Result<(), VaultError> {
        let counter = match previous {
            PreviousFile::None => &mut self.result.files_new,
            PreviousFile::Changed => &mut self.result.files_changed,
            PreviousFile::Same(content) => match self.backup.adopt(&content) {
                Ok(bytes) => {
                    node.content = Some(content);
                    self.result.files_unmodified += 1;
                    self.result.bytes += bytes;
                    if let Some(dir) = self.current() {
                        dir.nodes.push(node);
                    }
                    return Ok(());
                }
                // The parent's content is not there any more: as if it had changed.
                Err(VaultError::MissingBlob { .. }) => &mut self.result.files_changed,
                Err(error) => return Err(error),
            },
        };
        *counter += 1;
        node.content = Some(Vec::new());
        let size_bytes = node.size;
        let Some(number) = self.path.last().copied() else {
            return Ok(());
        };
        let Some(dir) = self.dirs.get_mut(&number) else {
            return Ok(());
        };
        dir.nodes.push(node);
        if size_bytes == 0 {
            return Ok(());
        }
        dir.missing += 1;
        let node = dir.nodes.len() - 1;
        self.batch.push(PendingFile {
            dir: number,
            node,
            path,
            size_bytes,
        });
        self.batch_bytes += size_bytes;
        if self.batch.len() >= BATCH_FILES || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Stores the files collected so far, and the directories that are complete thereby.
    fn flush(&mut self) -> Result<(), VaultError> {
        self.batch_bytes = 0;
        let mut batch = std::mem::take(&mut self.batch);
        let sources: Vec<LocalFile> = batch
            .iter_mut()
            .map(|file| LocalFile::lazy(std::mem::take(&mut file.path), file.size_bytes))
            .collect();
        let files: Vec<&dyn FileSource> = sources
            .iter()
            .map(|source| source as &dyn FileSource)
            .collect();
        let contents = self.backup.store_files(&files)?;
        for (file, content) in batch.into_iter().zip(contents) {
            let FileContent {
                content,
                size_bytes,
                ..
            } = content;
            self.result.bytes += size_bytes;
            self.complete(file.dir, |dir| {
                dir.missing -= 1;
                dir.nodes[file.node].content = Some(content);
            })?;
        }
        Ok(())
    }

    /// Changes a directory and stores it if it is complete now; then perhaps its parent, and so on.
    fn complete(
        &mut self,
        number: u64,
        change: impl FnOnce(&mut OpenDir),
    ) -> Result<(), VaultError> {
        let Some(dir) = self.dirs.get_mut(&number) else {
            return Ok(());
        };
        change(dir);
        let mut number = number;
        while self
            .dirs
            .get(&number)
            .is_some_and(|dir| dir.is_walked && dir.missing == 0)
        {
            let Some(dir) = self.dirs.remove(&number) else {
                return Ok(());
            };
            let tree = Tree::new(dir.nodes).map_err(|error| {
                VaultError::Internal(format!("a directory cannot be stored: {error}"))
            })?;
            let id = self.backup.save_tree(&tree)?;
            let counter = match dir.previous {
                None => &mut self.result.dirs_new,
                Some(previous) if previous == id => &mut self.result.dirs_unmodified,
                Some(_) => &mut self.result.dirs_changed,
            };
            *counter += 1;
            let Some((parent_number, parent)) = dir
                .parent
                .and_then(|parent| Some((parent, self.dirs.get_mut(&parent)?)))
            else {
                self.root = Some(id);
                return Ok(());
            };
            let mut node = dir.node;
            node.subtree = Some(id);
            parent.nodes.push(node);
            parent.missing -= 1;
            number = parent_number;
        }
        Ok(())
    }
}
