//! What all parts of one running backup share.

use super::known::NewBlobs;
use super::packer::Packer;
use super::source::SinkClosed;
use super::store::Worker;
use super::upload::Uploads;
use super::{BackupOptions, packer::PACK_TARGET_BYTES};
use crate::blob_index::{BlobLocation, RunBuilder};
use crate::error::{Part, VaultError};
use crate::format::{BlobKind, Compressor, IndexFile, IndexPack, pack::FinishedPack};
use crate::ids::{BlobId, IndexId, PackId};
use crate::repository::{Repository, RepositoryLock, RunningWriter, retry_unless};
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Blobs after which an index file is written although the backup goes on, as restic does: what is stored so far is found again
/// should the backup be cut off, and memory stays bounded.
const INDEX_BLOBS: usize = 50_000;
/// Memory of one worker: segment buffer, the pack it fills, zstd's tables and a compressed blob.
const WORKER_BYTES: u64 = 42 << 20;
/// Packs whose presence is asked for one by one; beyond that one listing tells of all.
const PACKS_ASKED_FOR: usize = 64;
/// How often waits look at the cancel flag.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// One running backup.
pub(super) struct Session {
    pub repository: Repository,
    pub options: BackupOptions,
    pub new_blobs: NewBlobs,
    /// Packs in the index that this backup refers to, its own among them.
    relied: Mutex<HashSet<PackId>>,
    /// The packs in the storage, once there are too many to ask for one by one.
    listed: Mutex<Option<Arc<HashMap<PackId, u64>>>>,
    pub tree_packer: Mutex<Packer>,
    pub uploads: Uploads,
    /// Plain bytes that are new, and the same as stored.
    pub bytes_new: AtomicU64,
    pub bytes_stored: AtomicU64,
    pub data_blobs: AtomicU64,
    pub tree_blobs: AtomicU64,
    /// Plain bytes and number of all data blobs delivered or adopted.
    pub bytes_processed: AtomicU64,
    /// Packs the storage has acknowledged and no index file names yet.
    unindexed: Mutex<Vec<IndexPack>>,
    workers: Mutex<WorkerPool>,
    worker_returned: Condvar,
    failure: Mutex<Option<VaultError>>,
    is_stopped: AtomicBool,
    /// Set by `abort`: an upload that ends later removes its pack itself.
    is_aborted: AtomicBool,
    lock: Mutex<Option<RepositoryLock>>,
    _writer: RunningWriter,
}

struct WorkerPool {
    idle: Vec<Worker>,
    /// Workers that exist, idle or not.
    count: usize,
    limit: usize,
}

impl Session {
    pub fn begin(repository: &Repository, options: BackupOptions) -> Result<Self, VaultError> {
        // The generation comes before the lock and the index: see `Writers`.
        let writer = repository.writers().begin();
        repository.check_identity()?;
        let lock = repository.lock(false)?;
        repository.refresh()?;
        let settings = repository.options();
        let uploads = settings.uploads.max(1);
        let fixed = (uploads as u64 + 2) * PACK_TARGET_BYTES as u64;
        let affordable = settings.memory_limit_bytes.saturating_sub(fixed) / WORKER_BYTES;
        let limit = settings.worker_count().min(affordable as usize).max(1);
        Ok(Self {
            repository: repository.clone(),
            tree_packer: Mutex::new(Packer::new(BlobKind::Tree, options.zstd_level)?),
            options,
            new_blobs: NewBlobs::new(),
            relied: Mutex::default(),
            listed: Mutex::default(),
            uploads: Uploads::new(uploads),
            bytes_new: AtomicU64::new(0),
            bytes_stored: AtomicU64::new(0),
            data_blobs: AtomicU64::new(0),
            tree_blobs: AtomicU64::new(0),
            bytes_processed: AtomicU64::new(0),
            unindexed: Mutex::new(Vec::new()),
            workers: Mutex::new(WorkerPool {
                idle: Vec::new(),
                count: 0,
                limit,
            }),
            worker_returned: Condvar::new(),
            failure: Mutex::new(None),
            is_stopped: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
            _writer: writer,
        })
    }

    /// Ends the backup with this error; the first one counts.
    pub fn fail(&self, error: VaultError) {
        if !self.is_stopped.swap(true, Ordering::AcqRel) {
            *lock(&self.failure) = Some(error);
        }
    }

