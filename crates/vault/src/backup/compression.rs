//! How each blob is compressed: as usual, faster where that stores as little, or not at all where nothing gets smaller.
//!
//! Compression is more than half of the cost of a first backup, and data comes in stretches of a kind: what the last large blobs
//! showed is a good guess for the next. Small blobs are always compressed as usual.

use crate::format::{BlobKind, Compressor, DEFAULT_LEVEL, FormatError, OVERHEAD_BYTES, PackEntry};

/// Blobs shorter than this are always compressed as usual.
const LARGE_BYTES: usize = 256 << 10;

/// A probe looks at this many pieces of a blob, evenly spread: extents of 64 KiB in a blob of 1 MiB are all seen.
const PROBE_PIECES: usize = 16;
/// Length of one of them.
const PROBE_PIECE_BYTES: usize = 4 << 10;
/// Level of the probe. The negative levels are faster, but blind to data that only entropy coding makes smaller.
const PROBE_LEVEL: i32 = 1;
/// A blob that keeps more than this share, in percent, is not worth compressing.
const KEEPS_PERCENT: usize = 97;

/// Large blobs from one comparison of the usual and the fast way to the next, as long as the fast one is in use or was near.
const TRIAL_EVERY: u32 = 32;
/// The same where the fast way has lost again and again.
const TRIAL_EVERY_MAX: u32 = 256;
/// Comparisons at the beginning, one blob after another.
const FIRST_TRIALS: u32 = 4;
/// The fast way is taken if it stores at most this share, in thousandths, of what the usual way does.
const FAST_MAX_PER_MILLE: u64 = 1020;

/// The compressors of one packer, and what they showed lately.
#[derive(Debug)]
pub(super) struct Compression {
    usual: Compressor,
    /// Absent where it is not to be used: for directories, and where another level was asked for.
    fast: Option<Compressor>,
    probe: Option<Compressor>,
    /// Whether the last large blob did not get smaller: the next is probed first. As long as compression works, no probe is paid.
    is_doubtful: bool,
    is_fast: bool,
    /// Large blobs until both ways are compared again, and the number after that.
    until_trial: u32,
    trial_every: u32,
    first_trials: u32,
    /// Stored bytes of the compared blobs either way; earlier ones count less and less.
    usual_bytes: u64,
    fast_bytes: u64,
    /// What the last choice was.
    chosen: Choice,
    sample: Vec<u8>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Raw,
    Usual,
    Fast,
}

