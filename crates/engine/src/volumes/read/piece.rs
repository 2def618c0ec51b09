//! A piece of a disk: which blob each of its blocks is.

use snapkeep_vault::backup::zero_blob_id;
use snapkeep_vault::{BlobId, Node};

use super::ReadError;

/// Length of the blob that holes are made of, bytes.
const ZERO_BLOB_BYTES: u64 = snapkeep_vault::backup::ZERO_BLOB_BYTES as u64;
/// Stands for a block that is a hole.
const HOLE: u32 = u32::MAX;

/// The blobs of up to 16,384 blocks. Memory: 4 bytes a block and 32 more for one that is no hole, together at most 576 KiB.
#[derive(Debug)]
pub(in crate::volumes) struct Piece {
    /// For each block its position in `blobs`, or [`HOLE`].
    slots: Vec<u32>,
    blobs: Vec<BlobId>,
}

impl Piece {
    /// Finds out what the blocks of a stored file are. `disk` names it in errors; `blob_bytes` looks a length up where it does not
    /// follow from the layout.
    pub(in crate::volumes) fn new(
        node: &Node,
        block_bytes: u64,
        disk: &str,
        blob_bytes: impl Fn(&BlobId) -> Option<u32>,
    ) -> Result<Self, ReadError> {
        let content = node.content.as_deref().unwrap_or_default();
        let zeros = ZeroIds::new(block_bytes);
        let by_rule = |id: &BlobId, rest: u64| zeros.length(id).min(rest);
        let total: u64 = content.iter().fold(0, |sum, id| {
            sum + by_rule(id, node.size.saturating_sub(sum))
        });
        let count = node.size.div_ceil(block_bytes);
        let mut piece = Self {
            slots: Vec::with_capacity(count as usize),
            blobs: Vec::new(),
        };
        let mut offset = 0;
        // A block that began with zeros of a shorter blob and is not complete yet.
        let mut partial_zeros = 0;
        for id in content {
            let rest = node.size.saturating_sub(offset);
            let length = if total == node.size {
                by_rule(id, rest)
            } else {
                let bytes = blob_bytes(id).ok_or(ReadError::BlobMissing {
                    disk: disk.to_owned(),
                    blob: *id,
                })?;
                u64::from(bytes)
            };
            let expected = block_bytes.min(rest);
            let misfit = || ReadError::Layout {
                disk: disk.to_owned(),
                problem: format!(
                    "a blob of {length} bytes at offset {offset} is no block of {block_bytes} bytes"
                ),
            };
            if length == 0 || length > rest {
                return Err(misfit());
            }
            if zeros.is_zeros(id, length) {
                partial_zeros += length;
                while partial_zeros >= block_bytes {
                    piece.slots.push(HOLE);
                    partial_zeros -= block_bytes;
                }
                if length == rest && partial_zeros > 0 {
                    piece.slots.push(HOLE);
                    partial_zeros = 0;
                }
            } else if partial_zeros == 0 && length == expected {
                piece.slots.push(piece.blobs.len() as u32);
                piece.blobs.push(*id);
            } else {
                return Err(misfit());
            }
            offset += length;
        }
        if offset != node.size || piece.slots.len() as u64 != count {
            return Err(ReadError::Layout {
                disk: disk.to_owned(),
                problem: format!("its blobs have {offset} bytes, the file has {}", node.size),
            });
        }
        piece.blobs.shrink_to_fit();
        Ok(piece)
    }

    /// How many blocks it has.
    pub(in crate::volumes) fn blocks(&self) -> usize {
        self.slots.len()
    }

    /// The blob of a block, counted from the beginning of the piece; none for a hole and behind the end.
    pub(in crate::volumes) fn blob(&self, block: usize) -> Option<&BlobId> {
        let slot = *self.slots.get(block)?;
        self.blobs.get(slot as usize)
    }

    /// Bytes of memory.
    pub(super) fn weight(&self) -> u64 {
        (self.slots.len() * 4 + self.blobs.len() * size_of::<BlobId>() + 64) as u64
    }
}

