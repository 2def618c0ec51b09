//! How an object lies in a row.
//!
//! The JSON is `{"creationTimeUnix":ms,"lastUpdateTimeUnix":ms,"vectors":{…},"properties":{…}}`; `vectors`
//! gives each vector's shape by its name, `[dims]` or `[rows,dims]`, in the order of the tail, which holds
//! the values as little-endian `f32`. Snapshots hold both as they are.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Object, ObjectId, ObjectVector};
use crate::{DocumentRef, StoreError};

/// Bytes of one value in a tail.
pub(super) const VALUE_BYTES: usize = 4;

/// Where a vector lies in a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: Option<u32>,
    pub(super) dims: u32,
}

impl Shape {
    /// Number of values.
    fn len(self) -> Option<usize> {
        (self.rows.unwrap_or(1) as usize).checked_mul(self.dims as usize)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rows {
            None => [self.dims].serialize(serializer),
            Some(rows) => [rows, self.dims].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Lengths {
            Single([u32; 1]),
            Multi([u32; 2]),
        }
        Ok(match Lengths::deserialize(deserializer)? {
            Lengths::Single([dims]) => Shape { rows: None, dims },
            Lengths::Multi([rows, dims]) => Shape {
                rows: Some(rows),
                dims,
            },
        })
    }
}

/// Shapes by name, in order.
pub(super) struct Shapes(pub(super) Vec<(String, Shape)>);

impl<'de> Deserialize<'de> for Shapes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Shapes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of vector shapes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shapes, A::Error> {
                let mut shapes = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    shapes.push(entry);
                }
                Ok(Shapes(shapes))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The JSON of a stored object, properties unparsed.
#[derive(Deserialize)]
pub(super) struct Stored<'a> {
    #[serde(rename = "creationTimeUnix")]
    pub(super) created_ms: i64,
    #[serde(rename = "lastUpdateTimeUnix")]
    pub(super) updated_ms: i64,
    pub(super) vectors: Shapes,
    #[serde(borrow)]
    pub(super) properties: &'a RawValue,
}

impl<'a> Stored<'a> {
    /// Parses the JSON and checks that the shapes are those of the tail.
    pub(super) fn parse(id: &str, source: &'a [u8], tail: &[u8]) -> Result<Self, StoreError> {
        let stored: Stored<'a> =
            serde_json::from_slice(source).map_err(|cause| damaged(id, &cause.to_string()))?;
        let mut values = Some(0usize);
        for (_, shape) in &stored.vectors.0 {
            values = values.and_then(|sum| sum.checked_add(shape.len()?));
        }
        if values.and_then(|values| values.checked_mul(VALUE_BYTES)) != Some(tail.len()) {
            return Err(damaged(
                id,
                "the vectors are not as long as their shapes say",
            ));
        }
        Ok(stored)
    }

    /// Shape and bytes of a vector.
    pub(super) fn vector<'t>(&self, name: &str, tail: &'t [u8]) -> Option<(Shape, &'t [u8])> {
        let mut rest = tail;
        for (candidate, shape) in &self.vectors.0 {
            let (bytes, behind) = rest.split_at_checked(shape.len()? * VALUE_BYTES)?;
            if candidate == name {
                return Some((*shape, bytes));
            }
            rest = behind;
        }
        None
    }

    pub(super) fn properties(&self, id: &str) -> Result<Map<String, Value>, StoreError> {
        serde_json::from_str(self.properties.get()).map_err(|cause| damaged(id, &cause.to_string()))
    }
}

/// The values in a part of a tail.
pub(super) fn values(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (values, _) = bytes.as_chunks::<VALUE_BYTES>();
    values.iter().map(|value| f32::from_le_bytes(*value))
}

/// What is written of an object but its times, which are known under the shard's lock only.
pub(super) struct Encoded {
    /// `"vectors":{…},"properties":{…}}`.
    rest: Vec<u8>,
    pub(super) tail: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(
        properties: &Map<String, Value>,
        vectors: &[ObjectVector],
    ) -> Result<Self, StoreError> {
        let failed = |cause| StoreError::storage("encode", "an object", cause);
        let mut rest = b"\"vectors\":{".to_vec();
        let values: usize = vectors.iter().map(|vector| vector.values.len()).sum();
        let mut tail = Vec::with_capacity(values * VALUE_BYTES);
        for (position, vector) in vectors.iter().enumerate() {
            if position > 0 {
                rest.push(b',');
            }
            let shape = Shape {
                rows: vector.rows,
                dims: vector.dims,
            };
            serde_json::to_writer(&mut rest, &vector.name).map_err(failed)?;
            rest.push(b':');
            serde_json::to_writer(&mut rest, &shape).map_err(failed)?;
            for value in &vector.values {
                tail.extend_from_slice(&value.to_le_bytes());
            }
        }
        rest.extend_from_slice(b"},\"properties\":");
        serde_json::to_writer(&mut rest, properties).map_err(failed)?;
        rest.push(b'}');
        Ok(Encoded { rest, tail })
    }

