//! From a request's body and parameters to what the store searches.

use serde_json::{Map, Value, json};

use super::source;
use crate::elasticsearch::call::Call;
use crate::elasticsearch::documents::bulk::token;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::Params;

/// Keys that are handed to the store.
const OFFERED: &[&str] = &[
    "query",
    "from",
    "size",
    "sort",
    "_source",
    "track_total_hits",
    "search_after",
    "version",
    "seq_no_primary_term",
    "slice",
];

/// Keys that change nothing here.
const WITHOUT_EFFECT: &[&str] = &["timeout", "track_scores", "stats"];

/// Keys that Elasticsearch or OpenSearch knows and this server does not offer.
const REFUSED: &[&str] = &[
    "aggs",
    "aggregations",
    "collapse",
    "derived",
    "docvalue_fields",
    "ext",
    "fields",
    "highlight",
    "indices_boost",
    "knn",
    "min_score",
    "post_filter",
    "rank",
    "rescore",
    "retriever",
    "runtime_mappings",
    "script_fields",
    "search_pipeline",
    "suggest",
    "terminate_after",
];

/// A search body with the URL's parameters merged in.
#[derive(Debug, Default)]
pub struct Body {
    /// What the store gets.
    pub keys: Map<String, Value>,
    /// `pit`.
    pub pit: Option<Pit>,
    /// Documents to leave out first.
    pub from: u64,
    /// Documents wanted.
    pub size: u64,
}

/// `pit` of a body.
#[derive(Debug, Clone)]
pub struct Pit {
    /// The id.
    pub id: String,
    /// A new life span.
    pub keep_alive: Option<String>,
}

/// Reads a search body; `text` is the body as it came, for places in messages.
///
/// # Errors
/// 400 for what is unknown, malformed or not offered, by name.
pub fn read(value: Option<Value>, text: &[u8], params: &Params) -> Result<Body, EsError> {
    let mut body = Body {
        size: 10,
        ..Body::default()
    };
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Object(object)) => {
            for (key, value) in object {
                take(&mut body, key, value, text)?;
            }
        }
        Some(other) => {
            let reason = format!("Expected [START_OBJECT] but found [{}]", token(&other));
            return Err(ErrorKind::Parsing
                .error(reason)
                .field("line", 1)
                .field("col", 1));
        }
    }
    merge(&mut body, params)?;
    body.from = bounded(&body.keys, "from", 0)?;
    body.size = bounded(&body.keys, "size", 10)?;
    Ok(body)
}

fn take(body: &mut Body, key: String, value: Value, text: &[u8]) -> Result<(), EsError> {
    let is_off = value == false || value.is_null();
    match key.as_str() {
        "pit" => body.pit = Some(pit(&value)?),
        "explain" | "profile" if is_off => {}
        "explain" | "profile" => return Err(not_offered(&key)),
        "stored_fields" => without_stored_fields(body, &value)?,
        offered if OFFERED.contains(&offered) => {
            check_type(&key, &value, text)?;
            // Nothing is `null` for the parser: the key counts as not given.
            if !value.is_null() {
                body.keys.insert(key, value);
            }
        }
        passive if WITHOUT_EFFECT.contains(&passive) => {}
        refused if REFUSED.contains(&refused) => return Err(not_offered(&key)),
        _ => return Err(unknown_key(&key, &value, text)),
    }
    Ok(())
}

fn not_offered(name: &str) -> EsError {
    EsError::illegal_argument(format!(
        "[{name}] in a search is not supported by this server"
    ))
}

fn unknown_key(key: &str, value: &Value, text: &[u8]) -> EsError {
    let error = ErrorKind::Parsing.error(format!("Unknown key for a {} in [{key}].", token(value)));
    located(error, text, key)
}

