//! `_count`.

use serde_json::{Value, json};
use snapkeep_store::search::{SearchRequest, search};

use super::body::{located, query_string};
use super::failure;
use super::scope::Scope;
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::documents::bulk::token;
use crate::elasticsearch::errors::{ErrorKind, EsError};

/// `GET|POST [/{index}]/_count`.
pub fn count(call: &Call) -> Reply {
    for name in ["terminate_after", "min_score"] {
        if call.params.has(name) {
            return Err(EsError::illegal_argument(format!(
                "[{name}] in a count is not supported by this server"
            )));
        }
    }
    let text = call.bytes();
    let body = call.json()?.unwrap_or_else(|| json!({}));
    let mut query = None;
    for (key, value) in body.as_object().into_iter().flatten() {
        if key != "query" {
            let error = ErrorKind::Parsing.error(format!("request does not support [{key}]"));
            return Err(located(error, &text, key));
        }
        if !value.is_object() {
            return Err(located(
                ErrorKind::Parsing.error(format!(
                    "[query] must be an object, found [{}]",
                    token(value)
                )),
                &text,
                key,
            ));
        }
        query = Some(value.clone());
    }
    let query = query_string(&call.params)?.or(query);
    let scope = Scope::resolve(call, call.optional_arg("index"), &call.params)?;
    let count = of_scope(call, &scope, query, &text)?;
    let shards = scope.shard_count();
    ok(
        json!({"count": count, "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0}}),
    )
}

/// Documents in a scope that match, all without a query.
///
/// # Errors
/// Whatever is wrong with the query.
pub fn of_scope(
    call: &Call,
    scope: &Scope,
    query: Option<Value>,
    text: &[u8],
) -> Result<u64, EsError> {
    if scope.indices.is_empty() {
        return Ok(0);
    }
    let mut body = json!({"size": 0, "track_total_hits": true});
    if let Some(query) = query {
        body["query"] = query;
    }
    let request = SearchRequest::parse(&body).map_err(|error| failure::of_request(error, text))?;
    let request = scope.apply(request)?;
    let first = scope.indices.first().map(std::convert::AsRef::as_ref);
    let found = search(&call.store().peek(), &scope.names(), &request)
        .map_err(|error| failure::of_shards(call, first, error, text))?;
    Ok(found.total.map_or(0, |total| total.value))
}
