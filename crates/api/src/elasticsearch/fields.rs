//! Reading keys of a request body, with the texts for values of the wrong type.

use serde_json::{Map, Value};
use snapkeep_engine::Selection;
use snapkeep_engine::selection::Expand;

use super::errors::EsError;
use super::params::not_a_boolean;

/// The first of several spellings of a key that is given.
pub fn any<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter()
        .find_map(|key| object.get(*key))
        .filter(|value| !value.is_null())
}

/// `true`, `false`, or these words as strings; absent or null: the default.
///
/// # Errors
/// 400 `Could not convert [key] to boolean`.
pub fn bool(object: &Map<String, Value>, keys: &[&str], default: bool) -> Result<bool, EsError> {
    let Some(value) = any(object, keys) else {
        return Ok(default);
    };
    let text = match value {
        Value::Bool(value) => return Ok(*value),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let key = keys.first().copied().unwrap_or_default();
            Err(
                EsError::illegal_argument(format!("Could not convert [{key}] to boolean"))
                    .caused_by(not_a_boolean(&text)),
            )
        }
    }
}

/// A string, split at commas, or an array of strings; absent: `None`.
///
/// # Errors
/// 400 `malformed [key] section, should be an array of strings`.
pub fn list(object: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, EsError> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(super::params::split_list(text))),
        Some(Value::Array(items)) => Ok(Some(
            items
                .iter()
                .map(|item| match item {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect(),
        )),
        Some(_) => Err(EsError::illegal_argument(format!(
            "malformed {key} section, should be an array of strings"
        ))),
    }
}

/// Text; absent or null: `None`.
///
/// # Errors
/// 400 `malformed key` for anything but a string.
pub fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, EsError> {
    match any(object, &[key]) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(EsError::illegal_argument(format!("malformed {key}"))),
    }
}

/// What a policy takes snapshots of: `indices`, `expand_wildcards` (absent: `usual`), `ignore_unavailable` (in any of these spellings),
/// `include_global_state` and `partial`.
///
/// # Errors
/// 400 for a value of the wrong type.
pub fn selection(
    config: &Map<String, Value>,
    usual: Expand,
    ignore_unavailable: &[&str],
) -> Result<Selection, EsError> {
    let mut indices = list(config, "indices")?.unwrap_or_default();
    if indices.is_empty() {
        // Nothing named means everything, here as in a snapshot taken by hand.
        indices.push("*".to_owned());
    }
    let expand = expand_wildcards(config, usual)?;
    Ok(Selection {
        indices,
        ignore_unavailable: bool(config, ignore_unavailable, false)?,
        expand_open: expand.open,
        expand_closed: expand.closed,
        expand_hidden: expand.hidden,
        include_global_state: bool(config, &["include_global_state"], true)?,
        partial: bool(config, &["partial"], false)?,
        ..Selection::default()
    })
}

/// Reads `expand_wildcards`, given as a comma list or an array; absent: `default`.
///
/// # Errors
/// 400 for an unknown word.
pub fn expand_wildcards(object: &Map<String, Value>, default: Expand) -> Result<Expand, EsError> {
    let words = match any(object, &["expand_wildcards", "expandWildcards"]) {
        None => return Ok(default),
        Some(Value::String(text)) => super::params::split_list(text),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect(),
        Some(other) => vec![other.to_string()],
    };
    let mut expand = Expand::NONE;
    for word in words {
        match word.to_ascii_lowercase().as_str() {
            "open" => expand.open = true,
            "closed" => expand.closed = true,
            "hidden" => expand.hidden = true,
            "all" => expand = Expand::ALL,
            "none" => expand = Expand::NONE,
            _ => {
                return Err(EsError::illegal_argument(format!(
                    "No valid expand wildcard value [{word}]"
                )));
            }
        }
    }
    Ok(expand)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn booleans_may_be_words_but_no_numbers() {
        let body = object(json!({"partial": "true", "ignoreUnavailable": true, "n": 1, "z": null}));
        assert!(bool(&body, &["partial"], false).unwrap());
        assert!(bool(&body, &["ignore_unavailable", "ignoreUnavailable"], false).unwrap());
        assert!(bool(&body, &["z"], true).unwrap());
        let error = bool(&body, &["n"], false)
            .unwrap_err()
            .render(Shape::Es, false);
        assert_eq!(error["error"]["reason"], "Could not convert [n] to boolean");
        assert_eq!(
            error["error"]["caused_by"]["reason"],
            "Failed to parse value [1] as only [true] or [false] are allowed."
        );
    }

    #[test]
    fn lists_are_arrays_or_commas() {
        let body = object(json!({"a": "x, y", "b": ["x,y", "z"], "c": 5}));
        assert_eq!(list(&body, "a").unwrap().unwrap(), ["x", "y"]);
        assert_eq!(list(&body, "b").unwrap().unwrap(), ["x,y", "z"]);
        assert_eq!(list(&body, "none").unwrap(), None);
        let error = list(&body, "c").unwrap_err().to_string();
        assert!(
            error.contains("malformed c section, should be an array of strings"),
            "{error}"
        );
    }

    #[test]
    fn wildcard_words_add_up() {
        let body = object(json!({"expand_wildcards": "open,hidden"}));
        let expected = Expand {
            open: true,
            closed: false,
            hidden: true,
        };
        assert_eq!(expand_wildcards(&body, Expand::NONE).unwrap(), expected);
        let bogus = object(json!({"expandWildcards": ["bogus"]}));
        assert!(expand_wildcards(&bogus, Expand::NONE).is_err());
    }
}