fn check_type(key: &str, value: &Value, text: &[u8]) -> Result<(), EsError> {
    let is_right = match key {
        "query" | "slice" => value.is_object() || value.is_null(),
        "from" | "size" => {
            value.is_number()
                || value
                    .as_str()
                    .is_some_and(|digits| digits.parse::<i64>().is_ok())
        }
        "search_after" => value.is_array(),
        "version" | "seq_no_primary_term" => {
            value.is_boolean() || matches!(value.as_str(), Some("true" | "false"))
        }
        _ => true,
    };
    if is_right {
        Ok(())
    } else {
        Err(unknown_key(key, value, text))
    }
}

/// Adds `line` and `col` of the value that follows the first `"key":` in the text.
pub fn located(error: EsError, text: &[u8], key: &str) -> EsError {
    match place(text, key) {
        Some((line, column)) => error.field("line", line).field("col", column),
        None => error,
    }
}

/// Line and column, from 1, of the value of a key.
pub fn place(text: &[u8], key: &str) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(text).ok()?;
    let quoted = Value::from(key).to_string();
    let mut searched = 0;
    while let Some(found) = text[searched..].find(&quoted) {
        let behind = searched + found + quoted.len();
        let rest = text[behind..].trim_start();
        if let Some(value) = rest.strip_prefix(':') {
            let at = text.len() - value.trim_start().len();
            let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let line = text[..at].matches('\n').count() + 1;
            return Some((line, text[line_start..at].chars().count() + 1));
        }
        searched = behind;
    }
    None
}

fn pit(value: &Value) -> Result<Pit, EsError> {
    let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
    let id = id.ok_or_else(|| EsError::illegal_argument("Required [id]"))?;
    let keep_alive = value
        .get("keep_alive")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Pit { id, keep_alive })
}

/// There are no stored fields beside the source, so `*` and `_none_` ask for none, and no `_source` unless it is named.
fn without_stored_fields(body: &mut Body, value: &Value) -> Result<(), EsError> {
    let names: Vec<&str> = match value {
        Value::String(one) => vec![one],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if let Some(other) = names
        .iter()
        .find(|name| !matches!(**name, "*" | "_none_" | "_source"))
    {
        return Err(EsError::illegal_argument(format!(
            "stored field [{other}] is not supported by this server; use [_source]"
        )));
    }
    if !names.contains(&"_source") {
        body.keys.entry("_source").or_insert(json!(false));
    }
    Ok(())
}

/// The parameters of the URL win over the body.
fn merge(body: &mut Body, params: &Params) -> Result<(), EsError> {
    for name in [
        "stored_fields",
        "docvalue_fields",
        "terminate_after",
        "suggest_field",
        "suggest_text",
    ] {
        if params.has(name) {
            return Err(not_offered(name));
        }
    }
    if params.bool("explain", false)? {
        return Err(not_offered("explain"));
    }
    if let Some(query) = query_string(params)? {
        body.keys.insert("query".into(), query);
    }
    for name in ["from", "size"] {
        if params.has(name) {
            body.keys.insert(name.into(), json!(params.int(name, 0)?));
        }
    }
    for name in ["version", "seq_no_primary_term"] {
        if let Some(wanted) = params.optional_bool(name)? {
            body.keys.insert(name.into(), json!(wanted));
        }
    }
    if let Some(text) = params.get("track_total_hits") {
        let value = match text.parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => json!(params.bool("track_total_hits", true)?),
        };
        body.keys.insert("track_total_hits".into(), value);
    }
    let sort: Vec<Value> = params
        .list("sort")
        .iter()
        .map(|item| sort_item(item))
        .collect();
    if !sort.is_empty() {
        body.keys.insert("sort".into(), Value::Array(sort));
    }
    if let Some(value) = source::value_of_params(params) {
        body.keys.insert("_source".into(), value);
    }
    Ok(())
}

fn sort_item(item: &str) -> Value {
    match item.rsplit_once(':') {
        Some((field, order)) => json!({ field: {"order": order} }),
        None => json!(item),
    }
}