    /// Bytes of the JSON, about.
    pub(super) fn source_bytes(&self) -> usize {
        self.rest.len() + 80
    }

    /// The JSON.
    pub(super) fn source(&self, created_ms: i64, updated_ms: i64) -> Vec<u8> {
        let times =
            format!("{{\"creationTimeUnix\":{created_ms},\"lastUpdateTimeUnix\":{updated_ms},");
        let mut source = times.into_bytes();
        source.extend_from_slice(&self.rest);
        source
    }
}

/// The object in a row.
pub(super) fn decode(document: &DocumentRef<'_>) -> Result<Object, StoreError> {
    let stored = Stored::parse(document.id, document.source, document.tail)?;
    let properties = stored.properties(document.id)?;
    let mut vectors = Vec::with_capacity(stored.vectors.0.len());
    let mut rest = document.tail;
    for (name, shape) in stored.vectors.0 {
        // The lengths were checked above.
        let bytes = shape.len().unwrap_or_default() * VALUE_BYTES;
        let (part, behind) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
        rest = behind;
        vectors.push(ObjectVector {
            name,
            rows: shape.rows,
            dims: shape.dims,
            values: values(part).collect(),
        });
    }
    Ok(Object {
        id: parse_id(document.id)?,
        properties,
        created_ms: stored.created_ms,
        updated_ms: stored.updated_ms,
        vectors,
        version: document.version,
    })
}

pub(super) fn parse_id(id: &str) -> Result<ObjectId, StoreError> {
    id.parse().map_err(|_| damaged(id, "its id is no UUID"))
}

pub(super) fn damaged(id: &str, reason: &str) -> StoreError {
    StoreError::Damaged {
        object: format!("object [{id}]"),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector() -> impl Strategy<Value = ObjectVector> {
        // Any bits: NaNs with payloads, negative zero, subnormal numbers.
        let value = any::<u32>().prop_map(f32::from_bits);
        (".{0,8}", prop::option::of(0..4u32), 0..6u32).prop_flat_map(move |(name, rows, dims)| {
            let len = (rows.unwrap_or(1) * dims) as usize;
            prop::collection::vec(value.clone(), len).prop_map(move |values| ObjectVector {
                name: name.clone(),
                rows,
                dims,
                values,
            })
        })
    }

    proptest! {
        #[test]
        fn an_object_reads_back_to_the_bit(id: [u8; 16], created_ms: i64, updated_ms: i64, text: String, vectors in prop::collection::vec(vector(), 0..4)) {
            let mut properties = Map::new();
            properties.insert("z".to_owned(), Value::from(text));
            properties.insert("a".to_owned(), Value::from(-0.0));
            let encoded = Encoded::new(&properties, &vectors).unwrap();
            let id = ObjectId(id);
            let document = DocumentRef {
                id: &id.to_string(),
                routing: None,
                version: 3,
                seq_no: 9,
                source: &encoded.source(created_ms, updated_ms),
                tail: &encoded.tail,
            };
            let object = Object { id, properties, created_ms, updated_ms, vectors, version: 3 };
            prop_assert_eq!(decode(&document).unwrap(), object);
        }

        #[test]
        fn arbitrary_bytes_never_panic(source: Vec<u8>, tail: Vec<u8>) {
            let _ = Stored::parse("x", &source, &tail);
        }
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let vectors = [
            ObjectVector::single("", vec![1.0, 2.0]),
            ObjectVector::multi("m", &[vec![3.0], vec![4.0]]).unwrap(),
        ];
        let properties = serde_json::json!({"t": "x"}).as_object().unwrap().clone();
        let encoded = Encoded::new(&properties, &vectors).unwrap();
        assert_eq!(
            String::from_utf8(encoded.source(1, 2)).unwrap(),
            r#"{"creationTimeUnix":1,"lastUpdateTimeUnix":2,"vectors":{"":[2],"m":[2,1]},"properties":{"t":"x"}}"#
        );
        assert_eq!(
            values(&encoded.tail).collect::<Vec<_>>(),
            [1.0, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn shapes_that_do_not_fit_the_vectors_are_damage() {
        let source = br#"{"creationTimeUnix":1,"lastUpdateTimeUnix":2,"vectors":{"":[4294967295,4294967295]},"properties":{}}"#;
        assert!(Stored::parse("x", source, &[0; 8]).is_err());
        let source =
            br#"{"creationTimeUnix":1,"lastUpdateTimeUnix":2,"vectors":{"":[2]},"properties":{}}"#;
        assert!(Stored::parse("x", source, &[0; 8]).is_ok());
        assert!(Stored::parse("x", source, &[0; 12]).is_err());
    }
}
