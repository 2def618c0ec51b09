//! What a run tells about itself: the tail of its file.
//!
//! File: pages ‖ meta ‖ footer. The footer (40 bytes) is magic, number of pages, length of meta, checksum of meta, and a checksum of the
//! footer's own first 32 bytes; all numbers little endian. The version is part of the magic.

use super::entry::{BlobLocation, RawEntry};
use super::page::PAGE_BYTES;
use crate::ids::{IndexId, PackId, RepositoryId};
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"snapkrn1";
/// Length of the footer.
pub(super) const FOOTER_BYTES: usize = 40;
/// Largest meta that is read: enough for the largest run that is ever written.
const META_MAX_BYTES: u64 = 1 << 30;

/// A pack that entries of a run refer to by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackRow {
    pub id: PackId,
    /// Number of the index file, within the run, that named the pack.
    pub file: u32,
}

/// Everything about a run but its entries.
#[derive(Debug, Clone)]
pub(super) struct RunMeta {
    pub repository: RepositoryId,
    /// Number of entries.
    pub count: u64,
    /// Index files covered.
    pub files: Vec<IndexId>,
    pub packs: Vec<PackRow>,
    /// [`fence_key`](super::entry::fence_key) of the first entry of each page.
    pub fences: Vec<u64>,
    pub filter: RunFilter,
}

/// Says quickly that an id is not in a run.
#[derive(Debug, Clone, Default)]
pub(super) struct RunFilter {
    descriptor: [u8; BinaryFuse8::DESCRIPTOR_LEN],
    /// Empty: no filter, everything may be there.
    fingerprints: Box<[u8]>,
}

impl RunFilter {
    /// A filter of these keys; none where it is not worth it, or in the one case in millions where it cannot be built.
    pub fn build(mut keys: Vec<u64>) -> Self {
        const WORTH_IT: usize = 200;
        keys.sort_unstable();
        keys.dedup();
        if keys.len() < WORTH_IT {
            return Self::default();
        }
        let Ok(filter) = BinaryFuse8::try_from(keys) else {
            return Self::default();
        };
        let mut descriptor = [0; BinaryFuse8::DESCRIPTOR_LEN];
        filter.dma_copy_descriptor_to(&mut descriptor);
        Self {
            descriptor,
            fingerprints: filter.fingerprints,
        }
    }

    pub fn may_contain(&self, key: u64) -> bool {
        self.fingerprints.is_empty()
            || BinaryFuse8Ref::from_dma(&self.descriptor, &self.fingerprints).contains(&key)
    }
}

impl RunMeta {
    /// The pack of an entry; `None` only if the entry is not of this run.
    pub fn location(&self, entry: &RawEntry) -> Option<BlobLocation> {
        let row = self.packs.get(entry.pack as usize)?;
        Some(entry.location(row.id))
    }

    /// Meta and footer, to be written after the pages.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            200 + self.files.len() * 32
                + self.packs.len() * 36
                + self.fences.len() * 8
                + self.filter.fingerprints.len(),
        );
        out.extend_from_slice(self.repository.as_bytes());
        put_u64(&mut out, self.count);
        put_u64(&mut out, self.files.len() as u64);
        for file in &self.files {
            out.extend_from_slice(file.as_bytes());
        }
        put_u64(&mut out, self.packs.len() as u64);
        for pack in &self.packs {
            out.extend_from_slice(pack.id.as_bytes());
            out.extend_from_slice(&pack.file.to_le_bytes());
        }
        for fence in &self.fences {
            put_u64(&mut out, *fence);
        }
        out.extend_from_slice(&self.filter.descriptor);
        put_u64(&mut out, self.filter.fingerprints.len() as u64);
        out.extend_from_slice(&self.filter.fingerprints);

        let meta_len = out.len() as u64;
        let meta_sum = xxh3_64(&out);
        let footer_start = out.len();
        out.extend_from_slice(&MAGIC);
        put_u64(&mut out, self.fences.len() as u64);
        put_u64(&mut out, meta_len);
        put_u64(&mut out, meta_sum);
        let footer_sum = xxh3_64(&out[footer_start..]);
        put_u64(&mut out, footer_sum);
        out
    }

    /// Reads the meta part; `None` if anything about it is wrong.
    pub fn decode(footer: &Footer, meta: &[u8]) -> Option<Self> {
        if xxh3_64(meta) != footer.meta_sum {
            return None;
        }
        let mut rest = meta;
        let repository = RepositoryId::from_bytes(take_id(&mut rest)?);
        let count = take_u64(&mut rest)?;
        let file_count = take_count(&mut rest, 32)?;
        let mut files = Vec::with_capacity(file_count);
        for _ in 0..file_count {
            files.push(IndexId::from_bytes(take_id(&mut rest)?));
        }
        let pack_count = take_count(&mut rest, 36)?;
        let mut packs = Vec::with_capacity(pack_count);
        for _ in 0..pack_count {
            let id = PackId::from_bytes(take_id(&mut rest)?);
            let file = u32::from_le_bytes(take(&mut rest)?);
            packs.push(PackRow { id, file });
        }
        let page_count = usize::try_from(footer.pages).ok()?;
        if page_count > rest.len() / 8 {
            return None;
        }
        let mut fences = Vec::with_capacity(page_count);
        for _ in 0..page_count {
            fences.push(take_u64(&mut rest)?);
        }
        let descriptor = take(&mut rest)?;
        let filter_len = take_count(&mut rest, 1)?;
        let fingerprints = rest.get(..filter_len)?.into();
        Some(Self {
            repository,
            count,
            files,
            packs,
            fences,
            filter: RunFilter {
                descriptor,
                fingerprints,
            },
        })
    }
}

/// The end of a run's file.
#[derive(Debug)]
pub(super) struct Footer {
    pages: u64,
    pub meta_len: u64,
    meta_sum: u64,
}

impl Footer {
    /// Reads the footer of a file of `file_bytes`; `None` if it is not that of a complete run.
    pub fn decode(footer: &[u8; FOOTER_BYTES], file_bytes: u64) -> Option<Self> {
        let mut rest = &footer[..];
        let magic: [u8; 8] = take(&mut rest)?;
        let pages = take_u64(&mut rest)?;
        let meta_len = take_u64(&mut rest)?;
        let meta_sum = take_u64(&mut rest)?;
        let footer_sum = take_u64(&mut rest)?;
        let length = pages
            .checked_mul(PAGE_BYTES as u64)?
            .checked_add(meta_len)?
            .checked_add(FOOTER_BYTES as u64)?;
        let is_complete = magic == MAGIC
            && footer_sum == xxh3_64(&footer[..FOOTER_BYTES - 8])
            && length == file_bytes
            && meta_len <= META_MAX_BYTES;
        is_complete.then_some(Self {
            pages,
            meta_len,
            meta_sum,
        })
    }

    /// Where the meta part starts in the file.
    pub fn meta_start(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn take_id(rest: &mut &[u8]) -> Option<[u8; 32]> {
    take(rest)
}

/// A number of items of `item_bytes` that the rest can really hold.
fn take_count(rest: &mut &[u8], item_bytes: usize) -> Option<usize> {
    let count = usize::try_from(take_u64(rest)?).ok()?;
    (count <= rest.len() / item_bytes).then_some(count)
}
