//! Workers: each takes segments from read to finished pack.

use super::FileContent;
use super::packer::Packer;
use super::segment::SegmentBuffer;
use super::session::{Session, lock};
use super::source::{Chunking, FileSource, MAX_BLOB_BYTES, SinkClosed, SourceError};
use super::upload::Uploads;
use super::zeros::{ZERO_BLOB_BYTES, ZEROS, zero_blob_id};
use crate::error::VaultError;
use crate::format::BlobKind;
use crate::ids::BlobId;
use crate::repository::step_back;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one worker owns; kept from one call to the next, so that small files of many calls share a pack.
#[derive(Debug)]
pub(super) struct Worker {
    pub packer: Packer,
    pub buffer: SegmentBuffer,
}

impl Worker {
    pub fn new(zstd_level: i32) -> Result<Self, VaultError> {
        Ok(Self {
            packer: Packer::new(BlobKind::Data, zstd_level)?,
            buffer: SegmentBuffer::default(),
        })
    }
}

/// A segment that was stored.
struct StoredSegment {
    file: usize,
    segment: usize,
    content: FileContent,
}

/// Stores blobs with one worker's packer.
pub(super) struct BlobWriter<'a> {
    pub session: &'a Arc<Session>,
    pub packer: &'a mut Packer,
    /// What was stored of the segment so far.
    pub content: FileContent,
    has_zero_blob: bool,
    /// Length and id of a stored zero blob of one small block.
    zero_block: Option<(usize, BlobId)>,
}

impl BlobWriter<'_> {
    /// Appends `plain` as one blob.
    pub fn store(&mut self, plain: &[u8]) -> Result<(), SinkClosed> {
        self.store_all(&[plain])
    }

    /// Appends blobs one after another; they are hashed side by side.
    pub fn store_all(&mut self, blobs: &[&[u8]]) -> Result<(), SinkClosed> {
        for (id, plain) in BlobId::of_all(blobs).into_iter().zip(blobs) {
            self.session.check()?;
            self.store_hashed(id, plain)?;
            self.append(id, plain.len() as u64, 1);
        }
        Ok(())
    }

    /// Appends `len` bytes of zeros, a multiple of [`ZERO_BLOB_BYTES`].
    pub fn store_zeros(&mut self, len: u64) -> Result<(), SinkClosed> {
        self.session.check()?;
        let id = zero_blob_id();
        if !self.has_zero_blob {
            self.store_hashed(id, &ZEROS)?;
            self.has_zero_blob = true;
        }
        self.content.hole_bytes += len;
        let progress = &self.session.options.progress;
        progress.bytes_zero.fetch_add(len, Ordering::Relaxed);
        self.append(id, len, len / ZERO_BLOB_BYTES as u64);
        Ok(())
    }

    /// Appends a zero block that is smaller than [`ZERO_BLOB_BYTES`] as a blob of its own.
    pub fn store_zero_block(&mut self, size: usize) -> Result<(), SinkClosed> {
        self.session.check()?;
        let id = match self.zero_block {
            Some((stored, id)) if stored == size => id,
            _ => {
                let id = BlobId::of(&ZEROS[..size]);
                self.store_hashed(id, &ZEROS[..size])?;
                self.zero_block = Some((size, id));
                id
            }
        };
        self.content.hole_bytes += size as u64;
        let progress = &self.session.options.progress;
        progress
            .bytes_zero
            .fetch_add(size as u64, Ordering::Relaxed);
        self.append(id, size as u64, 1);
        Ok(())
    }

    /// Appends blobs that are in the repository; their length, or none and nothing is appended when one is not there.
    pub fn adopt(&mut self, content: &[BlobId]) -> Result<Option<u64>, SinkClosed> {
        self.session.check()?;
        let total = match self.session.known_total(content) {
            Ok(Ok(total)) => total,
            Ok(Err(_missing)) => return Ok(None),
            Err(error) => {
                self.session.fail(error);
                return Err(SinkClosed);
            }
        };
        self.content.content.extend_from_slice(content);
        self.content.size_bytes += total;
        let progress = &self.session.options.progress;
        progress.bytes_adopted.fetch_add(total, Ordering::Relaxed);
        Ok(Some(total))
    }

    /// [`store_zeros`](Self::store_zeros) where there may be none.
    pub fn store_zeros_if_any(&mut self, len: u64) -> Result<(), SinkClosed> {
        if len == 0 {
            Ok(())
        } else {
            self.store_zeros(len)
        }
    }

    fn append(&mut self, id: BlobId, len: u64, count: u64) {
        for _ in 0..count {
            self.content.content.push(id);
        }
        self.content.size_bytes += len;
        let progress = &self.session.options.progress;
        progress.bytes_read.fetch_add(len, Ordering::Relaxed);
        progress.blobs_read.fetch_add(count, Ordering::Relaxed);
    }

    fn store_hashed(&mut self, id: BlobId, plain: &[u8]) -> Result<(), SinkClosed> {
        match self.try_store(id, plain) {
            Ok(stored) => {
                self.content.stored_bytes += stored;
                Ok(())
            }
            Err(StoreError::Closed) => Err(SinkClosed),
            Err(StoreError::Vault(error)) => {
                self.session.fail(error);
                Err(SinkClosed)
            }
        }
    }

    fn try_store(&mut self, id: BlobId, plain: &[u8]) -> Result<u64, StoreError> {
        let session = self.session;
        if !session.claim(BlobKind::Data, &id, plain)? {
            return Ok(0);
        }
        let key = session.repository.master_key();
        let stored = self
            .packer
            .add(key, id, plain, || session.uploads.spare())?;
        session.count_new(BlobKind::Data, plain.len(), stored);
        if self.packer.is_full()
            && let Some(pack) = self.packer.finish(key)?
        {
            Uploads::submit(session, pack)?;
        }
        Ok(u64::from(stored))
    }
}

