//! The fields of a document that a query needs, parsed from its source; the rest is skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Which top-level fields are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    names: Vec<String>,
}

impl Wanted {
    /// Adds the top-level name of a path.
    pub(super) fn add(&mut self, path: &str) {
        let name = path.split('.').next().unwrap_or(path);
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Adds everything that `other` wants.
    pub(super) fn extend(&mut self, other: &Wanted) {
        for name in &other.names {
            self.add(name);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn contains(&self, key: &str) -> bool {
        let name = key.split('.').next().unwrap_or(key);
        self.names.iter().any(|known| known == name)
    }

    /// Parses the wanted fields of a source.
    pub(super) fn parse(&self, source: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
        if self.is_empty() {
            return Ok(Map::new());
        }
        let mut deserializer = serde_json::Deserializer::from_slice(source);
        deserializer.deserialize_map(Collect { wanted: self })
    }
}

struct Collect<'a> {
    wanted: &'a Wanted,
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key_seed(WantedKey {
            wanted: self.wanted,
        })? {
            match key {
                Some(key) => {
                    fields.insert(key, entries.next_value()?);
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// A key, copied only when it is wanted.
struct WantedKey<'a> {
    wanted: &'a Wanted,
}

impl<'de> DeserializeSeed<'de> for WantedKey<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WantedKey<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.wanted.contains(key).then(|| key.to_owned()))
    }
}

/// Calls `visit` with every value at a dotted path: through objects, arrays, and names that hold dots
/// themselves. Returns early when `visit` returns true, and tells whether it did.
pub(super) fn any_value(
    fields: &Map<String, Value>,
    path: &str,
    visit: &mut dyn FnMut(&Value) -> bool,
) -> bool {
    if let Some(value) = fields.get(path)
        && any_leaf(value, visit)
    {
        return true;
    }
    path.match_indices('.').any(|(cut, _)| {
        fields
            .get(&path[..cut])
            .is_some_and(|value| any_below(value, &path[cut + 1..], visit))
    })
}

fn any_below(value: &Value, path: &str, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Object(fields) => any_value(fields, path, visit),
        Value::Array(items) => items.iter().any(|item| any_below(item, path, visit)),
        _ => false,
    }
}

fn any_leaf(value: &Value, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_leaf(item, visit)),
        Value::Null => false,
        value => visit(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, path: &str) -> Vec<Value> {
        let mut wanted = Wanted::default();
        wanted.add(path);
        let fields = wanted.parse(source.as_bytes()).unwrap();
        let mut found = Vec::new();
        any_value(&fields, path, &mut |value| {
            found.push(value.clone());
            false
        });
        found
    }

    #[test]
    fn paths_go_through_objects_arrays_and_dotted_names() {
        let source = r#"{"a":{"b":[{"c":1},{"c":[2,null]}]},"a.b":{"c":3},"a.b.c":4,"x":{}}"#;
        let mut numbers: Vec<i64> = found(source, "a.b.c")
            .iter()
            .filter_map(Value::as_i64)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert!(found(source, "a.z").is_empty());
    }
}
