//! Pack files: `blob₁ … blobₙ ‖ sealed header ‖ u32le(length of the sealed header)`.
//!
//! Each blob is sealed on its own. The header has an entry a blob in their order; blobs lie side by side from the
//! start of the file, so that offsets are implied. A pack holds blobs of one kind only.

use super::crypto::begin_seal;
use super::{Compressor, Decompressor, FormatError, MasterKey, OVERHEAD_BYTES};
use crate::ids::{BlobId, PackId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest sealed header, as restic has it: about 409 000 blobs.
pub const HEADER_MAX_BYTES: u32 = 16 << 20;
/// Largest plain blob that is read. The format allows 4 GiB; a directory of 10 million small files would have this size.
pub const BLOB_PLAIN_MAX_BYTES: u32 = 2 << 30;
/// Length of the number at the end of a pack.
pub const TRAILER_BYTES: usize = 4;

const ENTRY_RAW_BYTES: usize = 37;
const ENTRY_COMPRESSED_BYTES: usize = 41;

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobKind {
    /// Content of a file.
    Data,
    /// A directory.
    Tree,
}

impl fmt::Display for BlobKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Data => "data",
            Self::Tree => "tree",
        })
    }
}

/// One blob in a pack, as pack headers and index files tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// SHA-256 of the plain blob.
    pub id: BlobId,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: BlobKind,
    /// Where it starts in the pack.
    pub offset: u32,
    /// Its length as stored, sealed.
    pub length: u32,
    /// Its plain length if it is compressed.
    #[serde(
        default,
        deserialize_with = "zero_as_absent",
        skip_serializing_if = "Option::is_none"
    )]
    pub uncompressed_length: Option<u32>,
}

impl PackEntry {
    /// Length of the plain blob.
    pub fn plain_length(&self) -> u32 {
        self.uncompressed_length
            .unwrap_or(self.length.saturating_sub(OVERHEAD_BYTES as u32))
    }

    /// The first byte after it in the pack.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }

    /// What no writer of the format could have meant.
    pub(super) fn check(&self) -> Result<(), FormatError> {
        if self.end() > u64::from(u32::MAX) {
            return Err(FormatError::malformed(format!(
                "blob {} reaches beyond 4 GiB",
                self.id
            )));
        }
        if (self.length as usize) < OVERHEAD_BYTES {
            return Err(FormatError::malformed(format!(
                "blob {} is shorter than its authentication code",
                self.id
            )));
        }
        Ok(())
    }
}

/// Restic leaves the field out when it is 0, and so reads 0 as "not compressed".
fn zero_as_absent<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let length = Option::<u32>::deserialize(deserializer)?;
    Ok(length.filter(|length| *length != 0))
}

/// The plain header of a pack with these blobs.
pub fn encode_header(entries: &[PackEntry]) -> Vec<u8> {
    let mut header = Vec::with_capacity(entries.len() * ENTRY_COMPRESSED_BYTES);
    for entry in entries {
        let kind = match entry.kind {
            BlobKind::Data => 0,
            BlobKind::Tree => 1,
        };
        header.push(
            kind | if entry.uncompressed_length.is_some() {
                2
            } else {
                0
            },
        );
        header.extend_from_slice(&entry.length.to_le_bytes());
        if let Some(plain) = entry.uncompressed_length {
            header.extend_from_slice(&plain.to_le_bytes());
        }
        header.extend_from_slice(entry.id.as_bytes());
    }
    header
}

/// The length of the sealed header, from the last four bytes of a pack of `pack_bytes`.
pub fn sealed_header_len(
    trailer: [u8; TRAILER_BYTES],
    pack_bytes: u64,
) -> Result<u32, FormatError> {
    let len = u32::from_le_bytes(trailer);
    if len > HEADER_MAX_BYTES {
        return Err(FormatError::TooLarge {
            what: "header length",
            size: u64::from(len),
            limit: u64::from(HEADER_MAX_BYTES),
        });
    }
    if (len as usize) < OVERHEAD_BYTES + ENTRY_RAW_BYTES {
        return Err(FormatError::TooShort);
    }
    if u64::from(len) + TRAILER_BYTES as u64 > pack_bytes {
        return Err(FormatError::malformed("its header is longer than the file"));
    }
    Ok(len)
}

