//! Texts that must not be seen, and how they are made.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A password, key or token. Never shown by `Debug`, wiped when dropped; only [`Secret::expose`] gives it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// 256 random bits as 43 characters of URL-safe base64.
    pub(super) fn random() -> Self {
        let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
        Self::new(URL_SAFE_NO_PAD.encode(*bytes))
    }

    /// A password that people can type: five groups of five letters and digits, none of which looks like another (123 bits).
    pub(super) fn random_password() -> Self {
        let mut text = String::with_capacity(29);
        for group in 0..5 {
            if group > 0 {
                text.push('-');
            }
            text.push_str(&random_text(b"abcdefghijkmnpqrstuvwxyz23456789", 5));
        }
        Self::new(text)
    }

    /// 40 letters and digits, as clouds give out with an access key (238 bits).
    pub(super) fn random_access_secret() -> Self {
        Self::new(random_text(ALPHANUMERIC, 40))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Id of an API key: 20 characters.
pub(super) fn random_key_id() -> String {
    random_text(ALPHANUMERIC, 20)
}

/// An access key: 20 upper-case letters and digits.
pub(super) fn random_access_key() -> String {
    format!(
        "SK{}",
        random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 18)
    )
}

fn random_text(alphabet: &[u8], length: usize) -> String {
    (0..length)
        .map(|_| char::from(alphabet[rand::random_range(0..alphabet.len())]))
        .collect()
}

/// What is kept of a secret that has too much chance in it to be guessed: SHA-256, hexadecimal.
pub(super) fn fingerprint(secret: &str) -> String {
    Sha256::digest(secret.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_never_the_same() {
        let secret = Secret::random();
        assert!(!format!("{secret:?}").contains(secret.expose()));
        assert_eq!(secret.expose().len(), 43);
        assert_ne!(secret, Secret::random());
        assert_eq!(Secret::random_password().expose().len(), 29);
        assert_eq!(random_access_key().len(), 20);
    }

    #[test]
    fn a_fingerprint_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint("abc"), expected);
    }
}
