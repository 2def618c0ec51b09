//! Encryption: AES-256 in counter mode, authenticated by Poly1305-AES.
//!
//! A sealed text is `nonce (16) ‖ ciphertext ‖ MAC (16)`. The nonce is the start of the 128-bit big-endian counter and the
//! nonce of the one-time Poly1305 key `r ‖ AES-128_k(nonce)`; the MAC covers the ciphertext alone.
//! Readers check the MAC before they decrypt.

use super::FormatError;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use poly1305::Poly1305;
use poly1305::universal_hash::UniversalHash;
use rand::RngCore;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

type Aes256Ctr = ctr::Ctr128BE<aes::Aes256>;

/// Length of the nonce before the ciphertext.
pub(super) const NONCE_BYTES: usize = 16;
/// Length of the authentication code after the ciphertext.
pub(super) const MAC_BYTES: usize = 16;
/// What sealing adds to a text.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + MAC_BYTES;

/// The key that a repository, or one key file, is sealed with. Wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterKey {
    encrypt: Zeroizing<[u8; 32]>,
    mac_k: Zeroizing<[u8; 16]>,
    mac_r: Zeroizing<[u8; 16]>,
}

impl MasterKey {
    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        rand::rng().fill_bytes(&mut bytes[..]);
        Self::from_derived(&bytes)
    }

    /// The key from 64 derived bytes: 32 for AES-256, 16 `k`, 16 `r`.
    pub(super) fn from_derived(bytes: &[u8; 64]) -> Self {
        let mut key = Self {
            encrypt: Zeroizing::new([0; 32]),
            mac_k: Zeroizing::new([0; 16]),
            mac_r: Zeroizing::new([0; 16]),
        };
        key.encrypt.copy_from_slice(&bytes[..32]);
        key.mac_k.copy_from_slice(&bytes[32..48]);
        key.mac_r.copy_from_slice(&bytes[48..]);
        clamp(&mut key.mac_r);
        key
    }

    /// The key from its three parts, as a key file holds them.
    pub(super) fn from_parts(encrypt: [u8; 32], mac_k: [u8; 16], mut mac_r: [u8; 16]) -> Self {
        clamp(&mut mac_r);
        Self {
            encrypt: Zeroizing::new(encrypt),
            mac_k: Zeroizing::new(mac_k),
            mac_r: Zeroizing::new(mac_r),
        }
    }

    /// The three parts: `encrypt`, `k` and `r`.
    pub(super) fn parts(&self) -> (&[u8; 32], &[u8; 16], &[u8; 16]) {
        (&self.encrypt, &self.mac_k, &self.mac_r)
    }

    /// Seals `plain` into a new vector, [`OVERHEAD_BYTES`] longer.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        self.seal_into(plain, &mut sealed);
        sealed
    }

    /// Appends the sealed `plain` to `out`.
    pub fn seal_into(&self, plain: &[u8], out: &mut Vec<u8>) {
        out.reserve(plain.len() + OVERHEAD_BYTES);
        let start = begin_seal(out);
        out.extend_from_slice(plain);
        self.finish_seal(out, start);
    }

    /// Encrypts in place what was appended to `out` since [`begin_seal`] returned `start`, and appends the MAC.
    pub(super) fn finish_seal(&self, out: &mut Vec<u8>, start: usize) {
        let mut nonce = [0; NONCE_BYTES];
        // The thread's ChaCha generator, reseeded by the system: a system call a blob would cost more than a small blob's encryption.
        let mut generator = rand::rng();
        while nonce == [0; NONCE_BYTES] {
            generator.fill_bytes(&mut nonce);
        }
        out[start..start + NONCE_BYTES].copy_from_slice(&nonce);
        let text = &mut out[start + NONCE_BYTES..];
        self.apply_key_stream(&nonce, text);
        let mac = self.mac(&nonce, text);
        out.extend_from_slice(&mac);
    }

    /// Checks and decrypts a sealed text into a new vector.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, FormatError> {
        let (nonce, text) = self.authenticate(sealed)?;
        let mut plain = text.to_vec();
        self.apply_key_stream(&nonce, &mut plain);
        Ok(plain)
    }

    /// Checks and decrypts a sealed text where it is; the plain text is the part returned.
    /// On an error nothing has been decrypted.
    pub fn open_in_place<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], FormatError> {
        let (nonce, text) = self.authenticate(sealed)?;
        let end = NONCE_BYTES + text.len();
        let text = &mut sealed[NONCE_BYTES..end];
        self.apply_key_stream(&nonce, text);
        Ok(text)
    }

    /// Splits a sealed text and checks its MAC.
    fn authenticate<'a>(
        &self,
        sealed: &'a [u8],
    ) -> Result<([u8; NONCE_BYTES], &'a [u8]), FormatError> {
        let (nonce, rest) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(FormatError::TooShort)?;
        let (text, mac) = rest
            .split_last_chunk::<MAC_BYTES>()
            .ok_or(FormatError::TooShort)?;
        if nonce == &[0; NONCE_BYTES] {
            return Err(FormatError::ZeroNonce);
        }
        if bool::from(self.mac(nonce, text).ct_eq(mac)) {
            Ok((*nonce, text))
        } else {
            Err(FormatError::MacMismatch)
        }
    }

    fn apply_key_stream(&self, nonce: &[u8; NONCE_BYTES], text: &mut [u8]) {
        Aes256Ctr::new((&*self.encrypt).into(), nonce.into()).apply_keystream(text);
    }

    fn mac(&self, nonce: &[u8; NONCE_BYTES], text: &[u8]) -> [u8; MAC_BYTES] {
        let mut pad = Array::from(*nonce);
        aes::Aes128::new((&*self.mac_k).into()).encrypt_block(&mut pad);
        let mut one_time_key = [0; 32];
        one_time_key[..16].copy_from_slice(&self.mac_r[..]);
        one_time_key[16..].copy_from_slice(&pad);
        let mut poly = Poly1305::new(&one_time_key.into());
        one_time_key.zeroize();
        // Whole blocks through `update`, which uses the vector unit; only the tail goes the slow way.
        let (blocks, tail) = poly1305::Block::slice_as_chunks(text);
        poly.update(blocks);
        poly.compute_unpadded(tail).into()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey(…)")
    }
}

