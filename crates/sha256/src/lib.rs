//! SHA-256 (FIPS 180-4) of many messages at once.
//!
//! Processors with SHA instructions hash one stream at about 2 GB/s and a core; sixteen streams side by side in AVX-512 registers
//! come to more than twice that. [`digests`] uses what the processor has and gives the same digests everywhere: the vector path is tested
//! against the `sha2` crate, which also does all the work where there is no AVX-512.
//!
//! * `schedule`: which message is in which lane, and their ends (padding).
//! * `lanes`: the compression function on sixteen lanes. The only `unsafe` code.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod schedule;

use sha2::{Digest, Sha256};

/// Fewer messages than this are hashed one after another: they would leave too many lanes empty.
#[cfg(target_arch = "x86_64")]
const WORTHWHILE: usize = 6;

/// The SHA-256 of each message, in their order. Memory: 32 bytes a message and a few KiB.
pub fn digests(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if messages.len() >= WORTHWHILE
        && let Some(lanes) = lanes::Lanes::detect()
    {
        return schedule::digests(lanes, messages);
    }
    one_by_one(messages)
}

fn one_by_one(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let digest = |message: &&[u8]| Sha256::digest(message).into();
    messages.iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(messages: &[Vec<u8>]) {
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        assert_eq!(digests(&messages), one_by_one(&messages));
    }

    fn message(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn known_digests() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let messages: Vec<&[u8]> = [b"abc".as_slice(), b""].repeat(20);
        for (digest, expected) in digests(&messages).iter().zip([abc, empty].repeat(20)) {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn all_lengths_around_the_ends_of_blocks() {
        let all: Vec<Vec<u8>> = (0..400).map(|length| message(7, length)).collect();
        check(&all);
    }

    #[test]
    fn any_number_of_messages() {
        for count in 0..70 {
            let all: Vec<Vec<u8>> = (0..count)
                .map(|n| message(n, 100 + n as usize * 37))
                .collect();
            check(&all);
        }
    }

    #[test]
    fn one_long_message_among_short_ones() {
        let mut all: Vec<Vec<u8>> = (0..40).map(|n| message(n, 1000)).collect();
        all.insert(3, message(99, 3_000_001));
        check(&all);
    }

    proptest! {
        #[test]
        fn the_same_as_one_after_another(lengths in prop::collection::vec(0_usize..5_000, 0..60), seed: u64) {
            let all: Vec<Vec<u8>> = lengths.iter().zip(0..).map(|(length, n)| message(seed ^ n, *length)).collect();
            check(&all);
        }
    }
}
