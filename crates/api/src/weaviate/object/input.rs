//! Objects as requests bring them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use snapkeep_store::collections::{ObjectId, ObjectVector};

use super::text::{Vectors, parse_floats, parse_vector};
use crate::weaviate::errors::WvError;
use crate::weaviate::json::{go_kind, go_syntax_error, parse};

/// An object to write, decoded and not yet checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectInput {
    /// Class or alias, as given.
    pub class: String,
    /// Id; a random one is made if there is none.
    pub id: Option<ObjectId>,
    /// Tenant.
    pub tenant: Option<String>,
    /// Properties, as given; references are `[{"beacon": …}]`.
    pub properties: Map<String, Value>,
    /// Vectors; the empty name is the unnamed one.
    pub vectors: Vec<ObjectVector>,
}

/// A UUID of either case, with or without its hyphens; the empty text is none.
///
/// # Errors
/// 601; `name` and `place` say where it stands.
pub fn parse_id(text: &str, name: &str, place: &str) -> Result<Option<ObjectId>, WvError> {
    if text.is_empty() {
        return Ok(None);
    }
    let hyphenated = (text.len() == 32 && text.is_ascii()).then(|| {
        let parts = [
            &text[..8],
            &text[8..12],
            &text[12..16],
            &text[16..20],
            &text[20..],
        ];
        parts.join("-")
    });
    match hyphenated.as_deref().unwrap_or(text).parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(WvError::wrong_format(name, place, "uuid", text)),
    }
}

/// The keys that matter, with the vectors still as text.
#[derive(Default)]
struct ObjectText<'a> {
    class: Value,
    id: Value,
    tenant: Value,
    properties: Value,
    vector: Option<&'a RawValue>,
    vectors: Option<Pairs<'a>>,
}

/// A JSON object whose values stay text; of a key given twice the last counts.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key without copying it where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, _>()? {
                    pairs.retain(|(name, _)| *name != key);
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
            fn visit_unit<E>(self) -> Result<Pairs<'de>, E> {
                Ok(Pairs(Vec::new()))
            }
        }
        deserializer.deserialize_any(PairsVisitor)
    }
}

impl<'de> Deserialize<'de> for ObjectText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = ObjectText<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of a class")
            }
            fn visit_unit<E>(self) -> Result<ObjectText<'de>, E> {
                Ok(ObjectText::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectText<'de>, A::Error> {
                let mut object = ObjectText::default();
                while let Some(Key(key)) = map.next_key()? {
                    match key.to_ascii_lowercase().as_str() {
                        "class" => object.class = map.next_value()?,
                        "id" => object.id = map.next_value()?,
                        "tenant" => object.tenant = map.next_value()?,
                        "properties" => object.properties = map.next_value()?,
                        "vector" => object.vector = Some(map.next_value()?),
                        "vectors" => object.vectors = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_any(ObjectVisitor)
    }
}

/// `{"objects": […]}` with the objects read one by one.
struct BatchText<'a>(Vec<ObjectText<'a>>);

impl<'de> Deserialize<'de> for BatchText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = Vec<ObjectText<'de>>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of objects")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut objects = Vec::new();
                while let Some(object) = list.next_element()? {
                    objects.push(object);
                }
                Ok(objects)
            }
        }
        struct List<'a>(Vec<ObjectText<'a>>);
        impl<'de> Deserialize<'de> for List<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(ListVisitor).map(List)
            }
        }
        struct BatchVisitor;
        impl<'de> Visitor<'de> for BatchVisitor {
            type Value = BatchText<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with objects")
            }
            fn visit_unit<E>(self) -> Result<BatchText<'de>, E> {
                Ok(BatchText(Vec::new()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BatchText<'de>, A::Error> {
                let mut objects = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    if key.eq_ignore_ascii_case("objects") {
                        let List(list) = map.next_value()?;
                        objects = list;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(BatchText(objects))
            }
        }
        deserializer.deserialize_any(BatchVisitor)
    }
}

fn mistyped(kind: &str, field: &str, expected: &str) -> WvError {
    let text = format!(
        "json: cannot unmarshal {kind} into Go struct field Object.{field} of type {expected}"
    );
    WvError::undecodable("body", text)
}

fn string(value: Value, field: &str) -> Result<Option<String>, WvError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(mistyped(go_kind(&other), field, "string")),
    }
}