/// Leaves room for a nonce at the end of `out` and returns where. What is appended next is sealed by
/// [`MasterKey::finish_seal`].
pub(super) fn begin_seal(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; NONCE_BYTES]);
    start
}

/// Poly1305 uses `r` with these bits cleared; restic stores it that way.
fn clamp(r: &mut [u8; 16]) {
    for index in [3, 7, 11, 15] {
        r[index] &= 15;
    }
    for index in [4, 8, 12] {
        r[index] &= 252;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn poly1305_aes_gives_the_published_vector() {
        // Bernstein, "The Poly1305-AES message-authentication code", appendix B, first example.
        let key = MasterKey::from_parts(
            [0; 32],
            hex_array("ec074c835580741701425b623235add6"),
            hex_array("851fc40c3467ac0be05cc20404f3f700"),
        );
        let nonce = hex_array("fb447350c4e868c52ac3275cf9d4327e");
        let mac: [u8; 16] = hex_array("f4c633c3044fc145f84f335cb81953de");
        assert_eq!(key.mac(&nonce, &[0xf3, 0xf6]), mac);
    }

    fn hex_array<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_nonce_of_zeros_is_refused() {
        let key = MasterKey::generate();
        let mut sealed = key.seal(b"text");
        sealed[..16].fill(0);
        assert_eq!(key.open(&sealed), Err(FormatError::ZeroNonce));
    }

    #[test]
    fn texts_shorter_than_nonce_and_mac_are_refused() {
        let key = MasterKey::generate();
        for len in 0..OVERHEAD_BYTES {
            assert_eq!(key.open(&vec![1; len]), Err(FormatError::TooShort));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed_before_anything_is_decrypted() {
        let key = MasterKey::generate();
        let sealed = key.seal(b"0123456789abcdefghi");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = changed.clone();
            assert_eq!(
                key.open_in_place(&mut changed),
                Err(FormatError::MacMismatch)
            );
            assert_eq!(changed, before);
        }
    }

    #[test]
    fn another_key_does_not_open_it() {
        let sealed = MasterKey::generate().seal(b"text");
        assert_eq!(
            MasterKey::generate().open(&sealed),
            Err(FormatError::MacMismatch)
        );
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let key = MasterKey::generate();
            let mut sealed = key.seal(&plain);
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD_BYTES);
            prop_assert_eq!(&key.open(&sealed).unwrap(), &plain);
            prop_assert_eq!(key.open_in_place(&mut sealed).unwrap(), &plain[..]);
        }
    }
}
