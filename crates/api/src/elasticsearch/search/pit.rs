//! Points in time: `_pit` (Elasticsearch) and `_search/point_in_time` (OpenSearch).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapkeep_store::search::{SearchRequest, SearchResult};

use super::body::{Body, Pit};
use super::scope::Scope;
use super::{failure, scroll};
use crate::elasticsearch::call::{Call, Reply, ok, status};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;

/// What an id says once decoded: the store's context, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Decoded {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shards: Option<Vec<u16>>,
}

fn encode(decoded: &Decoded) -> String {
    URL_SAFE.encode(json!(decoded).to_string())
}

fn decode(id: &str) -> Result<Decoded, EsError> {
    let bytes = URL_SAFE.decode(id).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| EsError::illegal_argument(format!("invalid id: [{id}]")))
}

/// `POST /{index}/_pit` and `POST /{index}/_search/point_in_time`.
pub fn open(call: &Call) -> Reply {
    let Some(life) = scroll::keep_alive(call.params.get("keep_alive"), "keep_alive")? else {
        return Err(EsError::validation(&[match call.shape() {
            Shape::Es => "[keep_alive] is not specified",
            Shape::OpenSearch => "keep alive not specified",
        }]));
    };
    call.params.optional_bool("allow_partial_pit_creation")?;
    call.params.optional_bool("allow_partial_search_results")?;
    if call.has_body() {
        return Err(EsError::illegal_argument(
            "[index_filter] of a point in time is not supported by this server",
        ));
    }
    let scope = Scope::resolve(call, call.optional_arg("index"), &call.params)?;
    let shards = scope.shard_count();
    let id = call
        .store()
        .contexts()
        .open_pit(call.store().peek(), scope.names(), life)
        .map_err(|error| failure::of_request(error, b""))?;
    let id = encode(&Decoded {
        id,
        shards: scope.preferred,
    });
    let header = json!({"total": shards, "successful": shards, "skipped": 0, "failed": 0});
    ok(match call.shape() {
        Shape::Es => json!({"id": id, "_shards": header}),
        Shape::OpenSearch => {
            json!({"pit_id": id, "_shards": header, "creation_time": jiff::Timestamp::now().as_millisecond()})
        }
    })
}

/// Searches in a point in time.
///
/// # Errors
/// 404 when it is gone; whatever is wrong with the search.
pub fn search(call: &Call, body: &Body, asked: &Pit, text: &[u8]) -> Result<SearchResult, EsError> {
    let decoded = decode(&asked.id)?;
    let life = scroll::keep_alive(asked.keep_alive.as_deref(), "keep_alive")?;
    let mut keys = body.keys.clone();
    let sorts = keys
        .get("sort")
        .map_or(0, |sort| sort.as_array().map_or(1, Vec::len));
    match call.shape() {
        Shape::Es => add_tiebreak(&mut keys),
        Shape::OpenSearch => refuse_shard_doc(call, &keys)?,
    }
    let mut request = SearchRequest::parse(&Value::Object(keys))
        .map_err(|error| failure::of_request(error, text))?;
    if let Some(shards) = decoded.shards {
        request.keep_to_shards(None, shards);
    }
    let mut found = call
        .store()
        .contexts()
        .search_pit(&decoded.id, &request, life)
        .map_err(|error| match error {
            snapkeep_store::search::SearchError::ContextMissing { .. } => {
                failure::all_failed(call, None, failure::of_request(error, text))
            }
            other => failure::of_shards(call, None, other, text),
        })?;
    if call.shape() == Shape::OpenSearch {
        // The store breaks ties by place; OpenSearch shows only what was asked for.
        for values in found.hits.iter_mut().filter_map(|hit| hit.sort.as_mut()) {
            values.truncate(sorts);
        }
    }
    Ok(found)
}

