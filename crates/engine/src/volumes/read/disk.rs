//! A disk in a repository, readable anywhere from many threads.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use snapkeep_vault::{BlobCache, BlobId, CancelFlag, VaultError};

use super::ahead::ReadAhead;
use super::error::ReadError;
use super::piece::Piece;
use crate::layout::{DISK_FILE, piece_directory};

/// Tables of blobs that are kept for one disk, or for several that share them, bytes: those of 230 GiB of data in blocks of 256 KiB, or 900 GiB in blocks of 1 MiB.
const TABLES_MAX_BYTES: u64 = 32 << 20;
/// Plain blocks that are kept for a disk that is read by itself, bytes: some windows of reading ahead.
pub const DISK_CACHE_BYTES: u64 = 48 << 20;

/// What a disk is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskShape {
    /// Id of its volume.
    pub volume: String,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Blocks it is cut into, bytes; the last one may be shorter.
    pub block_bytes: u64,
    /// Pieces it is stored in, bytes; a multiple of the block.
    pub piece_bytes: u64,
}

/// A disk in a repository. Memory does not grow with the disk: tables are loaded piece by piece and kept up to 32 MiB, blocks up
/// to the capacity of the [`BlobCache`]. Whoever opens one takes care that its snapshot is not deleted meanwhile.
pub struct StoredDisk {
    cache: Arc<BlobCache>,
    shape: DiskShape,
    /// Directories of the pieces, in order.
    pieces: Vec<BlobId>,
    tables: Arc<Tables>,
    ahead: Mutex<ReadAhead>,
    cancel: CancelFlag,
    /// Kept alive as long as the disk is: what protects its snapshot.
    guard: Option<Box<dyn Send + Sync>>,
}

/// Tables of pieces, by the directory that the piece is.
type Tables = Cache<BlobId, Arc<Piece>, ByWeight>;

#[derive(Clone)]
struct ByWeight;

impl Weighter<BlobId, Arc<Piece>> for ByWeight {
    fn weight(&self, _: &BlobId, piece: &Arc<Piece>) -> u64 {
        piece.weight()
    }
}