/// Opens the sealed header of a pack of `pack_bytes` and checks that its blobs fill the file exactly.
pub fn open_header(
    key: &MasterKey,
    sealed: &[u8],
    pack_bytes: u64,
) -> Result<Vec<PackEntry>, FormatError> {
    let blobs_end = pack_bytes
        .checked_sub(sealed.len() as u64 + TRAILER_BYTES as u64)
        .ok_or(FormatError::TooShort)?;
    parse_header(&key.open(sealed)?, blobs_end)
}

/// Reads a plain header. The blobs must end at `blobs_end`, where the header begins.
pub fn parse_header(header: &[u8], blobs_end: u64) -> Result<Vec<PackEntry>, FormatError> {
    let mut entries = Vec::with_capacity(header.len() / ENTRY_RAW_BYTES);
    let mut rest = header;
    let mut offset = 0_u32;
    while let Some((&code, after_code)) = rest.split_first() {
        let kind = match code {
            0 | 2 => BlobKind::Data,
            1 | 3 => BlobKind::Tree,
            _ => {
                return Err(FormatError::malformed(format!(
                    "its header has the unknown blob type {code}"
                )));
            }
        };
        let (length, after_length) = take_u32(after_code)?;
        let (uncompressed_length, after_lengths) = if code >= 2 {
            let (plain, after) = take_u32(after_length)?;
            (Some(plain), after)
        } else {
            (None, after_length)
        };
        if uncompressed_length == Some(0) {
            return Err(FormatError::malformed(
                "its header has a compressed blob without length",
            ));
        }
        let (id, after_id) = after_lengths
            .split_first_chunk::<32>()
            .ok_or(FormatError::TooShort)?;
        let entry = PackEntry {
            id: BlobId::from_bytes(*id),
            kind,
            offset,
            length,
            uncompressed_length,
        };
        entry.check()?;
        offset = offset.saturating_add(length);
        entries.push(entry);
        rest = after_id;
    }
    if u64::from(offset) != blobs_end {
        return Err(FormatError::malformed(format!(
            "its blobs end at {offset}, its header begins at {blobs_end}"
        )));
    }
    Ok(entries)
}

