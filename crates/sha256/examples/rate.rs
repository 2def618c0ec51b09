//! Prints how fast many messages are hashed, side by side and one after another: `cargo run --release -p snapkeep-sha256 --example rate`.

use std::time::Instant;

use sha2::{Digest, Sha256};

fn main() {
    let data = vec![0x5a_u8; 256 << 20];
    for length in [4 << 10, 64 << 10, 256 << 10, 1 << 20] {
        let messages: Vec<&[u8]> = data.chunks(length).collect();
        let rate = |start: Instant| data.len() as f64 / start.elapsed().as_secs_f64() / 1e9;
        let start = Instant::now();
        let mut side_by_side = Vec::new();
        for some in messages.chunks(64) {
            side_by_side.extend(snapkeep_sha256::digests(some));
        }
        let ours = rate(start);
        let start = Instant::now();
        let one_by_one: Vec<[u8; 32]> = messages
            .iter()
            .map(|message| Sha256::digest(message).into())
            .collect();
        let theirs = rate(start);
        assert_eq!(side_by_side, one_by_one);
        println!(
            "{length:>8} bytes: {ours:.2} GB/s side by side, {theirs:.2} GB/s one after another"
        );
    }
}
