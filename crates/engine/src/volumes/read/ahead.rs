//! What is read next: readers that go through a disk in order get their blocks loaded in few, large, parallel reads.

/// Readers in order that are told apart on one disk: the connections of a copying client.
const STREAMS_MAX: usize = 16;
/// Most bytes that are loaded ahead at once.
const WINDOW_MAX_BYTES: u64 = 16 << 20;

/// Somebody who reads in order.
#[derive(Debug, Clone, Copy)]
struct Stream {
    /// The first block that was not asked for or loaded yet.
    next: u64,
    /// Blocks to load when `next` is asked for.
    window: u64,
}

/// Recognises reading in order. A window begins with two blocks and doubles, so that reading here and there loads nothing in vain.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    /// The one that was used last comes last.
    streams: Vec<Stream>,
}

impl ReadAhead {
    /// Notes that `block` is not in memory and wanted; how many blocks from it on should be loaded, at least 1.
    pub(super) fn plan(&mut self, block: u64, block_bytes: u64) -> u64 {
        let most = (WINDOW_MAX_BYTES / block_bytes).max(1);
        // Requests that are served side by side arrive a little out of order.
        let found = self
            .streams
            .iter()
            .position(|stream| (stream.next..stream.next + stream.window).contains(&block));
        let stream = match found {
            Some(at) => {
                let stream = self.streams.remove(at);
                Stream {
                    next: block + stream.window,
                    window: (stream.window * 2).min(most),
                }
            }
            None => {
                if self.streams.len() == STREAMS_MAX {
                    self.streams.remove(0);
                }
                Stream {
                    next: block + 1,
                    window: 2.min(most),
                }
            }
        };
        self.streams.push(stream);
        stream.next - block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 256 << 10;

    #[test]
    fn a_reader_in_order_gets_windows_that_grow_to_16_mib() {
        let mut ahead = ReadAhead::default();
        let mut block = 7;
        let mut windows = Vec::new();
        for _ in 0..8 {
            let count = ahead.plan(block, BLOCK);
            windows.push(count);
            block += count;
        }
        assert_eq!(windows, [1, 2, 4, 8, 16, 32, 64, 64]);
    }

    #[test]
    fn reading_here_and_there_loads_single_blocks() {
        let mut ahead = ReadAhead::default();
        for step in 0..100 {
            assert_eq!(ahead.plan((step * 7919) % 100_003 * 10, BLOCK), 1);
        }
        assert!(ahead.streams.len() <= STREAMS_MAX);
    }

    #[test]
    fn several_readers_do_not_disturb_each_other() {
        let mut ahead = ReadAhead::default();
        let mut positions: Vec<u64> = (0..8).map(|stream| stream * 100_000).collect();
        for round in 0..5 {
            for position in &mut positions {
                let count = ahead.plan(*position, BLOCK);
                assert_eq!(count, 1 << round);
                *position += count;
            }
        }
    }
}
