//! Mapping trees: accepted as given, merged field by field, asked for a field's definition.

use serde_json::{Map, Value};

use crate::StoreError;

/// Deepest object nesting in a mapping; matches the JSON parser's own limit.
const MAX_DEPTH: usize = 100;

/// The mapping tree of a request body: an object, without the type level `_doc` of old clients.
pub(crate) fn normalise(mappings: &Value) -> Result<Value, StoreError> {
    let map = match mappings {
        Value::Null => return Ok(Value::Object(Map::new())),
        Value::Object(map) => map,
        _ => return Err(malformed("mapping must be an object")),
    };
    let body = match map.get("_doc") {
        Some(body @ Value::Object(_)) if map.len() == 1 => body,
        _ => mappings,
    };
    check_properties(body, 0)?;
    Ok(body.clone())
}

fn malformed(reason: &str) -> StoreError {
    StoreError::MapperParsing {
        reason: format!("Failed to parse mapping: {reason}"),
        cause: None,
    }
}

fn check_properties(node: &Value, depth: usize) -> Result<(), StoreError> {
    if depth > MAX_DEPTH {
        return Err(malformed("nested too deeply"));
    }
    let Some(properties) = node.get("properties") else {
        return Ok(());
    };
    let Value::Object(properties) = properties else {
        return Err(malformed("Expected map for property [properties]"));
    };
    for (name, definition) in properties {
        if !definition.is_object() {
            return Err(malformed(&format!(
                "Expected map for property [fields] on field [{name}]"
            )));
        }
        let has_type = definition.get("type").is_some();
        let is_object = definition.get("properties").is_some()
            || definition.get("dynamic").is_some()
            || definition.get("enabled").is_some();
        if !has_type && !is_object && definition.as_object().is_some_and(|map| !map.is_empty()) {
            return Err(malformed(&format!("No type specified for field [{name}]")));
        }
        check_properties(definition, depth + 1)?;
    }
    Ok(())
}

/// Merges `update` into `base` as `PUT _mapping` does: fields are added, parameters replaced, types fixed.
pub(crate) fn merge(base: &mut Value, update: &Value) -> Result<(), StoreError> {
    merge_object(base, update, "")
}

fn merge_object(base: &mut Value, update: &Value, path: &str) -> Result<(), StoreError> {
    let (Some(base), Some(update)) = (base.as_object_mut(), update.as_object()) else {
        return Err(malformed("mapping must be an object"));
    };
    for (key, value) in update {
        if key != "properties" {
            base.insert(key.clone(), value.clone());
            continue;
        }
        let existing = base
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new()));
        let (Some(existing), Some(added)) = (existing.as_object_mut(), value.as_object()) else {
            return Err(malformed("Expected map for property [properties]"));
        };
        for (name, definition) in added {
            let field_path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match existing.get_mut(name) {
                None => {
                    existing.insert(name.clone(), definition.clone());
                }
                Some(current) => {
                    let (before, after) = (type_of(current), type_of(definition));
                    if before != after {
                        return Err(StoreError::illegal(format!(
                            "mapper [{field_path}] cannot be changed from type [{before}] to [{after}]"
                        )));
                    }
                    merge_object(current, definition, &field_path)?;
                }
            }
        }
    }
    Ok(())
}

/// Merges a more specific template's mapping over a more general one; the specific one wins.
pub(crate) fn merge_template(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    // A field's definition is taken whole unless both are objects with fields.
                    Some(current) if key == "properties" || current.get("properties").is_some() => {
                        merge_template(current, value);
                    }
                    _ => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Type of a field's definition; one without `type` is an object.
pub(crate) fn type_of(definition: &Value) -> &str {
    definition
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("object")
}

/// Definition of the field at a dotted path, through objects and multi-fields (`name.keyword`).
pub(crate) fn field<'a>(mappings: &'a Value, path: &str) -> Option<&'a Value> {
    let properties = mappings.get("properties")?;
    if let Some(definition) = properties.get(path) {
        return Some(definition);
    }
    // A name may hold dots itself, so every cut is tried.
    path.match_indices('.').find_map(|(cut, _)| {
        let definition = properties.get(&path[..cut])?;
        let rest = &path[cut + 1..];
        field(definition, rest).or_else(|| definition.get("fields")?.get(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merging_adds_fields_and_keeps_types() {
        let mut base = json!({"properties": {"a": {"type": "long"}, "o": {"properties": {"x": {"type": "text"}}}}});
        merge(&mut base, &json!({"properties": {"b": {"type": "date"}, "o": {"properties": {"y": {"type": "ip"}}}}})).unwrap();
        assert_eq!(type_of(field(&base, "o.y").unwrap()), "ip");
        assert_eq!(type_of(field(&base, "o.x").unwrap()), "text");
        let clash = merge(
            &mut base,
            &json!({"properties": {"o": {"properties": {"x": {"type": "long"}}}}}),
        );
        assert_eq!(
            clash.unwrap_err().to_string(),
            "mapper [o.x] cannot be changed from type [text] to [long]"
        );
    }

    #[test]
    fn multi_fields_are_found_by_their_path() {
        let mappings = json!({"properties": {"t": {"type": "text", "fields": {"keyword": {"type": "keyword"}}}}});
        assert_eq!(type_of(field(&mappings, "t.keyword").unwrap()), "keyword");
        assert!(field(&mappings, "t.other").is_none());
    }

    #[test]
    fn a_type_level_is_taken_away() {
        let inner = json!({"properties": {"a": {"type": "long"}}});
        assert_eq!(normalise(&json!({"_doc": inner})).unwrap(), inner);
        assert!(normalise(&json!([])).is_err());
        assert!(normalise(&json!({"properties": {"a": {"index": false}}})).is_err());
    }
}
