//! The changing parts of shards, behind one lock each; more can be added, none moves.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use super::rows::ShardState;

/// One shard's changing part, behind its write lock.
#[derive(Default)]
pub(crate) struct ShardWriter {
    pub(crate) state: ShardState,
    /// Deleted ids with their time, oldest first; their rows are removed when they are old enough.
    pub(crate) tombstones: VecDeque<(u64, String)>,
}

/// Chunk `n` holds the `2^n` shards from number `2^n - 1` on, so 17 of them hold every `u16`.
const CHUNKS: usize = 17;

/// The writers of shards by number. A chunk is made when a shard in it is first asked for and stays where
/// it is, so that tenants can be added while others are written.
#[derive(Default)]
pub(crate) struct ShardWriters {
    chunks: [OnceLock<Box<[Mutex<ShardWriter>]>>; CHUNKS],
    count: AtomicU32,
}

impl ShardWriters {
    pub(crate) fn new(states: Vec<ShardState>) -> Self {
        let writers = Self::default();
        for (shard, state) in states.into_iter().enumerate() {
            let writer = ShardWriter {
                state,
                tombstones: VecDeque::new(),
            };
            *writers
                .get(shard as u16)
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = writer;
        }
        writers
    }

    /// The writer of a shard, made if need be.
    pub(crate) fn get(&self, shard: u16) -> &Mutex<ShardWriter> {
        self.count
            .fetch_max(u32::from(shard) + 1, Ordering::Relaxed);
        let number = usize::from(shard) + 1;
        let chunk = number.ilog2() as usize;
        let writers =
            self.chunks[chunk].get_or_init(|| (0..1 << chunk).map(|_| Mutex::default()).collect());
        &writers[number - (1 << chunk)]
    }

    /// One more than the greatest number asked for so far.
    pub(crate) fn len(&self) -> u16 {
        u16::try_from(self.count.load(Ordering::Relaxed)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_writer_of_its_own() {
        let writers = ShardWriters::default();
        for shard in (0..u16::MAX).step_by(97).chain([1, 2, u16::MAX]) {
            writers.get(shard).lock().unwrap().state.live = u64::from(shard) + 1;
        }
        for shard in (0..u16::MAX).step_by(97).chain([1, 2, u16::MAX]) {
            assert_eq!(
                writers.get(shard).lock().unwrap().state.live,
                u64::from(shard) + 1
            );
        }
        assert_eq!(writers.get(3).lock().unwrap().state.live, 0);
    }
}
