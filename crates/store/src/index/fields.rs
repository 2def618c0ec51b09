//! One walk over a document's JSON that validates it and tells whether it brings new fields.
//!
//! Bulk loading must not build JSON trees. So each pair of field path and value type is a 64-bit hash, an
//! index remembers those its mapping covers, and only a document with an unknown pair is looked at closely.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Hashes of field path and type that need no further look.
pub(crate) type KnownFields = HashSet<u64, BuildHasherDefault<PassThrough>>;

/// The keys are hashes already.
#[derive(Default)]
pub(crate) struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Type of a value as far as mappings care; part of the hash.
#[derive(Clone, Copy)]
enum Class {
    Object = 1,
    Bool = 2,
    Integer = 3,
    Float = 4,
    Text = 5,
    Date = 6,
}

/// Result of [`check_source`].
pub(crate) struct FieldCheck {
    /// Hashes that are not in the known set; empty for nearly all documents.
    pub(crate) unknown: Vec<u64>,
}

/// Checks that `source` is one JSON object and collects the hashes of fields that `known` lacks.
pub(crate) fn check_source(
    source: &[u8],
    known: &KnownFields,
) -> Result<FieldCheck, serde_json::Error> {
    let mut unknown = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(source);
    let walk = Walk {
        known,
        unknown: &mut unknown,
        path: 0,
        is_root: true,
    };
    walk.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(FieldCheck { unknown })
}

/// Whether dynamic mapping takes a text for a date: `yyyy-MM-dd` with an optional time, or `yyyy/MM/dd`.
pub(crate) fn looks_like_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if bytes.len() < 10 || bytes.len() > 35 || !digits(0..4) || !digits(5..7) || !digits(8..10) {
        return false;
    }
    let separator = bytes[4];
    if bytes[7] != separator || !(separator == b'-' || separator == b'/') {
        return false;
    }
    match bytes.get(10) {
        None => true,
        Some(b'T') if separator == b'-' => digits(11..13),
        Some(b' ') if separator == b'/' => digits(11..13),
        Some(_) => false,
    }
}

struct Walk<'a> {
    known: &'a KnownFields,
    unknown: &'a mut Vec<u64>,
    path: u64,
    is_root: bool,
}

impl Walk<'_> {
    fn note(&mut self, class: Class) {
        let hash = self.path.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ class as u64;
        if !self.known.contains(&hash) && self.unknown.last() != Some(&hash) {
            self.unknown.push(hash);
        }
    }

    fn leaf<E: serde::de::Error>(mut self, class: Class) -> Result<(), E> {
        if self.is_root {
            return Err(E::custom("the document is not a JSON object"));
        }
        self.note(class);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.leaf(Class::Bool)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.leaf(Class::Integer)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.leaf(Class::Integer)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.leaf(Class::Float)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let class = if looks_like_date(text) {
            Class::Date
        } else {
            Class::Text
        };
        self.leaf(class)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.is_root {
            return Err(E::custom("the document is not a JSON object"));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.is_root {
            return Err(A::Error::custom("the document is not a JSON object"));
        }
        while items
            .next_element_seed(Walk {
                known: self.known,
                unknown: &mut *self.unknown,
                path: self.path,
                is_root: false,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        if !self.is_root {
            self.note(Class::Object);
        }
        while let Some(path) = entries.next_key_seed(Key { parent: self.path })? {
            entries.next_value_seed(Walk {
                known: self.known,
                unknown: &mut *self.unknown,
                path,
                is_root: false,
            })?;
        }
        Ok(())
    }
}

/// A key, read as the hash of its path.
struct Key {
    parent: u64,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<u64, E> {
        Ok(xxh3_64_with_seed(key.as_bytes(), self.parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_unknown_once_per_type() {
        let mut known = KnownFields::default();
        let first = check_source(br#"{"a":1,"b":{"c":["x","y"]}}"#, &known).unwrap();
        assert_eq!(first.unknown.len(), 3, "a, b, b.c");
        known.extend(first.unknown);
        let same = check_source(br#"{"b":{"c":"z"},"a":7}"#, &known).unwrap();
        assert!(same.unknown.is_empty());
        let other_type = check_source(br#"{"a":1.5}"#, &known).unwrap();
        assert_eq!(other_type.unknown.len(), 1);
    }

    #[test]
    fn only_one_json_object_is_a_document() {
        let known = KnownFields::default();
        for bad in [
            "",
            "1",
            "[]",
            "null",
            "\"x\"",
            "{",
            "{}x",
            "{\"a\":}",
            "{\"a\":1}{}",
        ] {
            assert!(check_source(bad.as_bytes(), &known).is_err(), "{bad}");
        }
        assert!(check_source(b" {} \n", &known).is_ok());
    }

    #[test]
    fn dates_are_told_from_texts() {
        for date in [
            "2026-11-21",
            "2026-11-21T10:00:00Z",
            "2026/11/21",
            "2026/11/21 10:00:00",
        ] {
            assert!(looks_like_date(date), "{date}");
        }
        for text in [
            "2026",
            "2026-11-21 x",
            "2026-1-1",
            "2026-11/21",
            "about 2026-11-21",
        ] {
            assert!(!looks_like_date(text), "{text}");
        }
    }
}