/// `q` with its companions as a query.
///
/// # Errors
/// 400 for a bad boolean.
pub fn query_string(params: &Params) -> Result<Option<Value>, EsError> {
    let Some(text) = params.get("q") else {
        return Ok(None);
    };
    let mut query = json!({"query": text});
    if let Some(field) = params.get("df") {
        query["default_field"] = json!(field);
    }
    if let Some(operator) = params.get("default_operator") {
        query["default_operator"] = json!(operator);
    }
    for name in ["lenient", "analyze_wildcard"] {
        params.optional_bool(name)?;
    }
    Ok(Some(json!({"query_string": query})))
}

fn bounded(keys: &Map<String, Value>, name: &str, default: u64) -> Result<u64, EsError> {
    let Some(value) = keys.get(name) else {
        return Ok(default);
    };
    let number = value
        .as_i64()
        .or_else(|| value.as_str().and_then(|digits| digits.parse().ok()))
        .unwrap_or_default();
    u64::try_from(number).map_err(|_| {
        EsError::illegal_argument(match name {
            "size" => format!("[size] parameter cannot be negative, found [{number}]"),
            _ => format!("[{name}] parameter cannot be negative but was [{number}]"),
        })
    })
}

/// Reads the body of a request.
///
/// # Errors
/// As [`read`].
pub fn of_call(call: &Call) -> Result<Body, EsError> {
    read(call.json()?, &call.bytes(), &call.params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;

    fn error(text: &str) -> Value {
        let value = serde_json::from_str(text).unwrap();
        read(Some(value), text.as_bytes(), &Params::default())
            .unwrap_err()
            .render(Shape::OpenSearch, false)["error"]
            .clone()
    }

    #[test]
    fn unknown_keys_are_placed() {
        let found = error("{\"nosuch\": 1}");
        assert_eq!(
            found["reason"],
            "Unknown key for a VALUE_NUMBER in [nosuch]."
        );
        assert_eq!((&found["line"], &found["col"]), (&json!(1), &json!(12)));
        assert_eq!(place(b"{\n \"query\": {\"x\": {}}}", "x"), Some((2, 17)));
    }

    #[test]
    fn what_is_not_offered_is_named() {
        assert_eq!(
            error("{\"aggs\": {}}")["reason"],
            "[aggs] in a search is not supported by this server"
        );
        assert_eq!(
            error("{\"size\": -1}")["reason"],
            "[size] parameter cannot be negative, found [-1]"
        );
    }

    #[test]
    fn the_url_wins_over_the_body() {
        let pairs = crate::elasticsearch::path::query_pairs(
            "q=a:b&size=3&sort=n:desc,m&_source=x,y&track_total_hits=7",
        )
        .unwrap();
        let body = read(
            Some(json!({"size": 9, "query": {"match_all": {}}})),
            b"",
            &Params::new(pairs),
        )
        .unwrap();
        assert_eq!(body.size, 3);
        assert_eq!(
            body.keys["query"],
            json!({"query_string": {"query": "a:b"}})
        );
        assert_eq!(body.keys["sort"], json!([{"n": {"order": "desc"}}, "m"]));
        assert_eq!(
            body.keys["_source"],
            json!({"includes": ["x", "y"], "excludes": []})
        );
        assert_eq!(body.keys["track_total_hits"], json!(7));
    }

    #[test]
    fn stored_fields_leave_the_source_out_unless_it_is_asked_for() {
        let of =
            |text: &str| read(serde_json::from_str(text).ok(), b"", &Params::default()).unwrap();
        assert_eq!(
            of("{\"stored_fields\": [\"*\"]}").keys["_source"],
            json!(false)
        );
        assert_eq!(
            of("{\"_source\": true, \"stored_fields\": [\"*\"]}").keys["_source"],
            json!(true)
        );
        assert_eq!(
            of("{\"stored_fields\": [\"*\"], \"_source\": true}").keys["_source"],
            json!(true)
        );
    }
}
