//! `_search/scroll`.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::answer::{Frame, render};
use super::failure;
use crate::elasticsearch::call::{Call, Reply, raw, status};
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::time_error;
use crate::elasticsearch::units;

/// Longest life of a scroll or point in time between two requests: Elasticsearch's own limit.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a scroll id begins with once decoded.
const MARK: &str = "scroll:";

/// The id that clients get.
pub fn encode(id: &str) -> String {
    URL_SAFE.encode(format!("{MARK}{id}"))
}

fn decode(id: &str) -> Result<String, EsError> {
    let decoded = URL_SAFE
        .decode(id)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let own = decoded.and_then(|text| text.strip_prefix(MARK).map(str::to_owned));
    own.ok_or_else(|| EsError::illegal_argument("Cannot parse scroll id"))
}

/// Reads a life span.
///
/// # Errors
/// 400 when it is no time or too long.
pub fn keep_alive(text: Option<&str>, name: &str) -> Result<Option<Duration>, EsError> {
    let Some(text) = text else { return Ok(None) };
    let span = units::parse_time(text).map_err(|error| time_error(name, text, &error))?;
    let span = span.ok_or_else(|| {
        EsError::illegal_argument(format!("[{name}] must be a time above 0, found [{text}]"))
    })?;
    if span > MAX_KEEP_ALIVE {
        return Err(EsError::illegal_argument(format!(
            "Keep alive for request ({text}) is too large. It must be less than (1d). This limit can be set by changing the [search.max_keep_alive] cluster level setting."
        )));
    }
    Ok(Some(span))
}

/// `GET|POST /_search/scroll[/{scroll_id}]`.
pub fn next(call: &Call) -> Reply {
    let started = Instant::now();
    let body = call.json()?.unwrap_or_else(|| json!({}));
    check_keys(&body, &["scroll", "scroll_id"])?;
    let given = body
        .get("scroll_id")
        .and_then(Value::as_str)
        .or_else(|| call.optional_arg("scroll_id"));
    let given = given
        .filter(|id| !id.is_empty())
        .ok_or_else(|| EsError::validation(&["scrollId is missing"]))?;
    let life = body
        .get("scroll")
        .and_then(Value::as_str)
        .or_else(|| call.params.get("scroll"));
    let life = keep_alive(life, "scroll")?;
    let id = decode(given)?;
    let result = call
        .store()
        .contexts()
        .scroll(&id, life)
        .map_err(|error| failure::scroll_gone(call, error))?;
    let frame = Frame {
        scroll_id: Some(given.to_owned()),
        took_ms: started.elapsed().as_millis(),
        total_as_int: call.params.bool("rest_total_hits_as_int", false)?,
        ..Frame::default()
    };
    raw(200, render(&result, &frame), None)
}

/// `DELETE /_search/scroll[/{scroll_id}]`.
pub fn clear(call: &Call) -> Reply {
    let body = call.json()?.unwrap_or_else(|| json!({}));
    check_keys(&body, &["scroll_id"])?;
    let mut ids = ids(&body, "scroll_id")?;
    ids.extend(
        call.optional_arg("scroll_id")
            .map(crate::elasticsearch::params::split_list)
            .unwrap_or_default(),
    );
    if ids.is_empty() {
        return Err(EsError::validation(&["no scroll ids specified"]));
    }
    let contexts = call.store().contexts();
    let freed = if ids.iter().any(|id| id == "_all") {
        contexts.close_all_scrolls()
    } else {
        let mut freed = 0;
        for id in ids {
            freed += usize::from(contexts.close_scroll(&decode(&id)?));
        }
        freed
    };
    let is_all = call.optional_arg("scroll_id") == Some("_all");
    status(
        if freed > 0 || is_all { 200 } else { 404 },
        json!({"succeeded": true, "num_freed": freed}),
    )
}

/// A string or a list of strings in a body.
///
/// # Errors
/// 400 for another form.
pub fn ids(body: &Value, key: &str) -> Result<Vec<String>, EsError> {
    let wrong =
        || EsError::illegal_argument(format!("{key} array element should only contain {key}"));
    match body.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// Refuses keys that are not known.
///
/// # Errors
/// 400 naming the key.
pub fn check_keys(body: &Value, known: &[&str]) -> Result<(), EsError> {
    let Value::Object(object) = body else {
        return Err(EsError::illegal_argument(
            "Malformed content, must start with an object",
        ));
    };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(ErrorKind::IllegalArgument.error(format!(
            "Unknown parameter [{key}] in request body or parameter is of the wrong type"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_opaque_and_checked() {
        assert_eq!(decode(&encode("abc")).unwrap(), "abc");
        assert!(
            decode("garbage")
                .unwrap_err()
                .to_string()
                .contains("Cannot parse scroll id")
        );
    }

    #[test]
    fn a_life_is_a_bounded_time() {
        assert_eq!(
            keep_alive(Some("1m"), "scroll").unwrap(),
            Some(Duration::from_secs(60))
        );
        assert!(keep_alive(Some("2d"), "scroll").is_err());
        assert!(keep_alive(Some("-1"), "scroll").is_err());
        assert!(keep_alive(Some("5"), "scroll").is_err());
    }
}
