//! Which parts of a document's source an answer shows: `_source`, `_source_includes`, `_source_excludes`.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use snapkeep_engine::selection::matches;

use crate::elasticsearch::documents::bulk::token;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::{Params, split_list};

/// Parameters read by [`SourceFilter::from_params`].
pub const PARAMS: [&str; 3] = ["_source", "_source_includes", "_source_excludes"];

/// A choice of fields by dotted paths with `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFilter {
    /// No source at all.
    pub none: bool,
    /// Only these, when there are any.
    pub includes: Vec<String>,
    /// Without these.
    pub excludes: Vec<String>,
}

impl SourceFilter {
    /// From a JSON value: a boolean, a pattern, a list of patterns, or `{"includes":…,"excludes":…}`.
    ///
    /// # Errors
    /// 400 for another form.
    pub fn from_value(value: &Value) -> Result<Self, EsError> {
        match value {
            Value::Bool(wanted) => Ok(Self { none: !wanted, ..Self::default() }),
            Value::Null => Ok(Self::default()),
            Value::String(_) | Value::Array(_) => Ok(Self { includes: patterns(value)?, ..Self::default() }),
            Value::Object(object) => {
                let mut filter = Self::default();
                for (key, value) in object {
                    match key.as_str() {
                        "includes" | "include" => filter.includes = patterns(value)?,
                        "excludes" | "exclude" => filter.excludes = patterns(value)?,
                        other => return Err(ErrorKind::Parsing.error(format!("Unknown key for a {} in [{other}].", token(value)))),
                    }
                }
                Ok(filter)
            }
            Value::Number(_) => Err(ErrorKind::Parsing.error("Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found [VALUE_NUMBER]")),
        }
    }

    /// From the URL; `None` when it says nothing about it.
    pub fn from_params(params: &Params) -> Option<Self> {
        if !PARAMS.iter().any(|name| params.has(name)) {
            return None;
        }
        let mut filter = Self { includes: params.list(PARAMS[1]), excludes: params.list(PARAMS[2]), none: false };
        match params.get(PARAMS[0]) {
            Some("false") => filter.none = true,
            None | Some("true" | "") => {}
            Some(list) => filter.includes.extend(split_list(list)),
        }
        Some(filter)
    }

    /// Whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        !self.none && self.includes.is_empty() && self.excludes.is_empty()
    }

    /// The `_source` to show of the stored bytes: untouched where everything is wanted.
    ///
    /// # Errors
    /// 500 when stored bytes are no JSON.
    pub fn apply(&self, source: &[u8]) -> Result<Option<Box<RawValue>>, EsError> {
        if self.none {
            return Ok(None);
        }
        if self.is_everything() {
            return serde_json::from_slice(source).map(Some).map_err(damaged);
        }
        let Value::Object(object) = serde_json::from_slice(source).map_err(damaged)? else {
            return Err(ErrorKind::Exception.error("a stored document is no object"));
        };
        let filtered = self.object(&object, "", self.includes.is_empty());
        serde_json::value::to_raw_value(&filtered).map(Some).map_err(damaged)
    }

    fn object(&self, object: &Map<String, Value>, prefix: &str, is_included: bool) -> Map<String, Value> {
        let mut kept = Map::new();
        for (key, value) in object {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if self.excludes.iter().any(|pattern| matches(pattern, &path)) {
                continue;
            }
            let included = is_included || self.includes.iter().any(|pattern| matches(pattern, &path));
            if let Some(value) = self.value(value, &path, included) {
                kept.insert(key.clone(), value);
            }
        }
        kept
    }

    fn value(&self, value: &Value, path: &str, included: bool) -> Option<Value> {
        match value {
            Value::Object(inner) => {
                let kept = self.object(inner, path, included);
                (included || !kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(items) => {
                let kept: Vec<Value> = items.iter().filter_map(|item| self.value(item, path, included)).collect();
                (included || !kept.is_empty()).then_some(Value::Array(kept))
            }
            plain => included.then(|| plain.clone()),
        }
    }
}

fn damaged(error: serde_json::Error) -> EsError {
    ErrorKind::Exception.error(format!("a stored document is no JSON: {error}"))
}

fn patterns(value: &Value) -> Result<Vec<String>, EsError> {
    let wrong = || ErrorKind::Parsing.error(format!("Unknown key for a {} in [_source].", token(value)));
    match value {
        Value::String(text) => Ok(split_list(text)),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Value::Null => Ok(Vec::new()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(filter: &Value, source: &Value) -> Value {
        let filter = SourceFilter::from_value(filter).unwrap();
        let raw = filter.apply(source.to_string().as_bytes()).unwrap();
        raw.map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap())
    }

    #[test]
    fn patterns_take_what_lies_below_them() {
        let source = json!({"a": {"b": 1, "c": [{"d": 1}, {"e": 2}]}, "x": 3});
        assert_eq!(shown(&json!("a.b"), &source), json!({"a": {"b": 1}}));
        assert_eq!(shown(&json!(["a"]), &source), json!({"a": {"b": 1, "c": [{"d": 1}, {"e": 2}]}}));
        assert_eq!(shown(&json!("a.*.d"), &source), json!({"a": {"c": [{"d": 1}]}}));
        assert_eq!(shown(&json!({"excludes": ["a.c"]}), &source), json!({"a": {"b": 1}, "x": 3}));
        assert_eq!(shown(&json!({"includes": ["a*"], "excludes": "*.b"}), &json!({"a": {"b": 1}, "ab": 2})), json!({"a": {}, "ab": 2}));
        assert_eq!(shown(&json!(false), &source), Value::Null);
    }

    #[test]
    fn an_unfiltered_source_is_passed_byte_for_byte() {
        let bytes = b"{\"n\": 1.00,  \"big\": 123456789012345678901234567890}";
        let raw = SourceFilter::default().apply(bytes).unwrap().unwrap();
        assert_eq!(raw.get().as_bytes(), bytes);
    }
}
