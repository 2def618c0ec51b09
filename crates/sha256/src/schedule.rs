//! Which message is in which lane.

use sha2::block_api::compress256;

use crate::lanes::{BLOCK, LANES, Lanes, States};

/// Lanes that are still busy when one processor's SHA instructions are quicker for what is left.
const FEW: usize = 5;

const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// What is left of a message: its whole blocks, then one or two with the padding.
struct Rest<'a> {
    /// Which message.
    number: usize,
    whole: &'a [[u8; BLOCK]],
    end: [[u8; BLOCK]; 2],
    end_blocks: usize,
    /// End blocks that are done.
    end_done: usize,
}

impl<'a> Rest<'a> {
    fn new(number: usize, message: &'a [u8]) -> Self {
        let (whole, tail) = message.as_chunks::<BLOCK>();
        let mut end = [[0; BLOCK]; 2];
        end[0][..tail.len()].copy_from_slice(tail);
        end[0][tail.len()] = 0x80;
        // The length in bits takes the last eight bytes.
        let end_blocks = if tail.len() < BLOCK - 8 { 1 } else { 2 };
        let bits = (message.len() as u64) << 3;
        end[end_blocks - 1][BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
        Self {
            number,
            whole,
            end,
            end_blocks,
            end_done: 0,
        }
    }

    /// Blocks that lie one behind the other.
    fn run(&self) -> &[[u8; BLOCK]] {
        if self.whole.is_empty() {
            &self.end[self.end_done..self.end_blocks]
        } else {
            self.whole
        }
    }

    fn advance(&mut self, blocks: usize) {
        if self.whole.is_empty() {
            self.end_done += blocks;
        } else {
            self.whole = &self.whole[blocks..];
        }
    }

    fn is_done(&self) -> bool {
        self.whole.is_empty() && self.end_done == self.end_blocks
    }

    /// Goes to the end with one stream.
    fn finish(&mut self, state: &mut [u32; 8]) {
        compress256(state, self.whole);
        compress256(state, &self.end[self.end_done..self.end_blocks]);
        self.whole = &[];
        self.end_done = self.end_blocks;
    }
}

/// The digests of all messages. The longest go first, so that the lanes end at about the same time.
pub(crate) fn digests(lanes: Lanes, messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; messages.len()];
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by_key(|number| messages[*number].len());
    let mut next = || {
        let number = order.pop()?;
        Some(Rest::new(number, messages[number]))
    };
    let mut states = States::default();
    let mut rests: [Option<Rest<'_>>; LANES] = std::array::from_fn(|_| None);
    loop {
        for (lane, rest) in rests.iter_mut().enumerate() {
            if rest.is_none() {
                *rest = next();
                states.set(lane, &INITIAL);
            }
        }
        let busy = rests.iter().flatten().count();
        if busy <= FEW {
            break;
        }
        let shortest = rests.iter().flatten().map(|rest| rest.run().len()).min();
        let blocks = shortest.unwrap_or_default();
        // Empty lanes hash along what some other lane does.
        let Some(any) = rests.iter().flatten().next().map(Rest::run) else {
            break;
        };
        let runs: [&[[u8; BLOCK]]; LANES] =
            std::array::from_fn(|lane| &rests[lane].as_ref().map_or(any, Rest::run)[..blocks]);
        lanes.compress(&mut states, &runs);
        for (lane, slot) in rests.iter_mut().enumerate() {
            if let Some(rest) = slot {
                rest.advance(blocks);
                if rest.is_done() {
                    digests[rest.number] = bytes_of(&states.get(lane));
                    *slot = None;
                }
            }
        }
    }
    for (lane, rest) in rests.iter_mut().enumerate() {
        if let Some(rest) = rest {
            let mut state = states.get(lane);
            rest.finish(&mut state);
            digests[rest.number] = bytes_of(&state);
        }
    }
    digests
}

fn bytes_of(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    bytes
}