    /// Whether work may go on.
    pub fn check(&self) -> Result<(), SinkClosed> {
        if self.options.cancel.is_cancelled() {
            self.fail(VaultError::Cancelled);
        }
        if self.is_stopped.load(Ordering::Acquire) {
            return Err(SinkClosed);
        }
        Ok(())
    }

    /// Whether nothing more should be written.
    pub fn is_ending(&self) -> bool {
        self.options.cancel.is_cancelled() || self.is_aborted.load(Ordering::Acquire)
    }

    /// Why the backup has ended. Callers that come after the first learn only that it has.
    pub fn take_failure(&self) -> VaultError {
        lock(&self.failure).take().unwrap_or(VaultError::Cancelled)
    }

    /// [`check`](Self::check) for callers that report errors.
    pub fn check_failure(&self) -> Result<(), VaultError> {
        self.check().map_err(|SinkClosed| self.take_failure())
    }

    /// The plain length of a blob that a snapshot of this backup may refer to.
    pub fn known_length(&self, kind: BlobKind, id: &BlobId) -> Result<Option<u32>, VaultError> {
        if let Some(length) = self.new_blobs.length(kind, id) {
            return Ok(Some(length));
        }
        let found = self.locate(kind, id)?;
        Ok(found.map(|location| location.plain_length()))
    }

    /// The plain length of data blobs one after another, or the first of them that a snapshot of this backup may not refer to.
    pub fn known_total(&self, content: &[BlobId]) -> Result<Result<u64, BlobId>, VaultError> {
        let mut total = 0;
        let mut last: Option<(BlobId, u64)> = None;
        for id in content {
            // Holes repeat one id many thousand times.
            let length = match last {
                Some((last_id, length)) if last_id == *id => length,
                _ => match self.known_length(BlobKind::Data, id)? {
                    Some(length) => u64::from(length),
                    None => return Ok(Err(*id)),
                },
            };
            last = Some((*id, length));
            total += length;
        }
        Ok(Ok(total))
    }

    /// Where a blob lies that is in the repository already; its pack is kept from now on.
    fn locate(&self, kind: BlobKind, id: &BlobId) -> Result<Option<BlobLocation>, VaultError> {
        let found = self.repository.locate_durable(kind, id)?;
        if let Some(location) = &found {
            self.rely_on(location)?;
        }
        Ok(found)
    }

    /// Keeps the pack of a blob from now on, after a look whether it is there: an index may name packs that somebody lost.
    fn rely_on(&self, location: &BlobLocation) -> Result<(), VaultError> {
        let pack = location.pack;
        let known = lock(&self.relied).len();
        if lock(&self.relied).contains(&pack) {
            return Ok(());
        }
        let size = if known < PACKS_ASKED_FOR {
            self.stored_size(&pack)?
        } else {
            self.list_packs()?.get(&pack).copied()
        };
        let end = u64::from(location.offset) + u64::from(location.length);
        let problem = match size {
            Some(size) if size >= end => {
                lock(&self.relied).insert(pack);
                return Ok(());
            }
            Some(_) => "it is cut off, and a new snapshot needs it",
            None => "it is missing, and a new snapshot needs it",
        };
        Err(VaultError::damaged(Part::Pack, pack, problem))
    }

    /// The size of a pack in the storage, if it is there.
    fn stored_size(&self, pack: &PackId) -> Result<Option<u64>, VaultError> {
        let name = pack.to_string();
        retry_unless(&|| self.is_ending(), || {
            match self.repository.storage().size(FileKind::Data, &name) {
                Err(error) if error.is_not_found() => Ok(None),
                result => result.map(Some),
            }
        })
    }

    /// All packs in the storage as they were when this was first asked: packs that come later are not in the index yet.
    fn list_packs(&self) -> Result<Arc<HashMap<PackId, u64>>, VaultError> {
        let mut listed = lock(&self.listed);
        if let Some(listed) = listed.as_ref() {
            return Ok(Arc::clone(listed));
        }
        let entries = retry_unless(&|| self.is_ending(), || {
            self.repository.storage().list(FileKind::Data)
        })?;
        let packs: HashMap<PackId, u64> = entries
            .into_iter()
            .filter_map(|entry| Some((entry.name.parse().ok()?, entry.size_bytes)))
            .collect();
        Ok(Arc::clone(listed.insert(Arc::new(packs))))
    }