enum StoreError {
    Closed,
    Vault(VaultError),
}

impl From<VaultError> for StoreError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<SinkClosed> for StoreError {
    fn from(_: SinkClosed) -> Self {
        Self::Closed
    }
}

/// Stores all files and gives their contents in the same order.
pub(super) fn store_files(
    session: &Arc<Session>,
    files: &[&dyn FileSource],
) -> Result<Vec<FileContent>, VaultError> {
    session.check_failure()?;
    for file in files {
        if let Chunking::Fixed(size) = file.chunking()
            && (size == 0 || size as usize > MAX_BLOB_BYTES)
        {
            return Err(VaultError::Internal(format!(
                "blocks of {size} bytes are not possible"
            )));
        }
    }
    // Number of the first segment of each file, counted over all files.
    let mut starts = Vec::with_capacity(files.len());
    let mut total = 0;
    for file in files {
        starts.push(total);
        total += file.segments();
    }
    let claims = Claims {
        files,
        starts,
        total,
        next: AtomicUsize::new(0),
    };
    let thread_count = session.worker_limit().min(total);
    let mut stored = if thread_count <= 1 {
        work(session, &claims).unwrap_or_default()
    } else {
        let work_behind_others = || {
            step_back(session.repository.options().niceness);
            work(session, &claims)
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..thread_count)
                .map(|_| scope.spawn(work_behind_others))
                .collect();
            threads
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut stored = Vec::with_capacity(total);
        for result in results {
            match result {
                Ok(Ok(segments)) => stored.extend(segments),
                Ok(Err(SinkClosed)) => {}
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        stored
    };
    // Workers leave the reason with the session, so that the first one counts.
    session.check_failure()?;
    stored.sort_unstable_by_key(|segment| (segment.file, segment.segment));
    let mut contents = Vec::with_capacity(files.len());
    contents.resize_with(files.len(), FileContent::default);
    for segment in stored {
        contents[segment.file].append(segment.content);
    }
    let processed: u64 = contents.iter().map(|content| content.size_bytes).sum();
    session
        .bytes_processed
        .fetch_add(processed, Ordering::Relaxed);
    Ok(contents)
}

/// The segments of one call, claimed one after another by whoever is free.
struct Claims<'a> {
    files: &'a [&'a dyn FileSource],
    starts: Vec<usize>,
    total: usize,
    next: AtomicUsize,
}

impl Claims<'_> {
    fn next(&self) -> Option<(usize, usize)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.total {
            return None;
        }
        let file = self.starts.partition_point(|start| *start <= number) - 1;
        Some((file, number - self.starts[file]))
    }
}

fn work(session: &Arc<Session>, claims: &Claims<'_>) -> Result<Vec<StoredSegment>, SinkClosed> {
    let mut stored = Vec::new();
    let Some(mut claimed) = claims.next() else {
        return Ok(stored);
    };
    let mut worker = session.take_worker()?;
    loop {
        let (file, segment) = claimed;
        match store_segment(session, &mut worker, claims.files[file], segment) {
            Ok(content) => stored.push(StoredSegment {
                file,
                segment,
                content,
            }),
            Err(error) => {
                if let Some(error) = error {
                    session.fail(error);
                }
                session.return_worker(worker);
                return Err(SinkClosed);
            }
        }
        match claims.next() {
            Some(next) => claimed = next,
            None => break,
        }
    }
    session.return_worker(worker);
    Ok(stored)
}

/// Stores one segment. `Err(None)`: the backup has ended for a reason that the session knows.
fn store_segment(
    session: &Arc<Session>,
    worker: &mut Worker,
    file: &dyn FileSource,
    segment: usize,
) -> Result<FileContent, Option<VaultError>> {
    let chunking = file.chunking();
    let writer = BlobWriter {
        session,
        packer: &mut worker.packer,
        content: FileContent::default(),
        has_zero_blob: false,
        zero_block: None,
    };
    let mut sink = worker.buffer.begin(writer, chunking);
    let read = file.read_segment(segment, &mut sink);
    match read {
        Ok(()) => sink.finish().map_err(|SinkClosed| None),
        Err(SourceError::Stopped) => Err(None),
        Err(SourceError::Io { what, cause }) => Err(Some(VaultError::Source {
            what,
            cause: cause.to_string(),
        })),
        Err(SourceError::Other(cause)) => Err(Some(VaultError::Source {
            what: "the source".to_owned(),
            cause,
        })),
    }
}

/// Stores a blob of a directory; its id. The content is known to be new to nobody yet.
pub(super) fn store_tree(session: &Arc<Session>, plain: &[u8]) -> Result<BlobId, VaultError> {
    session.check_failure()?;
    let id = BlobId::of(plain);
    if !session.claim(BlobKind::Tree, &id, plain)? {
        return Ok(id);
    }
    let key = session.repository.master_key();
    let mut packer = lock(&session.tree_packer);
    let stored = packer.add(key, id, plain, || session.uploads.spare())?;
    session.count_new(BlobKind::Tree, plain.len(), stored);
    let finished = if packer.is_full() {
        packer.finish(key)?
    } else {
        None
    };
    drop(packer);
    if let Some(pack) = finished {
        Uploads::submit(session, pack).map_err(|SinkClosed| session.take_failure())?;
    }
    Ok(id)
}
