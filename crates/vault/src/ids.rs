//! Names of things in a repository.
//!
//! A restic repository names everything by 32 bytes, written as 64 lower-case hexadecimal digits. For blobs these are the
//! SHA-256 of the plain content, for files the SHA-256 of the file as stored. The types keep the two, and the kinds
//! of files, from being mixed up.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that is not a name of 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: 64 hexadecimal digits are expected")]
pub struct ParseIdError {
    /// The beginning of the text, at most 80 characters.
    pub text: String,
}

fn parse_hex(text: &str) -> Result<[u8; 32], ParseIdError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
        text: text.chars().take(80).collect(),
    })?;
    Ok(bytes)
}

struct HexVisitor;

impl serde::de::Visitor<'_> for HexVisitor {
    type Value = [u8; 32];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("64 hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<[u8; 32], E> {
        parse_hex(text).map_err(E::custom)
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The id of these 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The SHA-256 of `content`.
            pub fn of(content: &[u8]) -> Self {
                Self(Sha256::digest(content).into())
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight digits, as people write ids.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }

            /// All 64 digits without an allocation; valid UTF-8.
            pub fn to_hex(&self) -> [u8; 64] {
                let mut digits = [0; 64];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = HEX_DIGITS[usize::from(byte >> 4)];
                    pair[1] = HEX_DIGITS[usize::from(byte & 15)];
                }
                digits
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = self.to_hex();
                formatter.pad(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(HexVisitor).map(Self)
            }
        }
    };
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

id_type!(
    /// A piece of content or a directory: SHA-256 of its plain bytes.
    BlobId
);
id_type!(
    /// A pack file below `data/`: SHA-256 of the file as stored.
    PackId
);
id_type!(
    /// An index file: SHA-256 of the file as stored.
    IndexId
);
id_type!(
    /// A snapshot file: SHA-256 of the file as stored.
    SnapshotId
);
id_type!(
    /// A key file: SHA-256 of the file as stored.
    KeyId
);
id_type!(
    /// A lock file: SHA-256 of the file as stored.
    LockId
);
id_type!(
    /// A repository: 32 random bytes drawn when it was made, kept in its `config`.
    RepositoryId
);

impl BlobId {
    /// The ids of many contents, in their order: quicker than one after another.
    pub fn of_all(contents: &[&[u8]]) -> Vec<Self> {
        let digests = snapkeep_sha256::digests(contents);
        digests.into_iter().map(Self::from_bytes).collect()
    }
}

impl RepositoryId {
    /// A new id, drawn at random.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_id_is_the_sha256_in_hexadecimal() {
        assert_eq!(BlobId::of(b"").to_string(), EMPTY);
        assert_eq!(BlobId::of(b"").short(), "e3b0c442");
        assert_eq!(EMPTY.parse::<BlobId>().unwrap(), BlobId::of(b""));
    }

    #[test]
    fn ids_travel_through_json_as_text() {
        let json = serde_json::to_string(&PackId::of(b"")).unwrap();
        assert_eq!(json, format!("\"{EMPTY}\""));
        assert_eq!(
            serde_json::from_str::<PackId>(&json).unwrap(),
            PackId::of(b"")
        );
    }

    #[test]
    fn anything_but_64_digits_is_refused() {
        for text in ["", "e3", &EMPTY[1..], &format!("{EMPTY}0"), &"g".repeat(64)] {
            assert!(text.parse::<BlobId>().is_err(), "{text}");
            assert!(serde_json::from_str::<BlobId>(&format!("{text:?}")).is_err());
        }
    }
}
