//! Types that a mapping may name.

use serde_json::Value;

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};

/// Field types of Elasticsearch and OpenSearch, plugins that come with them included. The store keeps all of them; it can
/// search the plain ones.
const KNOWN: &[&str] = &[
    "aggregate_metric_double",
    "alias",
    "binary",
    "boolean",
    "byte",
    "completion",
    "constant_keyword",
    "counted_keyword",
    "date",
    "date_nanos",
    "date_range",
    "dense_vector",
    "derived",
    "double",
    "double_range",
    "flat_object",
    "flattened",
    "float",
    "float_range",
    "geo_point",
    "geo_shape",
    "half_float",
    "histogram",
    "integer",
    "integer_range",
    "ip",
    "ip_range",
    "join",
    "keyword",
    "knn_vector",
    "long",
    "long_range",
    "match_only_text",
    "nested",
    "object",
    "passthrough",
    "percolator",
    "point",
    "rank_feature",
    "rank_features",
    "rank_vectors",
    "scaled_float",
    "search_as_you_type",
    "semantic_text",
    "semver",
    "shape",
    "short",
    "sparse_vector",
    "star_tree",
    "text",
    "token_count",
    "unsigned_long",
    "version",
    "wildcard",
    "xy_point",
    "xy_shape",
];

/// Deepest mapping walked; the store refuses deeper ones.
const MAX_DEPTH: usize = 128;

/// Refuses a mapping with a type that nobody knows.
///
/// # Errors
/// 400 naming field and type.
pub fn check(mappings: &Value, shape: Shape) -> Result<(), EsError> {
    let Some((field, kind)) = unknown(mappings, 0) else {
        return Ok(());
    };
    Err(ErrorKind::MapperParsing.error(match shape {
        Shape::Es => format!(
            "The mapper type [{kind}] declared on field [{field}] does not exist. It might have been created within a future version or requires a plugin to be installed. Check the documentation."
        ),
        Shape::OpenSearch => format!("No handler for type [{kind}] declared on field [{field}]"),
    }))
}

fn unknown(mapping: &Value, depth: usize) -> Option<(String, String)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let fields = ["properties", "fields"]
        .into_iter()
        .filter_map(|key| mapping.get(key)?.as_object())
        .flatten();
    for (name, field) in fields {
        if let Some(kind) = field
            .get("type")
            .and_then(Value::as_str)
            .filter(|kind| !KNOWN.contains(kind))
        {
            return Some((name.clone(), kind.to_owned()));
        }
        if let Some(below) = unknown(field, depth + 1) {
            return Some(below);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_types_are_found_at_every_depth() {
        let known = json!({"properties": {"a": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "o": {"properties": {"b": {"type": "ip"}}}}});
        assert!(check(&known, Shape::Es).is_ok());
        let bad = json!({"properties": {"o": {"properties": {"b": {"type": "nosuchtype"}}}}});
        let error = check(&bad, Shape::OpenSearch).unwrap_err();
        assert_eq!(
            error.reason(),
            Some("No handler for type [nosuchtype] declared on field [b]")
        );
    }
}
