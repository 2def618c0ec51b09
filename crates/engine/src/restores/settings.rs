//! Settings of a restored index: those of the snapshot without what is ignored, with what is overridden.

use serde_json::{Map, Value};

use crate::error::RestoreProblem;
use crate::selection;

/// Settings that belong to the index for good.
const UNMODIFIABLE: [&str; 4] = [
    "index.number_of_shards",
    "index.version.created",
    "index.uuid",
    "index.creation_date",
];

/// Settings that may be changed but not left out, beside the [`UNMODIFIABLE`] ones.
const UNREMOVABLE: [&str; 2] = ["index.number_of_replicas", "index.auto_expand_replicas"];

/// Applies `ignore` (names or patterns), then `overrides` (nested or flat), to the flat settings of a snapshot.
pub(super) fn transform(
    settings: &Map<String, Value>,
    ignore: &[String],
    overrides: &Map<String, Value>,
) -> Result<Map<String, Value>, RestoreProblem> {
    let ignore: Vec<String> = ignore.iter().map(|name| with_prefix(name)).collect();
    for setting in &ignore {
        if UNMODIFIABLE.contains(&setting.as_str()) || UNREMOVABLE.contains(&setting.as_str()) {
            return Err(RestoreProblem::CannotRemoveSetting {
                setting: setting.clone(),
            });
        }
    }
    let mut changes = Map::new();
    flatten("", overrides, &mut changes);
    for setting in changes.keys() {
        if UNMODIFIABLE.contains(&setting.as_str()) {
            return Err(RestoreProblem::CannotModifySetting {
                setting: setting.clone(),
            });
        }
    }
    let is_ignored = |name: &str| {
        !UNMODIFIABLE.contains(&name)
            && !UNREMOVABLE.contains(&name)
            && ignore
                .iter()
                .any(|pattern| selection::matches(pattern, name))
    };
    let mut result: Map<String, Value> = settings
        .iter()
        .filter(|(name, _)| !is_ignored(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in changes {
        if value.is_null() {
            result.remove(&name);
        } else {
            result.insert(name, value);
        }
    }
    Ok(result)
}

fn with_prefix(name: &str) -> String {
    if name.starts_with("index.") || name.starts_with('*') {
        name.to_owned()
    } else {
        format!("index.{name}")
    }
}

/// Writes nested objects as names with dots, numbers and booleans as text.
fn flatten(prefix: &str, tree: &Map<String, Value>, flat: &mut Map<String, Value>) {
    for (key, value) in tree {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        let text = |value: &Value| match value {
            Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
            other => other.clone(),
        };
        match value {
            Value::Object(inner) => flatten(&name, inner, flat),
            Value::Array(items) => {
                flat.insert(with_prefix(&name), items.iter().map(text).collect());
            }
            other => {
                flat.insert(with_prefix(&name), text(other));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn snapshot() -> Map<String, Value> {
        object(json!({
            "index.number_of_shards": "2", "index.number_of_replicas": "1", "index.refresh_interval": "5s",
            "index.blocks.write": "true", "index.uuid": "u"
        }))
    }

    #[test]
    fn settings_are_ignored_by_name_or_pattern_and_overridden() {
        let changed = transform(
            &snapshot(),
            &["index.refresh_interval".into(), "blocks.*".into()],
            &object(json!({"index": {"number_of_replicas": 0}, "foo.bar": [1, "x"]})),
        )
        .unwrap();
        let expected = json!({
            "index.number_of_shards": "2", "index.number_of_replicas": "0", "index.uuid": "u",
            "index.foo.bar": ["1", "x"]
        });
        assert_eq!(Value::Object(changed), expected);
    }

    #[test]
    fn what_belongs_to_the_index_cannot_be_changed_and_is_spared_by_patterns() {
        let modify = transform(&snapshot(), &[], &object(json!({"number_of_shards": 3})));
        assert_eq!(
            modify.unwrap_err().to_string(),
            "cannot modify setting [index.number_of_shards] on restore"
        );
        let remove = transform(&snapshot(), &["index.uuid".into()], &Map::new());
        assert_eq!(
            remove.unwrap_err().to_string(),
            "cannot remove setting [index.uuid] on restore"
        );
        let all = transform(&snapshot(), &["index.*".into()], &Map::new()).unwrap();
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            [
                "index.number_of_shards",
                "index.number_of_replicas",
                "index.uuid"
            ]
        );
        let remove = transform(&snapshot(), &["number_of_replicas".into()], &Map::new());
        assert_eq!(
            remove.unwrap_err().to_string(),
            "cannot remove setting [index.number_of_replicas] on restore"
        );
    }
}