impl fmt::Debug for StoredDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredDisk")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl StoredDisk {
    /// The disk of this shape whose pieces are in the directories `pieces`.
    pub(super) fn new(
        cache: Arc<BlobCache>,
        shape: DiskShape,
        pieces: Vec<BlobId>,
    ) -> Result<Self, ReadError> {
        let layout = |problem: String| ReadError::Layout {
            disk: shape.volume.clone(),
            problem,
        };
        let (block, piece) = (shape.block_bytes, shape.piece_bytes);
        if !block.is_power_of_two() || !(4096..=16 << 20).contains(&block) {
            return Err(layout(format!("blocks of {block} bytes are not known")));
        }
        if piece == 0 || piece % block != 0 || piece / block > u64::from(u32::MAX) / 2 {
            return Err(layout(format!("pieces of {piece} bytes are not known")));
        }
        let expected = shape.size_bytes.div_ceil(piece).max(1);
        if pieces.len() as u64 != expected && !(shape.size_bytes == 0 && pieces.is_empty()) {
            return Err(layout(format!(
                "it has {} pieces where {expected} should be",
                pieces.len()
            )));
        }
        // A table of 16,384 blocks of data is about half a MiB.
        let tables = Cache::with_weighter(64, TABLES_MAX_BYTES, ByWeight);
        Ok(Self {
            cache,
            shape,
            pieces,
            tables: Arc::new(tables),
            ahead: Mutex::default(),
            cancel: CancelFlag::new(),
            guard: None,
        })
    }

    /// Reading stops when `cancel` is raised.
    pub fn with_cancel(mut self, cancel: CancelFlag) -> Self {
        self.cancel = cancel;
        self
    }

    /// Shares the room for tables with another disk of the same repository, as the two share the [`BlobCache`] they were opened with.
    pub fn sharing_tables_of(mut self, other: &Self) -> Self {
        self.tables = Arc::clone(&other.tables);
        self
    }

    /// Keeps `guard` for as long as the disk is open.
    pub fn with_guard(mut self, guard: impl Send + Sync + 'static) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// What it is like.
    pub fn shape(&self) -> &DiskShape {
        &self.shape
    }

    /// The same for disks with the same content only, whatever they are called.
    pub fn content_id(&self) -> BlobId {
        let ids = self.pieces.iter().flat_map(BlobId::as_bytes);
        BlobId::of(&ids.copied().collect::<Vec<u8>>())
    }

    /// The directory of a piece.
    pub(crate) fn piece_tree(&self, number: u64) -> Option<BlobId> {
        self.pieces.get(number as usize).copied()
    }

    /// Number of blocks.
    pub fn block_count(&self) -> u64 {
        self.shape.size_bytes.div_ceil(self.shape.block_bytes)
    }

    /// Bytes of a block; the last one may be shorter.
    pub fn block_length(&self, block: u64) -> u64 {
        let start = block * self.shape.block_bytes;
        self.shape
            .size_bytes
            .saturating_sub(start)
            .min(self.shape.block_bytes)
    }

    /// The blob of a block; none for a hole.
    pub fn blob(&self, block: u64) -> Result<Option<BlobId>, ReadError> {
        let per_piece = self.shape.piece_bytes / self.shape.block_bytes;
        let piece = self.piece(block / per_piece)?;
        Ok(piece.blob((block % per_piece) as usize).copied())
    }

    /// The holes and the data of a range, in order and without gaps: pairs of a range of bytes and whether it is a hole. Neighbours
    /// of one kind are one. Reads tables only, no data.
    pub fn extents(&self, range: Range<u64>) -> Result<Vec<(Range<u64>, bool)>, ReadError> {
        self.check_range(range.start, range.end.saturating_sub(range.start))?;
        let mut extents: Vec<(Range<u64>, bool)> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let block = at / self.shape.block_bytes;
            let end = ((block + 1) * self.shape.block_bytes).min(range.end);
            let is_hole = self.blob(block)?.is_none();
            match extents.last_mut() {
                Some((last, hole)) if *hole == is_hole => last.end = end,
                _ => extents.push((at..end, is_hole)),
            }
            at = end;
        }
        Ok(extents)
    }

    /// Fills `buffer` from `offset` on. Readers in order get what they will want next loaded ahead.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.check_range(offset, buffer.len() as u64)?;
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let block = at / self.shape.block_bytes;
            let skip = (at % self.shape.block_bytes) as usize;
            let rest = (self.block_length(block) as usize - skip).min(buffer.len() - filled);
            let part = &mut buffer[filled..filled + rest];
            match self.blob(block)? {
                None => part.fill(0),
                Some(id) => {
                    let plain = self.load(block, &id)?;
                    let plain = plain.get(skip..skip + rest);
                    part.copy_from_slice(plain.ok_or_else(|| self.too_short(&id))?);
                }
            }
            filled += rest;
        }
        Ok(())
    }

    /// Reads one whole block; the last one may be shorter than the others.
    pub fn read_block(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
        let length = self.block_length(block);
        buffer.clear();
        match self.blob(block)? {
            None => buffer.resize(length as usize, 0),
            Some(id) => {
                let plain = self.load(block, &id)?;
                if plain.len() as u64 != length {
                    return Err(self.too_short(&id));
                }
                buffer.extend_from_slice(&plain);
            }
        }
        Ok(())
    }

    fn load(&self, block: u64, id: &BlobId) -> Result<Bytes, ReadError> {
        if let Some(plain) = self.cache.peek(id) {
            return Ok(plain);
        }
        let failed = ReadError::vault(&self.shape.volume);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have loaded it while this one waited for the lock.
        if let Some(plain) = self.cache.peek(id) {
            return Ok(plain);
        }
        let count = ahead.plan(block, self.shape.block_bytes);
        if count <= 1 {
            // Nobody waits for the lock while a single block is read.
            drop(ahead);
            if self.cancel.is_cancelled() {
                return Err(failed(VaultError::Cancelled));
            }
            return self.cache.get(id).map_err(failed);
        }
        let mut wanted = Vec::with_capacity(count as usize);
        for next in block..(block + count).min(self.block_count()) {
            wanted.extend(self.blob(next)?);
        }
        self.cache
            .load(&wanted, &self.cancel)
            .map_err(ReadError::vault(&self.shape.volume))?;
        drop(ahead);
        self.cache.get(id).map_err(failed)
    }

    fn piece(&self, number: u64) -> Result<Arc<Piece>, ReadError> {
        let name = || format!("{}/{}", self.shape.volume, piece_directory(number));
        let layout = |problem: &str| ReadError::Layout {
            disk: name(),
            problem: problem.to_owned(),
        };
        let directory = self
            .pieces
            .get(number as usize)
            .ok_or_else(|| layout("there is no such piece"))?;
        self.tables.get_or_insert_with(directory, || {
            let name = name();
            let repository = self.cache.repository();
            let tree = repository
                .read_tree(directory)
                .map_err(ReadError::vault(&name))?;
            let node = tree
                .find(DISK_FILE.as_bytes())
                .ok_or_else(|| layout("its file is missing"))?;
            let start = number * self.shape.piece_bytes;
            let expected = (self.shape.size_bytes - start).min(self.shape.piece_bytes);
            if node.size != expected {
                return Err(layout(&format!(
                    "it has {} bytes where {expected} should be",
                    node.size
                )));
            }
            let blob_bytes = |id: &BlobId| repository.blob_size(id);
            Piece::new(node, self.shape.block_bytes, &name, blob_bytes).map(Arc::new)
        })
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<(), ReadError> {
        let size_bytes = self.shape.size_bytes;
        if offset
            .checked_add(length)
            .is_some_and(|end| end <= size_bytes)
        {
            return Ok(());
        }
        Err(ReadError::OutOfRange {
            disk: self.shape.volume.clone(),
            size_bytes,
            offset,
            length,
        })
    }

    fn too_short(&self, id: &BlobId) -> ReadError {
        ReadError::Layout {
            disk: self.shape.volume.clone(),
            problem: format!("blob {id} has another length than its block"),
        }
    }
}
