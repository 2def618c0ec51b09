//! Secrets in memory.

use std::fmt;
use zeroize::Zeroizing;

/// The password of one key file. It is wiped from memory when dropped and never shown by `Debug`.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

/// Random bytes in a generated password: the strength of an AES-256 key.
const GENERATED_BYTES: usize = 32;

impl Password {
    /// A password as typed or read from a file. Restic takes the bytes as they are, without normalisation.
    pub fn new(password: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// A new password for a machine: 256 random bits as 64 hexadecimal digits, so that it can be stored in a text file and typed
    /// into stock restic. With this much randomness the slow derivation that people's passwords need is without use.
    pub fn generate() -> Self {
        let bytes: Zeroizing<[u8; GENERATED_BYTES]> = Zeroizing::new(rand::random());
        Self(Zeroizing::new(hex::encode(*bytes).into_bytes()))
    }

    /// The bytes, for key derivation or for writing into a file that only its owner may read.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no password at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", Password::from("secret")), "Password(…)");
    }

    #[test]
    fn generated_passwords_are_64_digits_and_differ() {
        let one = Password::generate();
        let two = Password::generate();
        assert_eq!(one.as_bytes().len(), 64);
        assert!(one.as_bytes().iter().all(u8::is_ascii_hexdigit));
        assert_ne!(one.as_bytes(), two.as_bytes());
    }
}