impl ObjectText<'_> {
    /// `prefix` is put before the names of fields in errors: `body.objects.1.`.
    fn decode(self, prefix: &str) -> Result<ObjectInput, WvError> {
        let id = string(self.id, "id")?.unwrap_or_default();
        let properties = match self.properties {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            // What is no map is a complaint of the checks, as it is in Go.
            other => {
                return Err(WvError::unprocessable(format!(
                    "invalid object: the properties of an object must be an object, but they are a {}",
                    go_kind(&other)
                )));
            }
        };
        let mut vectors = Vec::new();
        if let Some(text) = self.vector.map(RawValue::get).filter(|it| *it != "null") {
            let values = parse_floats(text).map_err(|kind| mistyped(&kind, "vector", "float32"))?;
            if !values.is_empty() {
                vectors.push(ObjectVector::single("", values));
            }
        }
        for (name, raw) in self.vectors.map_or_else(Vec::new, |Pairs(pairs)| pairs) {
            if raw.get() == "null" {
                continue;
            }
            let parsed = parse_vector(raw.get())
                .map_err(|kind| mistyped(&kind, &format!("vectors.{name}"), "float32"))?;
            if let Some(vector) = named(name.into_owned(), parsed)? {
                vectors.push(vector);
            }
        }
        Ok(ObjectInput {
            class: string(self.class, "class")?.unwrap_or_default(),
            id: parse_id(&id, &format!("{prefix}id"), "body")?,
            tenant: string(self.tenant, "tenant")?.filter(|it| !it.is_empty()),
            properties,
            vectors,
        })
    }
}

fn named(name: String, vectors: Vectors) -> Result<Option<ObjectVector>, WvError> {
    match vectors {
        Vectors::Single(values) if values.is_empty() => Ok(None),
        Vectors::Single(values) => Ok(Some(ObjectVector::single(name, values))),
        Vectors::Multi(rows) => match ObjectVector::multi(name.as_str(), &rows) {
            Some(vector) => Ok(Some(vector)),
            None => Err(WvError::unprocessable(format!(
                "invalid object: the rows of multi-vector {name} differ in length"
            ))),
        },
    }
}

fn decoded<'de, T: Deserialize<'de>>(body: &'de [u8], model: &str) -> Result<T, WvError> {
    if body.is_empty() {
        return Err(WvError::required("body", "body"));
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_data() => {
            // The typed reader complains of a type before it sees that the text is no JSON at all.
            let value = parse(body, "body")?;
            let kind = go_kind(&value);
            let text =
                format!("json: cannot unmarshal {kind} into Go value of type models.{model}");
            Err(WvError::undecodable("body", text))
        }
        Some(Err(_)) => Err(WvError::undecodable("body", go_syntax_error(body))),
        None => Err(WvError::undecodable("body", "EOF")),
    }
}

/// The object in a body.
///
/// # Errors
/// 400, 422 as the framework of a real server answers.
pub fn decode_object(body: &[u8]) -> Result<ObjectInput, WvError> {
    decoded::<ObjectText<'_>>(body, "Object")?.decode("")
}

/// The objects in the body of a batch. One that is malformed fails all.
///
/// # Errors
/// 400, 422 as the framework of a real server answers.
pub fn decode_batch(body: &[u8]) -> Result<Vec<ObjectInput>, WvError> {
    let BatchText(objects) = decoded(body, "BatchObjectsCreateBody")?;
    objects
        .into_iter()
        .enumerate()
        .map(|(position, object)| object.decode(&format!("body.objects.{position}.")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_whatever_the_case_of_its_keys() {
        let body =
            br#"{"CLASS":"A","Id":"ABCDEF00-0000-4000-8000-000000000001","frob":[1],"vector":[1,2],
            "vectors":{"m":[[1,2],[3,4]],"e":[]},"properties":{"x":1},"tenant":"t"}"#;
        let object = decode_object(body).unwrap();
        assert_eq!(object.class, "A");
        assert_eq!(
            object.id.unwrap().to_string(),
            "abcdef00-0000-4000-8000-000000000001"
        );
        assert_eq!(object.tenant.as_deref(), Some("t"));
        assert_eq!(object.vectors.len(), 2);
        assert_eq!(
            (object.vectors[1].rows, object.vectors[1].dims),
            (Some(2), 2)
        );
    }

    #[test]
    fn a_bad_id_in_a_batch_says_where_it_stands() {
        let body = br#"{"objects":[{"class":"A"},{"class":"A","id":"bad"}]}"#;
        assert_eq!(
            decode_batch(body).unwrap_err().message(),
            "body.objects.1.id in body must be of type uuid: \"bad\""
        );
    }

    #[test]
    fn nothing_and_half_a_batch() {
        assert!(decode_batch(b"{}").unwrap().is_empty());
        assert!(decode_batch(b"null").unwrap().is_empty());
        assert!(
            decode_batch(b"[")
                .unwrap_err()
                .message()
                .ends_with("because unexpected EOF")
        );
        assert_eq!(
            decode_batch(b"[]").unwrap_err().message(),
            "parsing body body from \"\" failed, because json: cannot unmarshal array into Go value of type models.BatchObjectsCreateBody"
        );
        assert!(
            decode_object(br#"{"vector":["x"]}"#)
                .unwrap_err()
                .message()
                .ends_with(
                    "cannot unmarshal string into Go struct field Object.vector of type float32"
                )
        );
    }

    #[test]
    fn hyphens_of_an_id_may_be_left_out() {
        let id = parse_id("abcdef0000004000800000000000000a", "id", "body")
            .unwrap()
            .unwrap();
        assert_eq!(id.to_string(), "abcdef00-0000-4000-8000-00000000000a");
    }
}
