//! Objects as answers show them.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use snapkeep_store::collections::{Object, ObjectVector};

use super::beacon::Beacon;

/// Which parts of an object an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// `vector` and `vectors`.
    pub vectors: bool,
    /// `vectorWeights`, which is always null; reads have it, writes do not.
    pub weights: bool,
}

/// An object to be printed as REST prints it.
#[derive(Debug)]
pub struct ObjectJson<'a> {
    /// Its class.
    pub class: &'a str,
    /// Itself.
    pub object: &'a Object,
    /// Its tenant, where it is shown.
    pub tenant: Option<&'a str>,
    /// What is shown of it.
    pub shown: Shown,
}

impl ObjectJson<'_> {
    /// Writes the fields into a map that may get more of them.
    pub fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("class", self.class)?;
        map.serialize_entry("creationTimeUnix", &self.object.created_ms)?;
        map.serialize_entry("id", &self.object.id)?;
        map.serialize_entry("lastUpdateTimeUnix", &self.object.updated_ms)?;
        map.serialize_entry("properties", &Properties(&self.object.properties))?;
        if let Some(tenant) = self.tenant {
            map.serialize_entry("tenant", tenant)?;
        }
        let unnamed = self.object.vector("").filter(|_| self.shown.vectors);
        if let Some(vector) = unnamed {
            map.serialize_entry("vector", &vector.values)?;
        }
        if self.shown.weights {
            map.serialize_entry("vectorWeights", &())?;
        }
        let is_named = |vector: &&ObjectVector| !vector.name.is_empty();
        if self.shown.vectors && self.object.vectors.iter().any(|it| is_named(&it)) {
            map.serialize_entry("vectors", &NamedVectors(&self.object.vectors))?;
        }
        Ok(())
    }
}

impl Serialize for ObjectJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.fields(&mut map)?;
        map.end()
    }
}

/// Properties, their references with an address to read them at.
struct Properties<'a>(&'a Map<String, Value>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match references(value) {
                Some(list) => map.serialize_entry(name, &list)?,
                None => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

/// The beacons of a reference property; none if it is something else. They are kept as objects with this one key.
pub(crate) fn beacons(value: &Value) -> Option<Vec<Beacon>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items
        .iter()
        .map(|item| {
            let text = item.as_object()?.get("beacon")?.as_str()?;
            Beacon::parse(text.starts_with("weaviate://").then_some(text)?).ok()
        })
        .collect()
}

fn references(value: &Value) -> Option<Vec<Value>> {
    let shown = |beacon: Beacon| {
        let mut reference = Map::new();
        reference.insert("beacon".to_owned(), beacon.to_string().into());
        reference.insert("href".to_owned(), beacon.href().into());
        Value::Object(reference)
    };
    beacons(value).map(|list| list.into_iter().map(shown).collect())
}

struct NamedVectors<'a>(&'a [ObjectVector]);

impl Serialize for NamedVectors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for vector in self.0.iter().filter(|it| !it.name.is_empty()) {
            if vector.rows.is_some() {
                let rows: Vec<&[f32]> = vector.rows().collect();
                map.serialize_entry(&vector.name, &rows)?;
            } else {
                map.serialize_entry(&vector.name, &vector.values)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weaviate::json;
    use serde_json::json;
    use snapkeep_store::collections::ObjectId;

    fn object() -> Object {
        let target = "weaviate://localhost/A/00000000-0000-4000-8000-000000000001";
        Object {
            id: ObjectId([7; 16]),
            properties: json!({"n": 1.0, "r": [{"beacon": target}]})
                .as_object()
                .unwrap()
                .clone(),
            created_ms: 1,
            updated_ms: 2,
            vectors: vec![
                ObjectVector::single("a", vec![1.0, 0.5]),
                ObjectVector::multi("m", &[vec![1.0], vec![2.0]]).unwrap(),
            ],
            version: 1,
        }
    }

    fn printed(shown: Shown) -> String {
        let object = object();
        let shown = ObjectJson {
            class: "C",
            object: &object,
            tenant: Some("t"),
            shown,
        };
        String::from_utf8(json::to_bytes(&shown)).unwrap()
    }

    #[test]
    fn a_read_object_has_weights_and_addresses() {
        assert_eq!(
            printed(Shown {
                vectors: true,
                weights: true
            }),
            r#"{"class":"C","creationTimeUnix":1,"id":"07070707-0707-0707-0707-070707070707","lastUpdateTimeUnix":2,"properties":{"n":1,"r":[{"beacon":"weaviate://localhost/A/00000000-0000-4000-8000-000000000001","href":"/v1/objects/A/00000000-0000-4000-8000-000000000001"}]},"tenant":"t","vectorWeights":null,"vectors":{"a":[1,0.5],"m":[[1],[2]]}}"#
        );
    }

    #[test]
    fn vectors_are_shown_when_asked_for() {
        assert!(
            !printed(Shown {
                vectors: false,
                weights: false
            })
            .contains("vector")
        );
    }
}