impl Compression {
    pub fn new(kind: BlobKind, level: i32) -> Result<Self, FormatError> {
        let has_fast = kind == BlobKind::Data && level == DEFAULT_LEVEL;
        Ok(Self {
            usual: Compressor::new(level)?,
            fast: if has_fast {
                Some(Compressor::fast()?)
            } else {
                None
            },
            probe: None,
            is_doubtful: false,
            is_fast: false,
            until_trial: 0,
            trial_every: TRIAL_EVERY,
            first_trials: FIRST_TRIALS,
            usual_bytes: 0,
            fast_bytes: 0,
            chosen: Choice::Usual,
            sample: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// The compressor for this blob; `None`: it is stored as it is.
    pub fn choose(&mut self, plain: &[u8]) -> Result<Option<&mut Compressor>, FormatError> {
        self.chosen = if plain.len() < LARGE_BYTES {
            Choice::Usual
        } else if self.is_doubtful && !self.gets_smaller(plain)? {
            Choice::Raw
        } else if self.is_fast {
            Choice::Fast
        } else {
            Choice::Usual
        };
        Ok(match self.chosen {
            Choice::Raw => None,
            Choice::Usual => Some(&mut self.usual),
            Choice::Fast => self.fast.as_mut(),
        })
    }

    /// Learns from what became of the blob that was chosen for last.
    pub fn note(&mut self, plain: &[u8], entry: &PackEntry) -> Result<(), FormatError> {
        if plain.len() < LARGE_BYTES || self.chosen == Choice::Raw {
            return Ok(());
        }
        let stored = (entry.length as usize).saturating_sub(OVERHEAD_BYTES);
        self.is_doubtful = stored * 100 > plain.len() * KEEPS_PERCENT;
        if self.is_doubtful || self.fast.is_none() {
            return Ok(());
        }
        if self.until_trial > 0 {
            self.until_trial -= 1;
            return Ok(());
        }
        self.compare(plain, stored as u64)
    }

    /// Compresses the blob the other way too, only to know.
    fn compare(&mut self, plain: &[u8], stored: u64) -> Result<(), FormatError> {
        let other = match self.chosen {
            Choice::Fast => &mut self.usual,
            _ => match &mut self.fast {
                Some(fast) => fast,
                None => return Ok(()),
            },
        };
        self.scratch.clear();
        let otherwise = other.compress_into(plain, &mut self.scratch)? as u64;
        let (usual, fast) = if self.chosen == Choice::Fast {
            (otherwise, stored)
        } else {
            (stored, otherwise)
        };
        self.usual_bytes = self.usual_bytes / 8 * 7 + usual;
        self.fast_bytes = self.fast_bytes / 8 * 7 + fast;
        self.is_fast = self.fast_bytes * 1000 <= self.usual_bytes * FAST_MAX_PER_MILLE;
        self.first_trials = self.first_trials.saturating_sub(1);
        if self.first_trials > 0 {
            return Ok(());
        }
        self.trial_every = if self.is_fast {
            TRIAL_EVERY
        } else {
            (self.trial_every * 2).min(TRIAL_EVERY_MAX)
        };
        self.until_trial = self.trial_every;
        Ok(())
    }

    fn gets_smaller(&mut self, plain: &[u8]) -> Result<bool, FormatError> {
        let step = plain.len() / PROBE_PIECES;
        self.sample.clear();
        for piece in plain.chunks(step).take(PROBE_PIECES) {
            self.sample.extend_from_slice(&piece[..PROBE_PIECE_BYTES]);
        }
        let probe = match &mut self.probe {
            Some(probe) => probe,
            None => self.probe.insert(Compressor::new(PROBE_LEVEL)?),
        };
        self.scratch.clear();
        let compressed = probe.compress_into(&self.sample, &mut self.scratch)?;
        Ok(compressed * 100 <= self.sample.len() * KEEPS_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{MasterKey, PackBuilder};
    use crate::ids::BlobId;

    /// What is chosen for each of these blobs, one after another.
    fn choices(blobs: &[Vec<u8>]) -> Vec<Choice> {
        let key = MasterKey::generate();
        let mut builder = PackBuilder::new(BlobKind::Data, 0);
        let mut compression = Compression::new(BlobKind::Data, DEFAULT_LEVEL).unwrap();
        let mut choices = Vec::new();
        for plain in blobs {
            let compressor = compression.choose(plain).unwrap();
            let entry = builder
                .add(&key, BlobId::of(plain), plain, compressor)
                .unwrap();
            compression.note(plain, &entry).unwrap();
            choices.push(compression.chosen);
        }
        choices
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        rand::fill(&mut bytes[..]);
        bytes
    }

    #[test]
    fn a_noise_like_stretch_is_probed_and_stored_as_it_is_until_it_ends() {
        let text = b"the quick brown fox ".repeat(30_000);
        let blobs = [noise(1 << 19), noise(1 << 19), noise(100), text];
        let chosen = choices(&blobs);
        assert_eq!(chosen[1..3], [Choice::Raw, Choice::Usual]);
        assert_ne!(chosen[3], Choice::Raw);
    }

    #[test]
    fn a_small_part_that_gets_smaller_is_seen_by_the_probe() {
        let mut mixed = noise(1 << 20);
        mixed[512 << 10..][..64 << 10].fill(b'x');
        let chosen = choices(&[noise(1 << 20), mixed]);
        assert_ne!(chosen[1], Choice::Raw);
    }

    #[test]
    fn the_fast_way_is_taken_where_it_stores_as_little() {
        // Hexadecimal digits: there is nothing to find but their entropy.
        let digits = || hex::encode(noise(1 << 19)).into_bytes();
        let chosen = choices(&[digits(), digits(), digits()]);
        assert_eq!(chosen, [Choice::Usual, Choice::Fast, Choice::Fast]);
    }

    #[test]
    fn another_level_is_kept_to() {
        let mut compression = Compression::new(BlobKind::Data, 9).unwrap();
        let plain = vec![7; 1 << 20];
        compression.choose(&plain).unwrap();
        assert!(compression.fast.is_none());
    }
}
