//! Fields of a mapping by their full names, and `_field_caps`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::matches;

use super::targets::{Defaults, select};
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::errors::EsError;

/// Deepest mapping walked; documents cannot be nested deeper.
const MAX_DEPTH: usize = 128;

/// All fields with their own mapping, multi-fields included; objects count with their `properties`.
pub fn all(mappings: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect(mappings, "", "properties", 0, &mut found);
    found
}

fn collect(
    mapping: &Value,
    prefix: &str,
    below: &str,
    depth: usize,
    found: &mut Vec<(String, Value)>,
) {
    let Some(Value::Object(fields)) = mapping.get(below).filter(|_| depth < MAX_DEPTH) else {
        return;
    };
    for (name, field) in fields {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        collect(field, &path, "properties", depth + 1, found);
        collect(field, &path, "fields", depth + 1, found);
        found.push((path, field.clone()));
    }
}

/// `GET|POST [/{index}]/_field_caps`: what every field is in each index.
pub fn field_caps(call: &Call) -> Reply {
    let body = call.json()?.unwrap_or_else(|| json!({}));
    for key in body.as_object().into_iter().flat_map(Map::keys) {
        if key != "fields" {
            return Err(EsError::illegal_argument(format!(
                "[{key}] in [_field_caps] is not supported by this server"
            )));
        }
    }
    let mut patterns = call.params.list("fields");
    match body.get("fields") {
        Some(Value::Array(items)) => {
            patterns.extend(items.iter().filter_map(Value::as_str).map(str::to_owned))
        }
        Some(Value::String(one)) => patterns.push(one.clone()),
        _ => {}
    }
    if patterns.is_empty() {
        return Err(EsError::validation(&["no fields specified"]));
    }
    let include_unmapped = call.params.bool("include_unmapped", false)?;
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    let mut by_field: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for meta in &chosen {
        for (name, mapping) in all(&meta.mappings) {
            if patterns.iter().any(|pattern| matches(pattern, &name)) {
                let default = if mapping.get("properties").is_some() {
                    "object"
                } else {
                    "text"
                };
                let kind = mapping
                    .get("type")
                    .and_then(Value::as_str)
                    .unwrap_or(default)
                    .to_owned();
                by_field
                    .entry(name)
                    .or_default()
                    .entry(kind)
                    .or_default()
                    .push(&meta.name);
            }
        }
    }
    let mut fields = Map::new();
    for (name, mut kinds) in by_field {
        let mapped: usize = kinds.values().map(Vec::len).sum();
        if include_unmapped && mapped < chosen.len() {
            let having: Vec<&str> = kinds.values().flatten().copied().collect();
            let lacking = chosen
                .iter()
                .map(|meta| meta.name.as_str())
                .filter(|index| !having.contains(index))
                .collect();
            kinds.insert("unmapped".to_owned(), lacking);
        }
        let is_ambiguous = kinds.len() > 1;
        let shown = kinds.into_iter().map(|(kind, indices)| {
            let mut one = capabilities(&kind);
            if is_ambiguous {
                one.insert("indices".into(), json!(indices));
            }
            (kind, Value::Object(one))
        });
        fields.insert(name, Value::Object(shown.collect()));
    }
    let names: Vec<&str> = chosen.iter().map(|meta| meta.name.as_str()).collect();
    ok(json!({"indices": names, "fields": fields}))
}

fn capabilities(kind: &str) -> Map<String, Value> {
    let is_leaf = !matches!(kind, "object" | "nested" | "unmapped");
    Map::from_iter([
        ("type".to_owned(), json!(kind)),
        ("metadata_field".to_owned(), json!(false)),
        ("searchable".to_owned(), json!(is_leaf)),
        ("aggregatable".to_owned(), json!(is_leaf && kind != "text")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_below_objects_and_as_multi_fields() {
        let mappings = json!({"properties": {"a": {"properties": {"b": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}}}});
        let names: Vec<String> = all(&mappings).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.b.raw", "a.b", "a"]);
    }
}
