//! How often each cluster of the file is used.
//!
//! Counts are kept in memory only for the end of the file that still changes: 64 KiB for every 2 GiB written since the open
//! packed cluster.

use std::collections::VecDeque;

use super::CLUSTER_BYTES;

/// Counts of 16 bits in a cluster.
const COUNTS_PER_BLOCK: u64 = CLUSTER_BYTES / 2;

#[derive(Default)]
pub(super) struct Refcounts {
    /// Blocks that are in the file: their offsets, in order.
    written: Vec<u64>,
    /// The blocks behind them.
    open: VecDeque<Vec<u16>>,
}

impl Refcounts {
    /// Counts one more use of `cluster`.
    pub(super) fn add(&mut self, cluster: u64) {
        let block = (cluster / COUNTS_PER_BLOCK) as usize;
        let place = block - self.written.len();
        while self.open.len() <= place {
            self.open.push_back(vec![0; COUNTS_PER_BLOCK as usize]);
        }
        let count = &mut self.open[place][(cluster % COUNTS_PER_BLOCK) as usize];
        *count = count.saturating_add(1);
    }

    /// Whether the first open block ends before `cluster`, from which on counts still change.
    pub(super) fn is_settled_before(&self, cluster: u64) -> bool {
        (self.written.len() as u64 + 1) * COUNTS_PER_BLOCK <= cluster
    }

    /// Takes the first open block out, to be written at `offset`.
    pub(super) fn close_first(&mut self, offset: u64) -> Option<Vec<u8>> {
        let counts = self.open.pop_front()?;
        self.written.push(offset);
        Some(
            counts
                .iter()
                .flat_map(|count| count.to_be_bytes())
                .collect(),
        )
    }

    /// How many clusters the table takes, and how many blocks are still to be written, when both come at the end of a file of
    /// `clusters` clusters.
    pub(super) fn rest(&self, clusters: u64) -> (u64, u64) {
        let mut blocks = self.written.len() as u64 + 1;
        loop {
            let table = (blocks * 8).div_ceil(CLUSTER_BYTES);
            let open = blocks - self.written.len() as u64;
            let needed = (clusters + table + open).div_ceil(COUNTS_PER_BLOCK);
            if needed <= blocks {
                return (table, open);
            }
            blocks = needed;
        }
    }

    /// The table: where each block is.
    pub(super) fn table(&self) -> Vec<u8> {
        self.written
            .iter()
            .flat_map(|offset| offset.to_be_bytes())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_counts_itself() {
        let counts = Refcounts::default();
        assert_eq!(counts.rest(5), (1, 1));
        assert_eq!(counts.rest(COUNTS_PER_BLOCK - 2), (1, 1));
        assert_eq!(counts.rest(COUNTS_PER_BLOCK - 1), (1, 2));
        assert_eq!(counts.rest(10 * COUNTS_PER_BLOCK), (1, 11));
    }

    #[test]
    fn blocks_are_closed_in_order() {
        let mut counts = Refcounts::default();
        counts.add(3);
        counts.add(3);
        counts.add(COUNTS_PER_BLOCK + 1);
        assert!(!counts.is_settled_before(COUNTS_PER_BLOCK - 1));
        assert!(counts.is_settled_before(COUNTS_PER_BLOCK));
        let block = counts.close_first(0x10000).unwrap();
        assert_eq!(&block[6..8], &[0, 2]);
        assert_eq!(counts.table(), 0x10000u64.to_be_bytes());
        counts.add(COUNTS_PER_BLOCK + 1);
        assert_eq!(&counts.close_first(0x20000).unwrap()[2..4], &[0, 2]);
    }
}
