//! One backup, as its caller sees it.

use super::session::Session;
use super::source::{BytesSource, FileSource};
use super::{finish, store};
use crate::cancel::CancelFlag;
use crate::error::{Part, VaultError};
use crate::format::{BlobKind, DEFAULT_LEVEL, SnapshotFile, Time, Tree};
use crate::ids::{BlobId, SnapshotId};
use crate::read::TreeReader;
use crate::repository::{BackupProgress, Repository};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Settings of one backup.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// zstd level of new blobs.
    pub zstd_level: i32,
    /// Raised to end the backup: every call then returns [`VaultError::Cancelled`] within a second.
    pub cancel: CancelFlag,
    /// Figures to be shown while it runs.
    pub progress: Arc<BackupProgress>,
}

impl Default for BackupOptions {
    fn default() -> Self {
        Self {
            zstd_level: DEFAULT_LEVEL,
            cancel: CancelFlag::new(),
            progress: Arc::default(),
        }
    }
}

/// What a file consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileContent {
    /// Its blobs in order.
    pub content: Vec<BlobId>,
    /// Its length.
    pub size_bytes: u64,
    /// Bytes that its new blobs take in the repository; 0 if everything was there.
    pub stored_bytes: u64,
    /// Bytes of its length that are stored as holes.
    pub hole_bytes: u64,
}

impl FileContent {
    /// Appends what follows in the file.
    pub(super) fn append(&mut self, next: Self) {
        if self.content.is_empty() {
            self.content = next.content;
        } else {
            self.content.extend_from_slice(&next.content);
        }
        self.size_bytes += next.size_bytes;
        self.stored_bytes += next.stored_bytes;
        self.hole_bytes += next.hole_bytes;
    }
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it began.
    pub started: Time,
    /// When its snapshot was complete.
    pub ended: Time,
    /// New data blobs.
    pub data_blobs: u64,
    /// New tree blobs.
    pub tree_blobs: u64,
    /// Plain bytes of new blobs, restic's `data_added`.
    pub data_added: u64,
    /// The same as stored, restic's `data_added_packed`.
    pub data_added_packed: u64,
    /// Plain bytes of all file content that was delivered or taken over.
    pub total_bytes_processed: u64,
}

/// One running backup. It holds a non-exclusive lock until it ends.
///
/// All methods may be called from several threads at once. After an error nothing more is stored: the backup is to be dropped.
/// Dropping one that was not finished is [`abort`](Self::abort).
#[derive(Debug)]
pub struct Backup {
    session: Arc<Session>,
    started: Time,
    is_finished: bool,
}

impl Repository {
    /// Begins a backup: takes a non-exclusive lock and notices what other writers have added meanwhile.
    pub fn backup(&self, options: BackupOptions) -> Result<Backup, VaultError> {
        let started = Time::now();
        Ok(Backup {
            session: Arc::new(Session::begin(self, options)?),
            started,
            is_finished: false,
        })
    }
}

impl Backup {
    /// The repository that is written into.
    pub fn repository(&self) -> &Repository {
        &self.session.repository
    }

    /// Reads all files, many segments at a time, and gives their contents in the order of `files`.
    pub fn store_files(&self, files: &[&dyn FileSource]) -> Result<Vec<FileContent>, VaultError> {
        store::store_files(&self.session, files)
    }

    /// Stores bytes in memory as one file; for small ones.
    pub fn store_bytes(&self, bytes: &[u8]) -> Result<FileContent, VaultError> {
        let mut contents = self.store_files(&[&BytesSource(bytes)])?;
        Ok(contents.pop().unwrap_or_default())
    }

    /// Stores a directory; its id goes into the node of its parent or into the snapshot.
    pub fn save_tree(&self, tree: &Tree) -> Result<BlobId, VaultError> {
        store::store_tree(&self.session, &tree.to_json())
    }

    /// Takes over content by reference: every blob is looked up in the index. The plain length of all of it.
    ///
    /// # Errors
    /// [`VaultError::MissingBlob`] if a blob is not there: what it stood for has to be read again. The backup can go on.
    pub fn adopt(&self, content: &[BlobId]) -> Result<u64, VaultError> {
        self.session.check_failure()?;
        let total = match self.session.known_total(content)? {
            Ok(total) => total,
            Err(id) => {
                return Err(VaultError::MissingBlob {
                    part: Part::Data,
                    id,
                });
            }
        };
        self.session
            .bytes_processed
            .fetch_add(total, Ordering::Relaxed);
        let progress = &self.session.options.progress;
        progress.bytes_adopted.fetch_add(total, Ordering::Relaxed);
        Ok(total)
    }

    /// Takes over a directory with everything in it: reads its trees and looks up every blob. The plain length of its files.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt).
    pub fn adopt_tree(&self, root: &BlobId) -> Result<u64, VaultError> {
        let mut total = 0;
        let mut seen = HashSet::from([*root]);
        let mut waiting = vec![*root];
        let mut trees = TreeReader::new(&self.session.repository);
        while let Some(id) = waiting.pop() {
            self.require_tree(&id)?;
            for node in trees.read(&id)?.nodes() {
                if let Some(content) = &node.content {
                    total += self.adopt(content)?;
                }
                waiting.extend(node.subtree.filter(|subtree| seen.insert(*subtree)));
            }
        }
        Ok(total)
    }

    fn require_tree(&self, id: &BlobId) -> Result<(), VaultError> {
        match self.session.known_length(BlobKind::Tree, id)? {
            Some(_) => Ok(()),
            None => Err(VaultError::MissingBlob {
                part: Part::Tree,
                id: *id,
            }),
        }
    }

    /// Completes the backup with `snapshot`, whose tree must have been saved or taken over.
    ///
    /// Order: all packs durable, then the index, then the snapshot. A crash before the last leaves packs that nobody refers to. The
    /// figures of blobs and bytes in the snapshot's summary are filled in where it has one. When this returns `Ok`, every byte was
    /// acknowledged by the storage.
    pub fn finish(
        mut self,
        snapshot: SnapshotFile,
    ) -> Result<(SnapshotId, BackupSummary), VaultError> {
        if self
            .session
            .known_length(BlobKind::Tree, &snapshot.tree)?
            .is_none()
        {
            // A prune may have taken it out of the index since it was taken over.
            self.session.keep_relied()?;
            self.require_tree(&snapshot.tree)?;
        }
        let result = finish::finish(&self.session, snapshot, self.started);
        self.is_finished = result.is_ok();
        result
    }

    /// Ends the backup without a snapshot. Packs already uploaded are removed where nobody can rely on them yet; prune gets the
    /// rest.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        if !self.is_finished {
            self.session.abort();
        }
    }
}