/// Elasticsearch adds `_shard_doc` to every sort in a point in time, so that pages never overlap.
fn add_tiebreak(keys: &mut serde_json::Map<String, Value>) {
    let sorts = match keys.get_mut("sort") {
        None | Some(Value::Null) => return,
        Some(Value::Array(sorts)) => sorts,
        Some(other) => {
            *other = json!([other.take()]);
            let Value::Array(sorts) = other else { return };
            sorts
        }
    };
    if sorts.is_empty() || sorts.iter().any(is_shard_doc) {
        return;
    }
    sorts.push(json!({"_shard_doc": "asc"}));
    let wanted = sorts.len();
    // A caller that leaves the tiebreak out means: behind everything with these values.
    if let Some(Value::Array(after)) = keys.get_mut("search_after")
        && after.len() + 1 == wanted
    {
        after.push(json!(i64::MAX));
    }
}

fn is_shard_doc(sort: &Value) -> bool {
    sort == "_shard_doc" || sort.get("_shard_doc").is_some()
}

fn refuse_shard_doc(call: &Call, keys: &serde_json::Map<String, Value>) -> Result<(), EsError> {
    let given = match keys.get("sort") {
        Some(Value::Array(sorts)) => sorts.iter().any(is_shard_doc),
        Some(one) => is_shard_doc(one),
        None => false,
    };
    if !given {
        return Ok(());
    }
    let reason = "No mapping found for [_shard_doc] in order to sort on";
    Err(failure::all_failed(
        call,
        None,
        crate::elasticsearch::errors::ErrorKind::QueryShard.error(reason),
    ))
}

/// `DELETE /_pit`.
pub fn close(call: &Call) -> Reply {
    let body = call.required_json()?;
    scroll::check_keys(&body, &["id"])?;
    let ids = scroll::ids(&body, "id")?;
    if ids.is_empty() {
        return Err(EsError::validation(&["[id] is not specified"]));
    }
    let mut freed = 0;
    for id in ids {
        freed += usize::from(call.store().contexts().close_pit(&decode(&id)?.id));
    }
    status(
        if freed > 0 { 200 } else { 404 },
        json!({"succeeded": freed > 0, "num_freed": freed}),
    )
}

/// `DELETE /_search/point_in_time`: closing what is closed is no error.
pub fn close_listed(call: &Call) -> Reply {
    let body = call.required_json()?;
    scroll::check_keys(&body, &["pit_id"])?;
    let ids = scroll::ids(&body, "pit_id")?;
    if ids.is_empty() {
        return Err(EsError::validation(&["no pit ids specified"]));
    }
    let mut closed = Vec::new();
    for id in ids {
        call.store().contexts().close_pit(&decode(&id)?.id);
        closed.push(json!({"successful": true, "pit_id": id}));
    }
    ok(json!({"pits": closed}))
}

/// `DELETE /_search/point_in_time/_all`.
pub fn close_all(call: &Call) -> Reply {
    let closed = call.store().contexts().close_all_pits();
    let shown: Vec<Value> = closed
        .into_iter()
        .map(|id| json!({"successful": true, "pit_id": encode(&Decoded { id, shards: None })}))
        .collect();
    ok(json!({"pits": shown}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_the_shards() {
        let decoded = Decoded {
            id: "x".into(),
            shards: Some(vec![1]),
        };
        assert_eq!(decode(&encode(&decoded)).unwrap(), decoded);
        assert!(
            decode("garbage")
                .unwrap_err()
                .to_string()
                .contains("invalid id: [garbage]")
        );
    }

    #[test]
    fn the_tiebreak_is_added_once_and_left_out_values_mean_the_end() {
        let tie = |mut keys: Value| {
            let object = keys.as_object_mut().unwrap();
            add_tiebreak(object);
            keys
        };
        assert_eq!(
            tie(json!({"sort": "n"})),
            json!({"sort": ["n", {"_shard_doc": "asc"}]})
        );
        let shard_doc = json!({"sort": [{"_shard_doc": "desc"}]});
        assert_eq!(tie(shard_doc.clone()), shard_doc);
        assert_eq!(
            tie(json!({"sort": ["n"], "search_after": [5]}))["search_after"],
            json!([5, i64::MAX])
        );
        assert_eq!(
            tie(json!({"sort": ["n"], "search_after": [5, 6]}))["search_after"],
            json!([5, 6])
        );
        assert_eq!(tie(json!({})), json!({}));
    }
}
