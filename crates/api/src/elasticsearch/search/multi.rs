//! `_msearch`: several searches, one after the other.

use std::time::Instant;

use serde_json::{Map, Value};

use super::{body, run};
use crate::elasticsearch::body::parse;
use crate::elasticsearch::call::{Call, Reply, raw};
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::output::Format;
use crate::elasticsearch::params::Params;

/// Most searches of one request.
const MAX_SEARCHES: usize = 1_000;

/// Keys of a header line that are parameters of its search.
const HEADER: &[&str] = &[
    "index",
    "indices",
    "search_type",
    "preference",
    "routing",
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "request_cache",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
    "ignore_throttled",
];

/// `GET|POST [/{index}]/_msearch`.
pub fn multi_search(call: &Call) -> Reply {
    let started = Instant::now();
    let bytes = call.bytes();
    if bytes.is_empty() {
        return Err(ErrorKind::Parse.error("request body or source parameter is required"));
    }
    if !bytes.ends_with(b"\n") {
        return Err(EsError::illegal_argument(
            "The msearch request must be terminated by a newline [\\n]",
        ));
    }
    let lines: Vec<&[u8]> = bytes[..bytes.len() - 1]
        .split(|byte| *byte == b'\n')
        .collect();
    if lines.len() > 2 * MAX_SEARCHES {
        return Err(EsError::illegal_argument(format!(
            "[_msearch] takes at most {MAX_SEARCHES} searches"
        )));
    }
    if lines.len() % 2 == 1 {
        return Err(EsError::validation(&["no requests added"]));
    }
    let mut answers = Vec::new();
    for pair in lines.chunks_exact(2) {
        let header = if pair[0].trim_ascii().is_empty() {
            Value::Object(Map::new())
        } else {
            parse(pair[0], Format::Json, call.shape())?
        };
        let (expression, params) = header_of(call, &header)?;
        let value = parse(pair[1], Format::Json, call.shape())?;
        let answer = body::read(Some(value), pair[1], &Params::default())
            .and_then(|body| run::execute(call, body, pair[1], expression.as_deref(), &params));
        answers.push(match answer {
            Ok(mut text) => {
                text.pop();
                format!("{text},\"status\":200}}")
            }
            Err(error) => error.render(call.shape(), false).to_string(),
        });
    }
    let took = started.elapsed().as_millis();
    raw(
        200,
        format!("{{\"took\":{took},\"responses\":[{}]}}", answers.join(",")),
        None,
    )
}

/// Where one search looks, and its parameters: those of its header line, else those of the URL.
fn header_of(call: &Call, header: &Value) -> Result<(Option<String>, Params), EsError> {
    let Value::Object(header) = header else {
        return Err(EsError::illegal_argument(
            "header line of [_msearch] must be an object",
        ));
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for name in HEADER
        .iter()
        .chain(&["rest_total_hits_as_int", "typed_keys"])
    {
        if let Some(value) = call.params.get(name) {
            pairs.push(((*name).to_owned(), value.to_owned()));
        }
    }
    let mut expression = call.optional_arg("index").map(str::to_owned);
    for (key, value) in header {
        if !HEADER.contains(&key.as_str()) {
            return Err(EsError::illegal_argument(format!(
                "key [{key}] is not supported in the metadata section"
            )));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        };
        if matches!(key.as_str(), "index" | "indices") {
            expression = Some(text).filter(|text| !text.is_empty());
        } else {
            pairs.push((key.clone(), text));
        }
    }
    Ok((expression, Params::new(pairs)))
}
