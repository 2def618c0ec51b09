//! Settings of a repository as they are shown: every value a string, nested or flat.

use serde_json::{Map, Value};

use crate::elasticsearch::errors::{ErrorKind, EsError};

/// Settings that are sizes or rates.
const SIZES: [&str; 3] = [
    "max_snapshot_bytes_per_sec",
    "max_restore_bytes_per_sec",
    "chunk_size",
];

/// Parts of names of settings that are never shown.
const SECRET: [&str; 3] = ["secret_key", "access_key", "password"];

/// The settings as given at registration, as `GET` shows them.
pub fn show(given: &Map<String, Value>, is_flat: bool) -> Value {
    let mut flat = Vec::new();
    flatten("", given, &mut flat);
    flat.retain(|(name, _)| !SECRET.iter().any(|secret| name.ends_with(secret)));
    flat.sort_by(|left, right| left.0.cmp(&right.0));
    let mut shown = Map::new();
    for (name, value) in flat {
        if is_flat {
            shown.insert(name, value);
        } else {
            insert_nested(&mut shown, &name, value);
        }
    }
    Value::Object(shown)
}

/// Refuses sizes such as `1.5mb`, which Elasticsearch and the engine take and OpenSearch does not.
///
/// # Errors
/// 500 with OpenSearch's chain of causes.
pub fn refuse_fractions(repository: &str, given: &Map<String, Value>) -> Result<(), EsError> {
    for setting in SIZES {
        let Some(value) = given.get(setting).and_then(Value::as_str) else {
            continue;
        };
        let number = value
            .trim()
            .trim_end_matches(|c: char| c.is_ascii_alphabetic())
            .trim_end();
        if !number.contains('.') || number.parse::<f64>().is_err() {
            continue;
        }
        let text = format!(
            "Failed to parse bytes value [{value}]. Fractional bytes values have been deprecated since Legacy 6.2. \
             Use non-fractional bytes values instead: found for setting [{setting}]"
        );
        let number = ErrorKind::NumberFormat.error(format!("For input string: \"{number}\""));
        let parsing = ErrorKind::Parse.error(text.clone()).caused_by(number);
        let cause = if setting == "chunk_size" {
            EsError::illegal_argument(text).caused_by(parsing)
        } else {
            parsing
        };
        return Err(ErrorKind::Repository
            .error(format!("[{repository}] failed to create repository"))
            .caused_by(cause));
    }
    Ok(())
}

fn flatten(prefix: &str, object: &Map<String, Value>, flat: &mut Vec<(String, Value)>) {
    for (key, value) in object {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Object(nested) => flatten(&name, nested, flat),
            Value::Array(items) => flat.push((name, items.iter().map(as_string).collect())),
            other => flat.push((name, as_string(other))),
        }
    }
}

/// Null stays null: the server knows it as "not given", and `GET` gives it back.
fn as_string(value: &Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

/// Puts `a.b` into an object `a`; where `a` is a value already, the dotted name stays.
fn insert_nested(object: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((first, rest)) = name.split_once('.') else {
        object.insert(name.to_owned(), value);
        return;
    };
    match object
        .entry(first)
        .or_insert_with(|| Value::Object(Map::new()))
    {
        Value::Object(nested) => insert_nested(nested, rest, value),
        _ => {
            object.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given() -> Map<String, Value> {
        json!({"location": "/r", "compress": true, "max": 5, "chunk_size": null, "foo": {"bar": 1}, "a.b": "c",
            "arr": ["a", 2], "client.secret_key": "x"})
        .as_object()
        .cloned()
        .unwrap()
    }

    #[test]
    fn every_value_is_a_string() {
        assert_eq!(
            show(&given(), false),
            json!({"a": {"b": "c"}, "arr": ["a", "2"], "chunk_size": null, "compress": "true", "foo": {"bar": "1"},
                "location": "/r", "max": "5"})
        );
    }

    #[test]
    fn fractions_of_sizes_can_be_refused() {
        let settings = |value: &str| json!({"chunk_size": value}).as_object().cloned().unwrap();
        let error = refuse_fractions("r", &settings("1.5mb")).unwrap_err();
        let body = error.render(crate::elasticsearch::Shape::OpenSearch, false);
        let cause = &body["error"]["caused_by"]["caused_by"]["caused_by"];
        assert_eq!(cause["reason"], "For input string: \"1.5\"");
        assert!(refuse_fractions("r", &settings("15mb")).is_ok());
        assert!(refuse_fractions("r", &settings("a.b")).is_ok());
    }

    #[test]
    fn flat_names_are_dotted() {
        let flat = show(&given(), true);
        assert_eq!(flat["foo.bar"], "1");
        assert_eq!(flat["a.b"], "c");
    }
}
