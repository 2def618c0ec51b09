//! Passwords that were verified a moment ago, so that `Basic` does not cost a hash of 75 ms with every request.
//!
//! A name and password are known by a hash keyed with a random key of this process: nothing here helps to find a password, and nothing
//! outlives the process. Any change of any credential empties it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a verification counts, ms.
const LIFE_MS: i64 = 300_000;
/// Verifications remembered.
const REMEMBERED: usize = 1024;

type Digest = [u8; 32];

/// Remembers verifications.
#[derive(Debug)]
pub(super) struct Verified {
    key: Digest,
    entries: Mutex<HashMap<Digest, i64>>,
}

impl Default for Verified {
    fn default() -> Self {
        Self {
            key: rand::random(),
            entries: Mutex::default(),
        }
    }
}

impl Verified {
    /// Whether exactly this was verified, against exactly this stored hash.
    pub(super) fn knows(&self, name: &str, password: &str, hashed: &str, now_ms: i64) -> bool {
        let digest = self.digest(name, password, hashed);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(&digest).is_some_and(|until| now_ms < *until)
    }

    /// Notes a verification.
    pub(super) fn remember(&self, name: &str, password: &str, hashed: &str, now_ms: i64) {
        let digest = self.digest(name, password, hashed);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= REMEMBERED {
            entries.retain(|_, until| now_ms < *until);
        }
        if entries.len() >= REMEMBERED {
            entries.clear();
        }
        entries.insert(digest, now_ms + LIFE_MS);
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The stored hash goes in too: a verification that ends after the password was rotated must not count for the new one.
    fn digest(&self, name: &str, password: &str, hashed: &str) -> Digest {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            // Keys of any length are taken; a digest nobody else has matches nothing.
            Err(_) => return rand::random(),
        };
        for part in [name, hashed, password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_was_verified_is_known_for_five_minutes() {
        let verified = Verified::default();
        verified.remember("a", "bc", "h", 0);
        assert!(verified.knows("a", "bc", "h", LIFE_MS - 1));
        assert!(!verified.knows("a", "bc", "h", LIFE_MS));
        assert!(!verified.knows("ab", "c", "h", 0));
        assert!(!verified.knows("a", "bc", "rotated", 0));
        verified.clear();
        assert!(!verified.knows("a", "bc", "h", 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let verified = Verified::default();
        for n in 0..3 * REMEMBERED {
            verified.remember(&n.to_string(), "p", "h", 0);
        }
        assert!(verified.entries.lock().unwrap().len() <= REMEMBERED);
    }
}
