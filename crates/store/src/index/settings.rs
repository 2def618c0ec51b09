//! Index settings: any accepted shape to flat strings and back.

use serde_json::{Map, Value};

use super::meta::Settings;
use crate::StoreError;

/// Most shards an index may have, as in Elasticsearch.
const MAX_SHARDS: u64 = 1024;
/// Longest key of a setting in bytes; bounds the nesting of the tree too.
const MAX_KEY_BYTES: usize = 1024;

/// Flattens nested or dotted settings; values become strings, null stays null (meaning: reset).
pub(crate) fn flatten(tree: &Value, prefix: &str) -> Result<Settings, StoreError> {
    let mut flat = Settings::new();
    match tree {
        Value::Null => {}
        Value::Object(map) => {
            for (key, value) in map {
                flatten_into(&mut flat, key, value)?;
            }
        }
        _ => {
            return Err(StoreError::illegal(
                "malformed settings, should be an object",
            ));
        }
    }
    if prefix.is_empty() {
        return Ok(flat);
    }
    Ok(flat
        .into_iter()
        .map(|(key, value)| {
            if key.starts_with(prefix) {
                (key, value)
            } else {
                (format!("{prefix}{key}"), value)
            }
        })
        .collect())
}

fn flatten_into(flat: &mut Settings, path: &str, value: &Value) -> Result<(), StoreError> {
    if path.len() > MAX_KEY_BYTES {
        return Err(StoreError::illegal(format!(
            "the key of a setting is longer than {MAX_KEY_BYTES} bytes"
        )));
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten_into(flat, &format!("{path}.{key}"), value)?;
            }
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::Object(_) | Value::Array(_) => Err(StoreError::illegal(format!(
                    "Failed to parse value for setting [{path}]: lists of plain values only"
                ))),
                plain => Ok(Value::String(text(plain))),
            });
            flat.insert(
                path.to_owned(),
                Value::Array(items.collect::<Result<_, _>>()?),
            );
        }
        Value::Null => {
            flat.insert(path.to_owned(), Value::Null);
        }
        plain => {
            flat.insert(path.to_owned(), Value::String(text(plain)));
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Flat settings as a nested tree. Where a key is both a value and a prefix, the longer one stays dotted.
pub(crate) fn nest(flat: &Settings) -> Value {
    let mut root = Map::new();
    for (key, value) in flat {
        nest_into(&mut root, key, value);
    }
    Value::Object(root)
}

fn nest_into(map: &mut Map<String, Value>, key: &str, value: &Value) {
    let Some((head, rest)) = key.split_once('.') else {
        map.insert(key.to_owned(), value.clone());
        return;
    };
    let child = map
        .entry(head.to_owned())
        .or_insert_with(|| Value::Object(Map::new()));
    match child {
        Value::Object(child) => nest_into(child, rest, value),
        _ => {
            map.insert(key.to_owned(), value.clone());
        }
    }
}

/// Number of shards, checked.
pub(crate) fn shards(settings: &Settings) -> Result<u16, StoreError> {
    let shards = number(settings, "index.number_of_shards", 1)?;
    if shards == 0 {
        return Err(StoreError::illegal(
            "Failed to parse value [0] for setting [index.number_of_shards] must be >= 1",
        ));
    }
    if shards > MAX_SHARDS {
        return Err(StoreError::illegal(format!(
            "Failed to parse value [{shards}] for setting [index.number_of_shards] must be <= {MAX_SHARDS}"
        )));
    }
    Ok(shards as u16)
}

/// Number of replicas, checked.
pub(crate) fn replicas(settings: &Settings) -> Result<u32, StoreError> {
    let replicas = number(settings, "index.number_of_replicas", 1)?;
    u32::try_from(replicas).map_err(|_| {
        StoreError::illegal(format!(
            "Failed to parse value [{replicas}] for setting [index.number_of_replicas]"
        ))
    })
}

fn number(settings: &Settings, key: &str, default: u64) -> Result<u64, StoreError> {
    let Some(value) = settings.get(key) else {
        return Ok(default);
    };
    let text = value.as_str().unwrap_or_default();
    if text.starts_with('-') && text[1..].parse::<u64>().is_ok() {
        let least = if key.ends_with("shards") { 1 } else { 0 };
        return Err(StoreError::illegal(format!(
            "Failed to parse value [{text}] for setting [{key}] must be >= {least}"
        )));
    }
    text.parse().map_err(|_| {
        StoreError::illegal(format!(
            "Failed to parse value [{text}] for setting [{key}]"
        ))
    })
}

/// Whether a setting is made by the server or fixed at creation.
pub(crate) fn is_fixed(key: &str) -> bool {
    matches!(
        key,
        "index.uuid"
            | "index.creation_date"
            | "index.provided_name"
            | "index.version.created"
            | "index.number_of_shards"
            | "index.routing_partition_size"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_dotted_and_prefixed_settings_mean_the_same() {
        let expected = flatten(&json!({"index.number_of_shards": "2"}), "index.").unwrap();
        for same in [
            json!({"number_of_shards": 2}),
            json!({"index": {"number_of_shards": 2}}),
            json!({"index": {"number_of_shards": "2"}}),
        ] {
            assert_eq!(flatten(&same, "index.").unwrap(), expected);
        }
        assert_eq!(nest(&expected), json!({"index": {"number_of_shards": "2"}}));
    }

    #[test]
    fn shard_numbers_out_of_range_are_refused_in_known_words() {
        for (value, words) in [
            ("0", "must be >= 1"),
            ("-1", "must be >= 1"),
            ("2000", "must be <= 1024"),
        ] {
            let settings = flatten(&json!({"number_of_shards": value}), "index.").unwrap();
            assert!(shards(&settings).unwrap_err().to_string().ends_with(words));
        }
    }
}
