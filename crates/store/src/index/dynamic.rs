//! Dynamic mapping: fields of a document that the mapping does not have yet.

use serde_json::{Map, Value, json};

use super::fields::looks_like_date;
use super::mappings::type_of;
use crate::StoreError;

/// Elasticsearch's default of `index.mapping.total_fields.limit`; also what bounds a mapping's size here.
pub(crate) const DEFAULT_FIELD_LIMIT: usize = 1000;
/// Deepest objects, as in Elasticsearch (`index.mapping.depth.limit`).
const MAX_DEPTH: usize = 20;
/// Longest preview of a value in an error, in characters.
const PREVIEW_CHARS: usize = 50;

/// What a document taught.
pub(crate) struct Learned {
    /// The mapping with the new fields; `None` when there were none.
    pub(crate) mappings: Option<Value>,
    /// Whether every other document with the same fields and types fits too. False where the mapping's
    /// type demands a look at each value (a text in a numeric field).
    pub(crate) is_settled: bool,
}

/// Looks at a document closely: adds new fields, refuses values that clash with the mapping.
pub(crate) fn learn(
    mappings: &Value,
    field_limit: usize,
    id: &str,
    source: &[u8],
) -> Result<Learned, StoreError> {
    let document: Map<String, Value> =
        serde_json::from_slice(source).map_err(|cause| StoreError::MapperParsing {
            reason: "failed to parse".to_owned(),
            cause: Some(cause.to_string()),
        })?;
    let mut learner = Learner {
        id,
        added: 0,
        is_settled: true,
    };
    let mut tree = mappings.clone();
    learner.object(
        &mut tree,
        &document,
        "",
        Dynamic::of(mappings, Dynamic::Add),
    )?;
    if learner.added > 0 {
        let total = count_fields(&tree);
        if total > field_limit {
            return Err(StoreError::illegal(format!(
                "Limit of total fields [{field_limit}] has been exceeded while adding new fields [{}]",
                learner.added
            )));
        }
    }
    Ok(Learned {
        mappings: (learner.added > 0).then_some(tree),
        is_settled: learner.is_settled,
    })
}

fn count_fields(node: &Value) -> usize {
    ["properties", "fields"]
        .iter()
        .filter_map(|key| node.get(key).and_then(Value::as_object))
        .flat_map(Map::values)
        .map(|field| 1 + count_fields(field))
        .sum()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dynamic {
    Add,
    Ignore,
    Strict,
}

impl Dynamic {
    fn of(node: &Value, inherited: Dynamic) -> Dynamic {
        match node.get("dynamic") {
            Some(Value::Bool(true)) => Dynamic::Add,
            Some(Value::Bool(false)) => Dynamic::Ignore,
            Some(Value::String(word)) => match word.as_str() {
                "strict" => Dynamic::Strict,
                "false" | "runtime" => Dynamic::Ignore,
                _ => Dynamic::Add,
            },
            _ => inherited,
        }
    }
}

struct Learner<'a> {
    id: &'a str,
    added: usize,
    is_settled: bool,
}

