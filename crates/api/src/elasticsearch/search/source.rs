//! Which parts of a document's source an answer shows: `_source`, `_source_includes`, `_source_excludes`.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use snapkeep_store::search::SourceFilter;

use super::failure;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::{Params, split_list};

/// Parameters read by [`of_params`].
pub const PARAMS: [&str; 3] = ["_source", "_source_includes", "_source_excludes"];

/// What the URL says, as the value of `_source` in a body; `None` when it says nothing.
pub fn value_of_params(params: &Params) -> Option<Value> {
    if !PARAMS.iter().any(|name| params.has(name)) {
        return None;
    }
    let mut includes = params.list(PARAMS[1]);
    match params.get(PARAMS[0]) {
        Some("false") => return Some(json!(false)),
        None | Some("true" | "") => {}
        Some(list) => includes.extend(split_list(list)),
    }
    Some(json!({"includes": includes, "excludes": params.list(PARAMS[2])}))
}

/// Like [`value_of_params`], ready for use.
///
/// # Errors
/// None in practice: what the URL can say is always a filter.
pub fn of_params(params: &Params) -> Result<Option<SourceFilter>, EsError> {
    value_of_params(params).as_ref().map(of_value).transpose()
}

/// From `_source` of a body.
///
/// # Errors
/// 400 for what is no filter.
pub fn of_value(value: &Value) -> Result<SourceFilter, EsError> {
    SourceFilter::parse(value).map_err(|error| failure::of_request(error, b""))
}

/// The `_source` to show of stored bytes: untouched where everything is wanted.
///
/// # Errors
/// 500 when stored bytes are no JSON.
pub fn shown(filter: &SourceFilter, source: &[u8]) -> Result<Option<Box<RawValue>>, EsError> {
    filter.apply(source).map_err(|error| {
        ErrorKind::Exception.error(format!("a stored document is no JSON: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str) -> Option<Value> {
        value_of_params(&Params::new(
            crate::elasticsearch::path::query_pairs(query).unwrap(),
        ))
    }

    #[test]
    fn the_url_may_switch_filter_or_say_nothing() {
        assert_eq!(value("pretty"), None);
        assert_eq!(value("_source=false"), Some(json!(false)));
        assert_eq!(
            value("_source=a,b&_source_includes=c"),
            Some(json!({"includes": ["c", "a", "b"], "excludes": []}))
        );
        assert_eq!(
            value("_source&_source_excludes=x"),
            Some(json!({"includes": [], "excludes": ["x"]}))
        );
    }

    #[test]
    fn an_unfiltered_source_is_passed_byte_for_byte() {
        let bytes = b"{\"n\": 1.00,  \"big\": 123456789012345678901234567890}";
        let raw = shown(&SourceFilter::all(), bytes).unwrap().unwrap();
        assert_eq!(raw.get().as_bytes(), bytes);
    }
}
