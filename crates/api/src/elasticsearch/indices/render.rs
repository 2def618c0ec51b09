//! Metadata of one index as answers show it.

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::matches;
use snapkeep_store::{IndexMeta, Settings};

use crate::elasticsearch::errors::{ErrorKind, EsError};

/// Settings that hold without being set, as far as this server knows them.
const DEFAULTS: [(&str, &str); 3] = [
    ("index.hidden", "false"),
    ("index.max_result_window", "10000"),
    ("index.refresh_interval", "1s"),
];

/// `{"index":{…}}`, or the dotted keys; only keys that match one of `names`, when there are any.
pub fn settings(meta: &IndexMeta, flat: bool, names: &[String]) -> Value {
    let is_wanted = |key: &str| {
        names.is_empty()
            || names
                .iter()
                .any(|name| matches(name, key) || name == "_all")
    };
    let kept: Settings = meta
        .settings
        .iter()
        .filter(|(key, _)| is_wanted(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    shaped(&kept, flat)
}

/// What `include_defaults` adds.
pub fn default_settings(meta: &IndexMeta, flat: bool) -> Value {
    let missing: Settings = DEFAULTS
        .iter()
        .filter(|(key, _)| !meta.settings.contains_key(*key))
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    shaped(&missing, flat)
}

/// Dotted keys as they are, or as a tree.
pub fn shaped(settings: &Settings, flat: bool) -> Value {
    let mut root = Map::new();
    for (key, value) in settings {
        if flat {
            root.insert(key.clone(), value.clone());
        } else {
            insert(&mut root, key, value);
        }
    }
    Value::Object(root)
}

/// Where a key is both a value and a prefix, the longer one stays dotted.
fn insert(map: &mut Map<String, Value>, key: &str, value: &Value) {
    if let Some((head, rest)) = key.split_once('.')
        && let Value::Object(child) = map.entry(head).or_insert_with(|| json!({}))
    {
        insert(child, rest, value);
        return;
    }
    map.insert(key.to_owned(), value.clone());
}

/// `{}` rather than null.
pub fn mappings(meta: &IndexMeta) -> Value {
    if meta.mappings.is_null() {
        json!({})
    } else {
        meta.mappings.clone()
    }
}

/// All aliases of the index, by name.
///
/// # Errors
/// 500 when one cannot be shown, which no alias is.
pub fn aliases(meta: &IndexMeta) -> Result<Value, EsError> {
    aliases_where(meta, |_| true)
}

/// The aliases whose name passes.
///
/// # Errors
/// 500 when one cannot be shown, which no alias is.
pub fn aliases_where(meta: &IndexMeta, is_wanted: impl Fn(&str) -> bool) -> Result<Value, EsError> {
    let mut shown = Map::new();
    for (name, alias) in meta.aliases.iter().filter(|(name, _)| is_wanted(name)) {
        let value = serde_json::to_value(alias).map_err(|error| {
            ErrorKind::Exception.error(format!("cannot show alias [{name}]: {error}"))
        })?;
        shown.insert(name.clone(), value);
    }
    Ok(Value::Object(shown))
}

/// `_shards` of a broadcast: replicas are counted but never there.
pub fn shards_header(indices: &[std::sync::Arc<IndexMeta>]) -> Value {
    let successful: u64 = indices.iter().map(|meta| u64::from(meta.shards)).sum();
    let total: u64 = indices
        .iter()
        .map(|meta| u64::from(meta.shards) * (1 + u64::from(meta.replicas)))
        .sum();
    json!({"total": total, "successful": successful, "failed": 0})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_as_a_tree_or_flat() {
        let flat: Settings = [("index.a", "1"), ("index.a.b", "2"), ("index.c.d", "3")]
            .map(|(k, v)| (k.to_owned(), Value::from(v)))
            .into();
        assert_eq!(
            shaped(&flat, false),
            json!({"index": {"a": "1", "a.b": "2", "c": {"d": "3"}}})
        );
        assert_eq!(
            shaped(&flat, true),
            json!({"index.a": "1", "index.a.b": "2", "index.c.d": "3"})
        );
    }
}
