//! One blob in one pack, as runs store it: 48 bytes.

use crate::format::{BlobKind, OVERHEAD_BYTES, PackEntry};
use crate::ids::{BlobId, PackId};

/// Length of an entry: id 32, pack number 4, offset 4, stored length 4, plain length 4 (0 = not compressed); numbers
/// little endian. The top bit of the pack number tells a tree.
pub(super) const ENTRY_BYTES: usize = 48;

const TREE_BIT: u32 = 1 << 31;
/// Most packs that one run can number.
pub(super) const PACKS_MAX: usize = (TREE_BIT - 1) as usize;

/// Where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobLocation {
    /// The pack.
    pub pack: PackId,
    /// Where it starts in the pack.
    pub offset: u32,
    /// Its length as stored.
    pub length: u32,
    /// Its plain length if it is compressed.
    pub uncompressed_length: Option<u32>,
}

impl BlobLocation {
    /// Length of the plain blob.
    pub fn plain_length(&self) -> u32 {
        self.uncompressed_length
            .unwrap_or(self.length.saturating_sub(OVERHEAD_BYTES as u32))
    }

    /// The entry that a pack header or index file has for it.
    pub fn to_pack_entry(&self, kind: BlobKind, id: BlobId) -> PackEntry {
        PackEntry {
            id,
            kind,
            offset: self.offset,
            length: self.length,
            uncompressed_length: self.uncompressed_length,
        }
    }
}

/// One entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexedBlob {
    /// The blob.
    pub id: BlobId,
    /// What it holds.
    pub kind: BlobKind,
    /// Where it lies. A blob that is in several packs has an entry for each.
    pub location: BlobLocation,
}

/// An entry with the number of its pack within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawEntry {
    pub id: [u8; 32],
    pub kind: BlobKind,
    pub pack: u32,
    pub offset: u32,
    pub length: u32,
    pub plain_length: u32,
}

impl RawEntry {
    pub fn new(entry: &PackEntry, pack: u32) -> Self {
        Self {
            id: *entry.id.as_bytes(),
            kind: entry.kind,
            pack,
            offset: entry.offset,
            length: entry.length,
            plain_length: entry.uncompressed_length.unwrap_or(0),
        }
    }

    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let tree_bit = if self.kind == BlobKind::Tree {
            TREE_BIT
        } else {
            0
        };
        let numbers = [
            self.pack | tree_bit,
            self.offset,
            self.length,
            self.plain_length,
        ];
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..32].copy_from_slice(&self.id);
        for (target, number) in bytes[32..].chunks_exact_mut(4).zip(numbers) {
            target.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[..32]);
        let mut numbers = [0_u32; 4];
        for (number, source) in numbers.iter_mut().zip(bytes[32..].chunks_exact(4)) {
            *number = source
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
        }
        let kind = if numbers[0] & TREE_BIT == 0 {
            BlobKind::Data
        } else {
            BlobKind::Tree
        };
        Self {
            id,
            kind,
            pack: numbers[0] & !TREE_BIT,
            offset: numbers[1],
            length: numbers[2],
            plain_length: numbers[3],
        }
    }

    pub fn location(&self, pack: PackId) -> BlobLocation {
        BlobLocation {
            pack,
            offset: self.offset,
            length: self.length,
            uncompressed_length: (self.plain_length != 0).then_some(self.plain_length),
        }
    }
}

/// The part of an id that orders pages.
pub(super) fn fence_key(id: &[u8; 32]) -> u64 {
    be_u64(id, 0)
}

/// The part of an id that the filter knows; another one than pages are ordered by, though any would do.
pub(super) fn filter_key(id: &[u8; 32]) -> u64 {
    be_u64(id, 8)
}

fn be_u64(id: &[u8; 32], from: usize) -> u64 {
    id[from..from + 8]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_comes_back(id: [u8; 32], is_tree: bool, pack in 0..TREE_BIT, offset: u32, length: u32, plain_length: u32) {
            let kind = if is_tree { BlobKind::Tree } else { BlobKind::Data };
            let entry = RawEntry { id, kind, pack, offset, length, plain_length };
            prop_assert_eq!(RawEntry::decode(&entry.encode()), entry);
        }
    }
}
