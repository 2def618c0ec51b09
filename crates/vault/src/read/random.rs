//! Reading anywhere in a file of a snapshot: what a mount and an exported disk are made of.

use super::ReadOptions;
use super::plan::locate;
use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::BlobKind;
use crate::ids::BlobId;
use crate::repository::Repository;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Bytes that are taken for the size of a typical blob, to size the cache's own tables.
const TYPICAL_BLOB_BYTES: u64 = 512 << 10;

/// Plain blobs that were read a moment ago, shared by all readers of one repository. Every blob in it was checked against its hash.
pub struct BlobCache {
    repository: Repository,
    blobs: Cache<BlobId, Bytes, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<BlobId, Bytes> for ByBytes {
    fn weight(&self, _: &BlobId, blob: &Bytes) -> u64 {
        blob.len() as u64 + 64
    }
}

impl std::fmt::Debug for BlobCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "BlobCache({:?})", self.repository)
    }
}

impl BlobCache {
    /// Keeps at most about `capacity_bytes` of plain blobs; a blob being read by somebody counts on top.
    pub fn new(repository: Repository, capacity_bytes: u64) -> Arc<Self> {
        let typical = usize::try_from(capacity_bytes / TYPICAL_BLOB_BYTES).unwrap_or(usize::MAX);
        let blobs = Cache::with_weighter(typical.max(16), capacity_bytes, ByBytes);
        Arc::new(Self { repository, blobs })
    }

    /// The repository behind it.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// A blob, from memory or from the repository. Of several threads that ask for the same one, one reads it.
    pub fn get(&self, id: &BlobId) -> Result<Bytes, VaultError> {
        self.blobs
            .get_or_insert_with(id, || self.repository.read_blob(id))
    }

    /// A blob, if it is in memory.
    pub fn peek(&self, id: &BlobId) -> Option<Bytes> {
        self.blobs.get(id)
    }

    /// Reads those of the blobs that are not in memory yet, in parallel and few large reads. What is more than the cache has room for
    /// is read in vain.
    ///
    /// # Errors
    /// Those of [`Repository::read_blobs`].
    pub fn load(&self, ids: &[BlobId], cancel: &CancelFlag) -> Result<(), VaultError> {
        let mut missing: Vec<BlobId> = Vec::with_capacity(ids.len());
        for id in ids {
            if self.peek(id).is_none() && !missing.contains(id) {
                missing.push(*id);
            }
        }
        let options = ReadOptions {
            cancel: cancel.clone(),
            ..ReadOptions::default()
        };
        self.repository
            .read_blobs(&missing, &options, &|at, plain| {
                self.blobs
                    .insert(missing[at], Bytes::copy_from_slice(plain));
                Ok(())
            })?;
        Ok(())
    }
}

/// One file, readable at any position from many threads.
#[derive(Debug)]
pub struct FileReader {
    cache: Arc<BlobCache>,
    content: Vec<BlobId>,
    /// Where each blob ends in the file, bytes.
    ends: Vec<u64>,
}

impl FileReader {
    /// A file with this content.
    ///
    /// # Errors
    /// The first blob that is in no pack.
    pub fn new(cache: Arc<BlobCache>, content: Vec<BlobId>) -> Result<Self, VaultError> {
        let mut is_current = false;
        let mut size = 0;
        let mut ends = Vec::with_capacity(content.len());
        for id in &content {
            let location = locate(&cache.repository, BlobKind::Data, id, &mut is_current)?;
            size += u64::from(location.plain_length());
            ends.push(size);
        }
        Ok(Self {
            cache,
            content,
            ends,
        })
    }

    /// Bytes in the file.
    pub fn size_bytes(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Fills `buffer` from `offset` on; returns how many bytes there were, fewer only at the end of the file.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, VaultError> {
        let mut filled = 0;
        let mut blob = self.ends.partition_point(|end| *end <= offset);
        while filled < buffer.len() && blob < self.content.len() {
            let start = blob.checked_sub(1).map_or(0, |before| self.ends[before]);
            let skip = (offset + filled as u64 - start) as usize;
            let plain = self.cache.get(&self.content[blob])?;
            // Content that is proved has the length that its index entry told, or the entry lied.
            let Some(rest) = plain.get(skip..) else {
                return Err(VaultError::Internal(format!(
                    "blob {} is shorter than the index says; run a check with --repair",
                    self.content[blob]
                )));
            };
            let length = rest.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&rest[..length]);
            filled += length;
            blob += 1;
        }
        Ok(filled)
    }
}
