//! Ids of objects.

use std::fmt;
use std::str::FromStr;

/// The UUID of an object. Ordered by bytes, which is the order of listings; written in lower case with
/// hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 16]);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{0}] is not a UUID of the form 8-4-4-4-12 hexadecimal digits")]
pub struct InvalidObjectId(pub String);

/// Where the hyphens are in the text.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const TEXT_BYTES: usize = 36;

impl ObjectId {
    /// A random one (version 4).
    pub fn random() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        ObjectId(bytes)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; TEXT_BYTES];
        let mut at = 0;
        for byte in self.0 {
            if HYPHENS.contains(&at) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0x0f)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    /// Accepts digits of either case.
    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        let invalid = || InvalidObjectId(text.chars().take(100).collect());
        let given = text.as_bytes();
        if given.len() != TEXT_BYTES || HYPHENS.iter().any(|&at| given[at] != b'-') {
            return Err(invalid());
        }
        let mut bytes = [0; 16];
        let mut at = 0;
        for byte in &mut bytes {
            if HYPHENS.contains(&at) {
                at += 1;
            }
            let digit = |at: usize| char::from(given[at]).to_digit(16);
            let (Some(high), Some(low)) = (digit(at), digit(at + 1)) else {
                return Err(invalid());
            };
            *byte = (high << 4 | low) as u8;
            at += 2;
        }
        Ok(ObjectId(bytes))
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_reads_back_and_sorts_like_the_bytes(one: [u8; 16], other: [u8; 16]) {
            let (one, other) = (ObjectId(one), ObjectId(other));
            prop_assert_eq!(one.to_string().parse::<ObjectId>().unwrap(), one);
            prop_assert_eq!(one.to_string().to_uppercase().parse::<ObjectId>().unwrap(), one);
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }

        #[test]
        fn other_texts_are_refused(text in ".{0,40}") {
            if let Ok(id) = text.parse::<ObjectId>() {
                prop_assert_eq!(id.to_string(), text.to_lowercase());
            }
        }
    }

    #[test]
    fn a_random_id_says_its_version() {
        let text = ObjectId::random().to_string();
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]));
    }
}
