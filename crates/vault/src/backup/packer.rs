//! One pack that is being filled, with everything needed to fill it.

use super::compression::Compression;
use crate::error::{Part, VaultError};
use crate::format::pack::{FinishedPack, open_blob};
use crate::format::{BlobKind, Decompressor, FormatError, MasterKey, PackBuilder};
use crate::ids::BlobId;

/// A pack is finished as soon as it has this many bytes; with the largest blob it has half as many more.
pub(super) const PACK_TARGET_BYTES: usize = 16 << 20;
/// Room reserved for a pack: blobs of up to 2 MiB fit without moving it. Memory that is not touched costs nothing.
const PACK_CAPACITY_BYTES: usize = PACK_TARGET_BYTES + (2 << 20) + (64 << 10);
/// A pack of many tiny blobs is finished at this number, so that an index file of one pack stays small.
const PACK_BLOBS_MAX: usize = 50_000;
/// One blob in so many is opened again before a pack is uploaded: a bit that flips in memory between hashing and sealing
/// would otherwise be found by the restore.
const VERIFY_ONE_IN: usize = 32;

/// Fills one pack after another with blobs of one kind.
#[derive(Debug)]
pub(super) struct Packer {
    kind: BlobKind,
    builder: Option<PackBuilder>,
    compression: Compression,
    decompressor: Decompressor,
    sample: Vec<u8>,
    scratch: Vec<u8>,
}

impl Packer {
    pub fn new(kind: BlobKind, zstd_level: i32) -> Result<Self, VaultError> {
        Ok(Self {
            kind,
            builder: None,
            compression: Compression::new(kind, zstd_level).map_err(failed)?,
            decompressor: Decompressor::new().map_err(failed)?,
            sample: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Appends a blob; its stored length. `spare` gives memory for a new pack.
    pub fn add(
        &mut self,
        key: &MasterKey,
        id: BlobId,
        plain: &[u8],
        spare: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<u32, VaultError> {
        let compressor = self.compression.choose(plain).map_err(failed)?;
        let kind = self.kind;
        let builder = self.builder.get_or_insert_with(|| match spare() {
            Some(buffer) => PackBuilder::with_buffer(kind, buffer),
            None => PackBuilder::new(kind, PACK_CAPACITY_BYTES),
        });
        let entry = builder.add(key, id, plain, compressor).map_err(failed)?;
        self.compression.note(plain, &entry).map_err(failed)?;
        Ok(entry.length)
    }

    /// Whether the pack should be finished before anything is added.
    pub fn is_full(&self) -> bool {
        self.builder.as_ref().is_some_and(|builder| {
            builder.blob_bytes() >= PACK_TARGET_BYTES || builder.entries().len() >= PACK_BLOBS_MAX
        })
    }

    /// Ends the pack, opens a sample of its blobs again, and gives it away; `None` if there is no blob.
    pub fn finish(&mut self, key: &MasterKey) -> Result<Option<FinishedPack>, VaultError> {
        match self.builder.take() {
            Some(builder) if !builder.is_empty() => self.seal(key, builder).map(Some),
            _ => Ok(None),
        }
    }

    /// Gives away the pack that is not full, if there is one.
    pub fn take_builder(&mut self) -> Option<PackBuilder> {
        self.builder.take().filter(|builder| !builder.is_empty())
    }

    /// Ends any pack, as [`finish`](Self::finish).
    pub fn seal(
        &mut self,
        key: &MasterKey,
        builder: PackBuilder,
    ) -> Result<FinishedPack, VaultError> {
        let pack = builder.finish(key);
        let first = rand::random_range(0..VERIFY_ONE_IN).min(pack.entries.len() - 1);
        for entry in pack.entries.iter().skip(first).step_by(VERIFY_ONE_IN) {
            let range = entry.offset as usize..entry.end() as usize;
            self.sample.clear();
            self.sample.extend_from_slice(&pack.bytes[range]);
            open_blob(key, entry, &mut self.sample, &mut self.decompressor, &mut self.scratch)
                .map_err(|error| {
                    let detail = format!("{error} when blob {} was opened again before the upload; the memory of this machine may be faulty", entry.id);
                    VaultError::damaged(Part::Pack, pack.id, detail)
                })?;
        }
        Ok(pack)
    }
}

fn failed(error: FormatError) -> VaultError {
    match error {
        FormatError::TooLarge { what, size, limit } => VaultError::TooLarge {
            what: what.to_owned(),
            size,
            limit,
        },
        error => VaultError::Internal(format!("a blob cannot be packed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        rand::fill(&mut bytes[..]);
        bytes
    }

    #[test]
    fn incompressible_blobs_are_stored_raw_and_compressible_ones_after_them_are_not() {
        let key = MasterKey::generate();
        let mut packer = Packer::new(BlobKind::Data, 3).unwrap();
        let text = b"the quick brown fox ".repeat(50_000);
        for plain in [
            noise(1 << 20),
            noise(1 << 20),
            text.clone(),
            text[1..].to_vec(),
        ] {
            packer
                .add(&key, BlobId::of(&plain), &plain, || None)
                .unwrap();
        }
        let pack = packer.finish(&key).unwrap().unwrap();
        let is_compressed: Vec<bool> = pack
            .entries
            .iter()
            .map(|entry| entry.uncompressed_length.is_some())
            .collect();
        assert_eq!(is_compressed, [false, false, true, true]);
    }

    #[test]
    fn an_empty_pack_is_not_finished() {
        let key = MasterKey::generate();
        assert!(
            Packer::new(BlobKind::Data, 3)
                .unwrap()
                .finish(&key)
                .unwrap()
                .is_none()
        );
    }
}
