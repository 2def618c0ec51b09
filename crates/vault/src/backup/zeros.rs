//! Zeros: the one blob that every hole is made of.
//!
//! Restic restores a file sparse where it contains the all-zero blob of its chunker's minimum size, 512 KiB. So holes
//! become repeated ids of that blob, and what is left over (less than 512 KiB) becomes the beginning of the next blob.

use crate::ids::BlobId;
use std::sync::LazyLock;

/// Length of the blob that holes are made of.
pub const ZERO_BLOB_BYTES: usize = 512 << 10;

/// The content of that blob.
pub(crate) static ZEROS: [u8; ZERO_BLOB_BYTES] = [0; ZERO_BLOB_BYTES];

/// Granularity of the search for zeros in data that was read.
pub(crate) const ZERO_BLOCK_BYTES: usize = 64 << 10;

static ZERO_BLOB_ID: LazyLock<BlobId> = LazyLock::new(|| BlobId::of(&ZEROS));

/// The id of the blob that holes are made of.
pub fn zero_blob_id() -> BlobId {
    *ZERO_BLOB_ID
}

/// Whether all bytes are zero. Ends at the first 4 KiB that are not.
pub fn is_zero(data: &[u8]) -> bool {
    const STEP: usize = 4096;
    data.first().is_none_or(|byte| *byte == 0)
        && data
            .chunks(STEP)
            .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

/// The first run of zeros in `data` that is worth a hole: its start and length, a multiple of [`ZERO_BLOB_BYTES`].
pub(super) fn find_hole(data: &[u8]) -> Option<(usize, usize)> {
    let mut run_start = 0;
    let mut run_len = 0;
    for (number, block) in data.chunks(ZERO_BLOCK_BYTES).enumerate() {
        if is_zero(block) {
            if run_len == 0 {
                run_start = number * ZERO_BLOCK_BYTES;
            }
            run_len += block.len();
        } else if run_len >= ZERO_BLOB_BYTES {
            break;
        } else {
            run_len = 0;
        }
    }
    let hole_len = run_len - run_len % ZERO_BLOB_BYTES;
    (hole_len > 0).then_some((run_start, hole_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zero_blob_is_that_of_restic() {
        let id = "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541";
        assert_eq!(zero_blob_id().to_string(), id);
    }

    #[test]
    fn only_runs_of_512_kib_are_holes() {
        let mut data = vec![1; 4 << 20];
        assert_eq!(find_hole(&data), None);
        data[1 << 20..][..ZERO_BLOB_BYTES - 1].fill(0);
        assert_eq!(find_hole(&data), None);
        data[1 << 20..][..ZERO_BLOB_BYTES + 70_000].fill(0);
        assert_eq!(find_hole(&data), Some((1 << 20, ZERO_BLOB_BYTES)));
        data[3 << 20..].fill(0);
        data[1 << 20..3 << 20].fill(2);
        assert_eq!(find_hole(&data), Some((3 << 20, 1 << 20)));
    }

    #[test]
    fn one_bit_anywhere_is_not_zero() {
        let mut data = vec![0; 10_001];
        assert!(is_zero(&data) && is_zero(&[]));
        for position in [0, 4095, 4096, 10_000] {
            data[position] = 128;
            assert!(!is_zero(&data), "{position}");
            data[position] = 0;
        }
    }
}