fn take_u32(bytes: &[u8]) -> Result<(u32, &[u8]), FormatError> {
    let (number, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(FormatError::TooShort)?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// Opens one blob as it lies in a pack and proves that it is the content its id stands for.
///
/// `sealed` is decrypted in place and is garbage afterwards; `scratch` takes the content of compressed blobs. Both are
/// buffers to be used again for the next blob.
pub fn open_blob<'a>(
    key: &MasterKey,
    entry: &PackEntry,
    sealed: &'a mut [u8],
    decompressor: &mut Decompressor,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], FormatError> {
    let limit = BLOB_PLAIN_MAX_BYTES;
    if entry.plain_length() > limit {
        return Err(FormatError::TooLarge {
            what: "plain length",
            size: u64::from(entry.plain_length()),
            limit: u64::from(limit),
        });
    }
    let opened = key.open_in_place(sealed)?;
    let plain: &[u8] = match entry.uncompressed_length {
        Some(length) => {
            decompressor.decompress_exact(opened, length as usize, scratch)?;
            scratch
        }
        None => opened,
    };
    if BlobId::of(plain) == entry.id {
        Ok(plain)
    } else {
        Err(FormatError::malformed("its content does not match its id"))
    }
}

/// A pack that is ready to be stored.
#[derive(Debug, Clone)]
pub struct FinishedPack {
    /// SHA-256 of `bytes`.
    pub id: PackId,
    /// The whole file.
    pub bytes: Bytes,
    /// Its blobs, as the index needs them.
    pub entries: Vec<PackEntry>,
}

/// Builds one pack in memory. A blob is compressed straight into the pack and encrypted where it lies.
#[derive(Debug)]
pub struct PackBuilder {
    kind: BlobKind,
    buffer: Vec<u8>,
    entries: Vec<PackEntry>,
}

impl PackBuilder {
    /// An empty pack for blobs of this kind. `capacity_bytes` is what it will probably grow to.
    pub fn new(kind: BlobKind, capacity_bytes: usize) -> Self {
        Self {
            kind,
            buffer: Vec::with_capacity(capacity_bytes),
            entries: Vec::new(),
        }
    }

    /// An empty pack in the memory of one that has been stored.
    pub fn with_buffer(kind: BlobKind, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self {
            kind,
            buffer,
            entries: Vec::new(),
        }
    }

    /// What the pack holds.
    pub fn kind(&self) -> BlobKind {
        self.kind
    }

    /// Bytes of all blobs so far.
    pub fn blob_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The blobs so far.
    pub fn entries(&self) -> &[PackEntry] {
        &self.entries
    }

    /// Whether there is no blob yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a blob of `plain_bytes` more could be too much for the format: the header and the offsets are limited. Such a pack must be
    /// finished first.
    pub fn is_full_for(&self, plain_bytes: usize) -> bool {
        let header = (self.entries.len() + 1) * ENTRY_COMPRESSED_BYTES + OVERHEAD_BYTES;
        let blobs = self.buffer.len() as u64 + plain_bytes as u64 + OVERHEAD_BYTES as u64;
        header > HEADER_MAX_BYTES as usize || blobs + header as u64 > u64::from(u32::MAX)
    }

    /// Adds the blob `plain` with its `id` (the caller has hashed it already to know that it is new).
    ///
    /// Without `compressor` it is stored as it is. With one, content that does not shrink is stored as it is as well; directories
    /// always stay compressed, because restic's `prune` would rewrite others.
    pub fn add(
        &mut self,
        key: &MasterKey,
        id: BlobId,
        plain: &[u8],
        compressor: Option<&mut Compressor>,
    ) -> Result<PackEntry, FormatError> {
        self.check_room(plain.len())?;
        let start = begin_seal(&mut self.buffer);
        let text_start = self.buffer.len();
        let mut uncompressed_length = None;
        if let Some(compressor) = compressor.filter(|_| !plain.is_empty()) {
            let compressed = compressor.compress_into(plain, &mut self.buffer);
            match compressed {
                Ok(len) if len < plain.len() || self.kind == BlobKind::Tree => {
                    uncompressed_length = u32::try_from(plain.len()).ok();
                }
                Ok(_) => self.buffer.truncate(text_start),
                Err(error) => {
                    self.buffer.truncate(start);
                    return Err(error);
                }
            }
        }
        if uncompressed_length.is_none() {
            self.buffer.extend_from_slice(plain);
        }
        key.finish_seal(&mut self.buffer, start);
        self.push_entry(id, start, uncompressed_length)
    }

    /// Adds a blob as it lies in another pack of the same repository, byte for byte.
    pub fn add_sealed(
        &mut self,
        id: BlobId,
        sealed: &[u8],
        uncompressed_length: Option<u32>,
    ) -> Result<PackEntry, FormatError> {
        self.check_room(sealed.len())?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(sealed);
        self.push_entry(id, start, uncompressed_length)
    }

    /// Adds all blobs of another pack that is not finished either, byte for byte.
    pub fn append(&mut self, other: &Self) -> Result<(), FormatError> {
        for entry in &other.entries {
            let sealed = &other.buffer[entry.offset as usize..entry.end() as usize];
            self.add_sealed(entry.id, sealed, entry.uncompressed_length)?;
        }
        Ok(())
    }

    /// Seals the header and hashes the file. A pack without a blob must not be stored.
    pub fn finish(mut self, key: &MasterKey) -> FinishedPack {
        let header = encode_header(&self.entries);
        let start = self.buffer.len();
        key.seal_into(&header, &mut self.buffer);
        // `is_full_for` keeps the header below 16 MiB.
        let sealed_len = (self.buffer.len() - start) as u32;
        self.buffer.extend_from_slice(&sealed_len.to_le_bytes());
        FinishedPack {
            id: PackId::of(&self.buffer),
            bytes: Bytes::from(self.buffer),
            entries: self.entries,
        }
    }

    fn check_room(&self, plain_bytes: usize) -> Result<(), FormatError> {
        if self.is_full_for(plain_bytes) {
            return Err(FormatError::TooLarge {
                what: "pack length",
                size: self.buffer.len() as u64 + plain_bytes as u64,
                limit: u64::from(u32::MAX),
            });
        }
        Ok(())
    }

    fn push_entry(
        &mut self,
        id: BlobId,
        start: usize,
        uncompressed_length: Option<u32>,
    ) -> Result<PackEntry, FormatError> {
        let too_large = |_| FormatError::malformed("the pack has grown beyond 4 GiB");
        let entry = PackEntry {
            id,
            kind: self.kind,
            offset: u32::try_from(start).map_err(too_large)?,
            length: u32::try_from(self.buffer.len() - start).map_err(too_large)?,
            uncompressed_length,
        };
        self.entries.push(entry);
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(key: &MasterKey, pack: &FinishedPack) -> Vec<PackEntry> {
        let size = pack.bytes.len();
        let trailer = pack.bytes[size - 4..].try_into().unwrap();
        let len = sealed_header_len(trailer, size as u64).unwrap() as usize;
        open_header(key, &pack.bytes[size - 4 - len..size - 4], size as u64).unwrap()
    }

    fn blob(
        key: &MasterKey,
        pack: &FinishedPack,
        entry: &PackEntry,
    ) -> Result<Vec<u8>, FormatError> {
        let mut sealed = pack.bytes[entry.offset as usize..entry.end() as usize].to_vec();
        let mut decompressor = Decompressor::new().unwrap();
        open_blob(key, entry, &mut sealed, &mut decompressor, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn content_that_does_not_shrink_is_stored_raw_but_directories_never_are() {
        let key = MasterKey::generate();
        let mut compressor = Compressor::new(3).unwrap();
        for (kind, expected) in [(BlobKind::Data, None), (BlobKind::Tree, Some(3))] {
            let mut pack = PackBuilder::new(kind, 1000);
            let id = BlobId::of(b"abc");
            let entry = pack.add(&key, id, b"abc", Some(&mut compressor)).unwrap();
            assert_eq!(entry.uncompressed_length, expected);
            assert_eq!(entry.plain_length(), 3);
            let pack = pack.finish(&key);
            assert_eq!(blob(&key, &pack, &entry).unwrap(), b"abc");
        }
    }

    #[test]
    fn blobs_move_to_another_pack_byte_for_byte() {
        let key = MasterKey::generate();
        let mut first = PackBuilder::new(BlobKind::Data, 0);
        first.add(&key, BlobId::of(b"gap"), b"gap", None).unwrap();
        let entry = first.add(&key, BlobId::of(b"abc"), b"abc", None).unwrap();
        let first = first.finish(&key);
        let mut second = PackBuilder::new(BlobKind::Data, 0);
        let sealed = &first.bytes[entry.offset as usize..entry.end() as usize];
        let moved = second.add_sealed(entry.id, sealed, None).unwrap();
        assert_eq!(moved.offset, 0);
        assert_eq!(blob(&key, &second.finish(&key), &moved).unwrap(), b"abc");
    }

    #[test]
    fn a_blob_under_another_id_is_refused() {
        let key = MasterKey::generate();
        let mut pack = PackBuilder::new(BlobKind::Data, 0);
        let entry = pack.add(&key, BlobId::of(b"other"), b"abc", None).unwrap();
        assert!(blob(&key, &pack.finish(&key), &entry).is_err());
    }

    #[test]
    fn a_header_that_does_not_fill_the_file_is_refused() {
        let entry = PackEntry {
            id: BlobId::of(b""),
            kind: BlobKind::Data,
            offset: 0,
            length: 40,
            uncompressed_length: None,
        };
        let header = encode_header(&[entry]);
        assert_eq!(parse_header(&header, 40).unwrap(), [entry]);
        assert!(parse_header(&header, 41).is_err());
        assert!(parse_header(&header[1..], 40).is_err());
    }

    #[test]
    fn header_lengths_that_are_not_possible_are_refused() {
        for (len, size) in [
            (0, 100),
            (68, 100),
            (100, 100),
            (HEADER_MAX_BYTES + 1, 1 << 30),
        ] {
            assert!(sealed_header_len(len.to_le_bytes(), size).is_err(), "{len}");
        }
        assert_eq!(sealed_header_len(69_u32.to_le_bytes(), 100), Ok(69));
    }

    proptest! {
        #[test]
        fn a_pack_comes_back(
            blobs in proptest::collection::vec((proptest::collection::vec(0..4_u8, 0..2000), any::<bool>()), 1..8),
        ) {
            let key = MasterKey::generate();
            let mut compressor = Compressor::new(3).unwrap();
            let mut builder = PackBuilder::new(BlobKind::Data, 0);
            for (plain, is_compressed) in &blobs {
                let compressor = is_compressed.then_some(&mut compressor);
                builder.add(&key, BlobId::of(plain), plain, compressor).unwrap();
            }
            let pack = builder.finish(&key);
            prop_assert_eq!(PackId::of(&pack.bytes), pack.id);
            let entries = read_back(&key, &pack);
            prop_assert_eq!(&entries, &pack.entries);
            for (entry, (plain, _)) in entries.iter().zip(&blobs) {
                prop_assert_eq!(&blob(&key, &pack, entry).unwrap(), plain);
            }
        }

        #[test]
        fn any_header_is_read_or_refused(header in proptest::collection::vec(any::<u8>(), 0..200), end in any::<u64>()) {
            if let Ok(entries) = parse_header(&header, end) {
                prop_assert_eq!(encode_header(&entries), header);
            }
        }
    }
}