impl Learner<'_> {
    fn object(
        &mut self,
        node: &mut Value,
        document: &Map<String, Value>,
        path: &str,
        dynamic: Dynamic,
    ) -> Result<(), StoreError> {
        if path.split('.').count() > MAX_DEPTH {
            let top = path.split('.').next().unwrap_or_default();
            return Err(StoreError::illegal(format!(
                "Limit of mapping depth [{MAX_DEPTH}] has been exceeded due to object field [{top}]"
            )));
        }
        for (key, value) in document {
            // `a.b` in a document is `b` inside `a`.
            match key.split_once('.') {
                Some((head, rest)) if !head.is_empty() && !rest.is_empty() => {
                    let mut inner = Map::new();
                    inner.insert(rest.to_owned(), value.clone());
                    self.field(node, head, &Value::Object(inner), path, dynamic)?;
                }
                _ => self.field(node, key, value, path, dynamic)?,
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        node: &mut Value,
        name: &str,
        value: &Value,
        parent: &str,
        dynamic: Dynamic,
    ) -> Result<(), StoreError> {
        if let Value::Array(items) = value {
            for item in items {
                self.field(node, name, item, parent, dynamic)?;
            }
            return Ok(());
        }
        if value.is_null() {
            return Ok(());
        }
        let path = if parent.is_empty() {
            name.to_owned()
        } else {
            format!("{parent}.{name}")
        };
        if let Some(definition) = node.get_mut("properties").and_then(|map| map.get_mut(name)) {
            return self.known_field(definition, value, &path, dynamic);
        }
        match dynamic {
            Dynamic::Ignore => return Ok(()),
            Dynamic::Strict => {
                return Err(StoreError::StrictMapping {
                    field: name.to_owned(),
                    parent: if parent.is_empty() { "_doc" } else { parent }.to_owned(),
                });
            }
            Dynamic::Add => {}
        }
        let Some(mut definition) = infer(value) else {
            return Ok(());
        };
        if let Value::Object(inner) = value {
            self.object(&mut definition, inner, &path, dynamic)?;
        }
        if let Some(node) = node.as_object_mut() {
            let properties = node
                .entry("properties")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(name.to_owned(), definition);
                self.added += 1;
            }
        }
        Ok(())
    }

    fn known_field(
        &mut self,
        definition: &mut Value,
        value: &Value,
        path: &str,
        dynamic: Dynamic,
    ) -> Result<(), StoreError> {
        let kind = type_of(definition).to_owned();
        if definition.get("enabled") == Some(&Value::Bool(false)) {
            return Ok(());
        }
        match (kind.as_str(), value) {
            ("object" | "nested", Value::Object(inner)) => {
                let dynamic = Dynamic::of(definition, dynamic);
                self.object(definition, inner, path, dynamic)
            }
            ("object" | "nested", _) => Err(StoreError::MapperParsing {
                reason: format!(
                    "object mapping for [{path}] tried to parse field [{path}] as object, but found a concrete value"
                ),
                cause: None,
            }),
            ("text" | "keyword" | "date" | "boolean", Value::Object(_)) => {
                Err(self.refused(&kind, value, path))
            }
            ("long" | "integer" | "short" | "byte" | "double" | "float" | "half_float", _) => {
                self.number(definition, &kind, value, path)
            }
            ("date", Value::String(text)) if definition.get("format").is_none() => {
                // A text of the usual form has a class of its own, which is settled by one look.
                let is_usual = looks_like_date(text);
                self.is_settled &= is_usual;
                if is_usual || ignores_malformed(definition) || crate::search::is_date(text) {
                    Ok(())
                } else {
                    Err(self.refused(&kind, value, path))
                }
            }
            ("boolean", Value::String(text)) => {
                self.is_settled = false;
                match text.as_str() {
                    "true" | "false" | "" => Ok(()),
                    _ => Err(self.refused(&kind, value, path)),
                }
            }
            ("boolean", Value::Number(_)) => Err(self.refused(&kind, value, path)),
            _ => Ok(()),
        }
    }

    fn number(
        &mut self,
        definition: &Value,
        kind: &str,
        value: &Value,
        path: &str,
    ) -> Result<(), StoreError> {
        if ignores_malformed(definition) {
            return Ok(());
        }
        match value {
            Value::Number(_) => Ok(()),
            Value::String(text) => {
                self.is_settled = false;
                match text.trim().parse::<f64>() {
                    Ok(_) => Ok(()),
                    Err(_) => Err(self.refused(kind, value, path)),
                }
            }
            _ => Err(self.refused(kind, value, path)),
        }
    }

    fn refused(&self, kind: &str, value: &Value, path: &str) -> StoreError {
        let preview = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let preview: String = preview.chars().take(PREVIEW_CHARS).collect();
        StoreError::MapperParsing {
            reason: format!(
                "failed to parse field [{path}] of type [{kind}] in document with id '{}'. Preview of field's value: '{preview}'",
                self.id
            ),
            cause: None,
        }
    }
}

fn ignores_malformed(definition: &Value) -> bool {
    definition
        .get("ignore_malformed")
        .is_some_and(|flag| flag == &json!(true) || flag == "true")
}