    /// Whether the caller must store this blob: it is not in the repository, and no other worker has taken it on.
    pub fn claim(&self, kind: BlobKind, id: &BlobId, plain: &[u8]) -> Result<bool, VaultError> {
        if self.locate(kind, id)?.is_some() {
            return Ok(false);
        }
        Ok(self.new_blobs.claim(kind, id, plain.len() as u32))
    }

    /// Counts a blob that was stored.
    pub fn count_new(&self, kind: BlobKind, plain_bytes: usize, stored_bytes: u32) {
        let progress = &self.options.progress;
        let (counter, shown) = match kind {
            BlobKind::Data => (&self.data_blobs, &progress.data_blobs),
            BlobKind::Tree => (&self.tree_blobs, &progress.tree_blobs),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        shown.fetch_add(1, Ordering::Relaxed);
        for counter in [&self.bytes_new, &progress.bytes_new] {
            counter.fetch_add(plain_bytes as u64, Ordering::Relaxed);
        }
        for counter in [&self.bytes_stored, &progress.bytes_stored] {
            counter.fetch_add(u64::from(stored_bytes), Ordering::Relaxed);
        }
    }

    /// Takes a worker, waiting for one if as many as memory allows are busy.
    pub fn take_worker(&self) -> Result<Worker, SinkClosed> {
        let mut pool = lock(&self.workers);
        loop {
            self.check()?;
            if let Some(worker) = pool.idle.pop() {
                return Ok(worker);
            }
            if pool.count < pool.limit {
                pool.count += 1;
                return Worker::new(self.options.zstd_level).map_err(|error| {
                    self.fail(error);
                    SinkClosed
                });
            }
            let waited = self.worker_returned.wait_timeout(pool, POLL);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn return_worker(&self, worker: Worker) {
        lock(&self.workers).idle.push(worker);
        self.worker_returned.notify_one();
    }

    /// Most workers that may run at once.
    pub fn worker_limit(&self) -> usize {
        lock(&self.workers).limit
    }

    /// All workers, when none is busy any more.
    pub fn take_idle_workers(&self) -> Vec<Worker> {
        std::mem::take(&mut lock(&self.workers).idle)
    }

    /// Stores a finished pack. Called by upload threads and, for a last single pack, by the caller of `finish`.
    pub fn upload(&self, pack: FinishedPack) -> Result<(), VaultError> {
        let FinishedPack { id, bytes, entries } = pack;
        let name = id.to_string();
        let size = bytes.len() as u64;
        let storage = self.repository.storage();
        retry_unless(&|| self.is_ending(), || {
            storage.put(FileKind::Data, &name, bytes.clone(), PutMode::Overwrite)
        })?;
        if self.is_aborted.load(Ordering::Acquire) {
            self.remove_packs(&[id]);
            return Err(VaultError::Cancelled);
        }
        if let Ok(mut unique) = bytes.try_into_mut() {
            unique.clear();
            self.uploads.give_back(Vec::from(unique));
        }
        let progress = &self.options.progress;
        progress.bytes_uploaded.fetch_add(size, Ordering::Relaxed);
        progress.packs.fetch_add(1, Ordering::Relaxed);
        let mut unindexed = lock(&self.unindexed);
        unindexed.push(IndexPack { id, blobs: entries });
        let blob_count: usize = unindexed.iter().map(|pack| pack.blobs.len()).sum();
        if blob_count < INDEX_BLOBS {
            return Ok(());
        }
        let packs = std::mem::take(&mut *unindexed);
        drop(unindexed);
        self.write_index(packs)
    }

    /// Names all packs stored so far in index files.
    pub fn write_remaining_index(&self) -> Result<(), VaultError> {
        let packs = std::mem::take(&mut *lock(&self.unindexed));
        if packs.is_empty() {
            return Ok(());
        }
        self.write_index(packs)
    }

    /// Brings packs that this backup refers to back into the index where a prune has taken them out meanwhile. They are still
    /// there: a prune deletes nothing before this backup has ended.
    ///
    /// Called right before the snapshot is written and again after it: a prune lists snapshots after it has changed the index, so
    /// that either it sees the snapshot or this sees the change.
    pub fn keep_relied(&self) -> Result<(), VaultError> {
        let mut missing = lock(&self.relied).clone();
        if missing.is_empty() {
            return Ok(());
        }
        self.repository.refresh()?;
        for (pack, file) in self.repository.index().view().packs() {
            if file.is_some() {
                missing.remove(&pack);
            }
        }
        let mut packs = Vec::with_capacity(missing.len());
        for id in missing {
            let size = self.stored_size(&id)?.ok_or_else(|| {
                VaultError::damaged(Part::Pack, id, "removed while a backup relied on it")
            })?;
            let blobs = self.repository.read_pack_header(&id, size)?;
            packs.push(IndexPack { id, blobs });
        }
        if packs.is_empty() {
            return Ok(());
        }
        tracing::info!(
            packs = packs.len(),
            "packs that a prune took out of the index are put back, a new snapshot needs them"
        );
        self.put_index(packs).map_err(|(error, _)| error)
    }

    /// Writes one index file for packs that are durable. From here on other backups may rely on their blobs, so that `abort` leaves them.
    fn write_index(&self, packs: Vec<IndexPack>) -> Result<(), VaultError> {
        self.put_index(packs).map_err(|(error, unnamed)| {
            lock(&self.unindexed).extend(unnamed);
            error
        })
    }

    /// Writes one index file. With an error come those packs that nobody can have seen in it.
    fn put_index(&self, packs: Vec<IndexPack>) -> Result<(), (VaultError, Vec<IndexPack>)> {
        let file = IndexFile {
            supersedes: Vec::new(),
            packs,
        };
        let sealed = Compressor::new(self.options.zstd_level)
            .and_then(|mut compressor| file.seal(self.repository.master_key(), &mut compressor))
            .map_err(|error| VaultError::Internal(format!("an index cannot be encoded: {error}")));
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => return Err((error, file.packs)),
        };
        let id = IndexId::of(&sealed);
        let data = Bytes::from(sealed);
        let storage = self.repository.storage();
        let written = retry_unless(&|| self.is_ending(), || {
            storage.put(
                FileKind::Index,
                &id.to_string(),
                data.clone(),
                PutMode::Overwrite,
            )
        });
        if let Err(error) = written {
            // It may have arrived all the same, and another backup may rely on it by now; then it stays with its packs.
            let has_arrived = storage.exists(FileKind::Index, &id.to_string());
            let may_arrive = matches!(&error, VaultError::Storage(cause) if cause.is_transient());
            let unnamed = match has_arrived {
                Ok(false) if !may_arrive => file.packs,
                _ => Vec::new(),
            };
            return Err((error, unnamed));
        }
        let mut builder = RunBuilder::default();
        builder.add(id, &file.packs);
        self.repository.index().add(builder);
        // As long as no snapshot refers to them a prune takes them for unneeded.
        lock(&self.relied).extend(file.packs.iter().map(|pack| pack.id));
        for pack in &file.packs {
            self.new_blobs.forget(&pack.blobs);
        }
        Ok(())
    }

    /// Whether the lock was held all the time.
    pub fn check_lock(&self) -> Result<(), VaultError> {
        if lock(&self.lock)
            .as_ref()
            .is_some_and(RepositoryLock::is_lost)
        {
            return Err(VaultError::Locked {
                by: "someone else, perhaps: the lock of this backup could not be refreshed"
                    .to_owned(),
                since: "about 25 minutes ago".to_owned(),
            });
        }
        Ok(())
    }

    /// Removes the lock file.
    pub fn release_lock(&self) {
        let held = lock(&self.lock).take();
        drop(held);
    }

    /// Ends the backup without a snapshot. Packs that no index names are removed: at once, or by the upload that is still
    /// under way; the last of both removes the lock.
    pub fn abort(&self) {
        /// How long to wait for uploads that are under way; one that is throttled notices the cancel flag itself.
        const PATIENCE: Duration = Duration::from_millis(800);
        self.fail(VaultError::Cancelled);
        self.is_aborted.store(true, Ordering::Release);
        self.uploads.close();
        let is_idle = self.uploads.wait_idle(PATIENCE);
        let packs: Vec<PackId> = std::mem::take(&mut *lock(&self.unindexed))
            .iter()
            .map(|pack| pack.id)
            .collect();
        self.remove_packs(&packs);
        if is_idle {
            self.release_lock();
        }
    }

    /// Called by an upload thread when it ends.
    pub fn upload_thread_ended(&self) {
        if self.is_aborted.load(Ordering::Acquire) && self.uploads.is_idle() {
            self.release_lock();
        }
    }

    fn remove_packs(&self, packs: &[PackId]) {
        for pack in packs {
            let removed = self
                .repository
                .storage()
                .delete(FileKind::Data, &pack.to_string());
            if let Err(error) = removed {
                tracing::warn!(%pack, %error, "a pack of an aborted backup stays until the next prune");
            }
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