/// Ids of zeros.
struct ZeroIds {
    hole: BlobId,
    block: BlobId,
    block_bytes: u64,
}

impl ZeroIds {
    fn new(block_bytes: u64) -> Self {
        Self {
            hole: zero_blob_id(),
            block: zeros_id(block_bytes),
            block_bytes,
        }
    }

    /// How long a blob is if it is not the last one.
    fn length(&self, id: &BlobId) -> u64 {
        if *id == self.hole {
            ZERO_BLOB_BYTES
        } else {
            self.block_bytes
        }
    }

    /// Whether a blob is all zeros. Only the last one of a disk is shorter than a block.
    fn is_zeros(&self, id: &BlobId, length: u64) -> bool {
        *id == self.hole
            || *id == self.block
            || (length < self.block_bytes && *id == zeros_id(length))
    }
}

fn zeros_id(bytes: u64) -> BlobId {
    BlobId::of(&vec![0; bytes as usize])
}

#[cfg(test)]
mod tests {
    use snapkeep_vault::NodeKind;

    use super::*;

    const BLOCK: u64 = 256 << 10;

    fn node(size: u64, content: Vec<BlobId>) -> Node {
        Node {
            size,
            content: Some(content),
            ..Node::new("disk.raw", NodeKind::File)
        }
    }

    fn data(number: u8) -> BlobId {
        BlobId::of(&[number])
    }

    fn piece(size: u64, block: u64, content: Vec<BlobId>) -> Result<Piece, ReadError> {
        Piece::new(&node(size, content), block, "vol-ABC1234/disk-0000", |_| {
            None
        })
    }

    fn blocks(piece: &Piece) -> Vec<Option<BlobId>> {
        (0..piece.blocks())
            .map(|block| piece.blob(block).copied())
            .collect()
    }

    #[test]
    fn a_hole_of_512_kib_is_two_blocks_wherever_it_begins() {
        let content = vec![data(1), zero_blob_id(), data(2), zeros_id(BLOCK), data(3)];
        let piece = piece(6 * BLOCK, BLOCK, content).unwrap();
        let expected = [
            Some(data(1)),
            None,
            None,
            Some(data(2)),
            None,
            Some(data(3)),
        ];
        assert_eq!(blocks(&piece), expected);
        assert_eq!(piece.blob(6), None);
    }

    #[test]
    fn large_blocks_are_made_of_several_zero_blobs() {
        let content = vec![
            zero_blob_id(),
            zero_blob_id(),
            data(1),
            zero_blob_id(),
            zeros_id(1000),
        ];
        let piece = piece((2 << 20) + (512 << 10) + 1000, 1 << 20, content).unwrap();
        assert_eq!(blocks(&piece), [None, Some(data(1)), None]);
    }

    #[test]
    fn the_last_block_may_be_shorter() {
        let with_data = piece(BLOCK + 512, BLOCK, vec![data(1), data(2)]).unwrap();
        assert_eq!(blocks(&with_data), [Some(data(1)), Some(data(2))]);
        let with_zeros = piece(BLOCK + 512, BLOCK, vec![data(1), zeros_id(512)]).unwrap();
        assert_eq!(blocks(&with_zeros), [Some(data(1)), None]);
        let empty = piece(0, BLOCK, Vec::new()).unwrap();
        assert_eq!(empty.blocks(), 0);
    }

    #[test]
    fn what_is_no_row_of_blocks_is_refused() {
        let text = |result: Result<Piece, ReadError>| result.unwrap_err().to_string();
        let too_few = text(piece(3 * BLOCK, BLOCK, vec![data(1), data(2)]));
        assert!(too_few.contains("is missing"), "{too_few}");
        let halves = Piece::new(
            &node(3 * BLOCK, vec![data(1), data(2)]),
            BLOCK,
            "vol-ABC1234/disk-0000",
            |_| Some(BLOCK as u32 * 3 / 2),
        );
        let halves = text(halves);
        assert!(halves.contains("is no block of 262144 bytes"), "{halves}");
        let too_many = text(piece(BLOCK, BLOCK, vec![data(1), data(2)]));
        assert!(too_many.contains("is no block"), "{too_many}");
    }
}