/// Elasticsearch's default dynamic rules.
fn infer(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Null | Value::Array(_) => return None,
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "float"}),
        Value::Number(_) => json!({"type": "long"}),
        Value::String(text) if looks_like_date(text) => {
            if text.contains('/') {
                json!({"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"})
            } else {
                json!({"type": "date"})
            }
        }
        Value::String(_) => {
            json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}})
        }
        Value::Object(_) => json!({"properties": {}}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(mappings: Value, source: &str) -> Result<Learned, StoreError> {
        learn(&mappings, DEFAULT_FIELD_LIMIT, "1", source.as_bytes())
    }

    #[test]
    fn new_fields_get_the_default_types() {
        let source = r#"{"t":"x","n":1,"f":1.5,"b":true,"d":"2026-11-21","o":{"i":[1,2]},"p.q":"y","e":null,"l":[]}"#;
        let mappings = learned(json!({}), source).unwrap().mappings.unwrap();
        let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
        assert_eq!(
            mappings,
            json!({"properties": {
                "t": text, "n": {"type": "long"}, "f": {"type": "float"}, "b": {"type": "boolean"},
                "d": {"type": "date"}, "o": {"properties": {"i": {"type": "long"}}}, "p": {"properties": {"q": text}},
            }})
        );
        assert!(learned(mappings, source).unwrap().mappings.is_none());
    }

    #[test]
    fn strict_and_false_are_honoured() {
        let strict = learned(
            json!({"dynamic": "strict", "properties": {"a": {"type": "long"}}}),
            r#"{"b":1}"#,
        );
        assert!(matches!(strict, Err(StoreError::StrictMapping { field, .. }) if field == "b"));
        assert!(
            learned(json!({"dynamic": false}), r#"{"b":1}"#)
                .unwrap()
                .mappings
                .is_none()
        );
    }

    #[test]
    fn texts_in_date_fields_must_be_dates() {
        let mappings = json!({"properties": {"d": {"type": "date"}, "own": {"type": "date", "format": "MM/yyyy"}}});
        let fits = |source: &str| learn(&mappings, 1000, "1", source.as_bytes());
        assert!(
            fits(r#"{"d":"2026-11-21T10:00:00Z","own":"11/2026"}"#)
                .unwrap()
                .is_settled
        );
        assert!(!fits(r#"{"d":"1763719200000"}"#).unwrap().is_settled);
        let Err(refused) = fits(r#"{"d":"garbage"}"#) else {
            panic!("accepted")
        };
        assert!(refused.to_string().contains("of type [date]"));
    }

    #[test]
    fn values_that_clash_with_the_mapping_are_refused() {
        let mappings = json!({"properties": {"n": {"type": "long"}, "o": {"properties": {}}, "t": {"type": "text"}}});
        let reason = |source| learned(mappings.clone(), source).err().unwrap().to_string();
        assert_eq!(
            reason(r#"{"n":"abc"}"#),
            "failed to parse field [n] of type [long] in document with id '1'. Preview of field's value: 'abc'"
        );
        assert!(reason(r#"{"o":1}"#).starts_with("object mapping for [o] tried to parse"));
        assert!(reason(r#"{"t":{}}"#).starts_with("failed to parse field [t] of type [text]"));
        assert!(!learned(mappings, r#"{"n":"12"}"#).unwrap().is_settled);
    }

    #[test]
    fn the_depth_of_objects_is_limited() {
        let source = format!(r#"{{"{}a":1}}"#, "a.".repeat(100_000));
        let reason = learned(json!({}), &source).err().unwrap().to_string();
        assert_eq!(
            reason,
            "Limit of mapping depth [20] has been exceeded due to object field [a]"
        );
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        let fields: Map<String, Value> = (0..30).map(|n| (format!("f{n}"), json!(1))).collect();
        let source = Value::Object(fields).to_string();
        let outcome = learn(&json!({}), 20, "1", source.as_bytes());
        assert_eq!(
            outcome.err().unwrap().to_string(),
            "Limit of total fields [20] has been exceeded while adding new fields [30]"
        );
    }
}
