//! `_search`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snapkeep_store::IndexMeta;
use snapkeep_store::search::{
    SearchRequest, SearchResult, TotalHits, TotalRelation, search as search_store,
};

use super::answer::{Frame, render};
use super::body::{self, Body};
use super::scope::Scope;
use super::{failure, pit, scroll};
use crate::elasticsearch::call::{Call, Reply, raw};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::Params;

/// `GET|POST [/{index}]/_search`.
pub fn search(call: &Call) -> Reply {
    let text = call.bytes();
    let body = body::of_call(call)?;
    let answer = execute(call, body, &text, call.optional_arg("index"), &call.params)?;
    raw(200, answer, None)
}

/// Performs one search and renders its answer; also for the searches of `_msearch`, whose parameters are their own.
///
/// # Errors
/// Whatever is wrong with the request or the search.
pub fn execute(
    call: &Call,
    body: Body,
    text: &[u8],
    expression: Option<&str>,
    params: &Params,
) -> Result<String, EsError> {
    let started = Instant::now();
    check_passive(params)?;
    let scroll = scroll::keep_alive(params.get("scroll"), "scroll")?;
    validate(call, &body, expression, params, scroll)?;
    let total_as_int = params.bool("rest_total_hits_as_int", false)?;
    let mut frame = Frame {
        total_as_int,
        ..Frame::default()
    };
    let result = if let Some(asked) = &body.pit {
        frame.pit_id = Some(asked.id.clone());
        check_search_after(call, None, &body)?;
        pit::search(call, &body, asked, text)?
    } else {
        let scope = Scope::resolve(call, expression, params)?;
        let first = scope.indices.first().map(std::convert::AsRef::as_ref);
        check_search_after(call, first, &body)?;
        check_window(call, &scope, &body, scroll.is_some())?;
        in_scope(call, &scope, body, text, scroll, &mut frame)?
    };
    frame.took_ms = started.elapsed().as_millis();
    Ok(render(&result, &frame))
}

fn in_scope(
    call: &Call,
    scope: &Scope,
    body: Body,
    text: &[u8],
    scroll: Option<Duration>,
    frame: &mut Frame,
) -> Result<SearchResult, EsError> {
    let request = SearchRequest::parse(&Value::Object(body.keys))
        .map_err(|error| failure::of_request(error, text))?;
    let request = scope.apply(request)?;
    let first = scope.indices.first().map(std::convert::AsRef::as_ref);
    let view = call.store().peek();
    if let Some(keep_alive) = scroll {
        let (id, result) = call
            .store()
            .contexts()
            .open_scroll(view, scope.names(), request, keep_alive)
            .map_err(|error| failure::of_shards(call, first, error, text))?;
        frame.scroll_id = Some(scroll::encode(&id));
        return Ok(result);
    }
    if scope.indices.is_empty() {
        let total = Some(TotalHits {
            value: 0,
            relation: TotalRelation::Eq,
        });
        return Ok(SearchResult {
            total,
            max_score: None,
            hits: Vec::new(),
            shards: 0,
        });
    }
    search_store(&view, &scope.names(), &request)
        .map_err(|error| failure::of_shards(call, first, error, text))
}

/// Parameters whose values are checked and that change nothing here.
fn check_passive(params: &Params) -> Result<(), EsError> {
    for name in [
        "allow_partial_search_results",
        "request_cache",
        "ccs_minimize_roundtrips",
        "typed_keys",
        "track_scores",
        "ignore_throttled",
    ] {
        params.optional_bool(name)?;
    }
    params.time("timeout")?;
    match params.get("search_type") {
        None | Some("query_then_fetch" | "dfs_query_then_fetch") => Ok(()),
        Some(other) => Err(EsError::illegal_argument(format!(
            "No search type for [{other}]"
        ))),
    }
}

/// What contradicts itself before anything is looked at.
fn validate(
    call: &Call,
    body: &Body,
    expression: Option<&str>,
    params: &Params,
    scroll: Option<Duration>,
) -> Result<(), EsError> {
    let has = |key: &str| body.keys.contains_key(key);
    let mut problems: Vec<&str> = Vec::new();
    if scroll.is_some() {
        if body.keys.get("track_total_hits") == Some(&json!(false)) {
            problems.push("disabling [track_total_hits] is not allowed in a scroll context");
        }
        if body.from > 0 {
            problems.push("using [from] is not allowed in a scroll context");
        }
        if body.size == 0 {
            problems.push("[size] cannot be [0] in a scroll context");
        }
        if has("search_after") {
            problems.push("`search_after` cannot be used in a scroll context.");
        }
    }
    if body.pit.is_some() {
        if scroll.is_some() {
            problems.push("using [point in time] is not allowed in a scroll context");
        }
        if expression.is_some() {
            problems.push(match call.shape() {
                Shape::Es => "[indices] cannot be used with point in time. Do not specify any index with point in time.",
                Shape::OpenSearch => "[indices] cannot be used with point in time",
            });
        }
        if params.has("routing") {
            problems.push("[routing] cannot be used with point in time");
        }
        if params.has("preference") {
            problems.push("[preference] cannot be used with point in time");
        }
    }
    if has("slice") && scroll.is_none() && body.pit.is_none() {
        problems.push("[slice] can only be used with [scroll] or [point-in-time] requests");
    }
    if has("search_after") && body.from > 0 && call.shape() == Shape::Es {
        problems.push("[from] parameter must be set to 0 when [search_after] is used");
    }
    if !problems.is_empty() {
        return Err(EsError::validation(&problems));
    }
    Ok(())
}

/// What `search_after` needs, as every shard says it.
fn check_search_after(call: &Call, meta: Option<&IndexMeta>, body: &Body) -> Result<(), EsError> {
    if !body.keys.contains_key("search_after") {
        return Ok(());
    }
    let sorts = body.keys.get("sort");
    if sorts.is_none_or(|sort| sort.is_null() || sort == &json!([])) {
        let inner = EsError::illegal_argument("Sort must contain at least one field.");
        return Err(failure::all_failed(call, meta, inner));
    }
    if body.from > 0 {
        let reason = "`from` parameter must be set to 0 when `search_after` is used.";
        return Err(failure::all_failed(
            call,
            meta,
            ErrorKind::Search.error(reason),
        ));
    }
    Ok(())
}

/// Deeper pages than `index.max_result_window` are refused: each costs the memory of all pages before it.
fn check_window(call: &Call, scope: &Scope, body: &Body, is_scroll: bool) -> Result<(), EsError> {
    let end = body.from.saturating_add(body.size);
    for meta in &scope.indices {
        let window = meta
            .setting("index.max_result_window")
            .and_then(|text| text.parse().ok())
            .unwrap_or(10_000_u64);
        if end <= window {
            continue;
        }
        let reason = if is_scroll {
            format!(
                "Batch size is too large, size must be less than or equal to: [{window}] but was [{end}]. Scroll batch sizes cost as much memory as result windows so they are controlled by the [index.max_result_window] index level setting."
            )
        } else {
            format!(
                "Result window is too large, from + size must be less than or equal to: [{window}] but was [{end}]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting."
            )
        };
        return Err(failure::all_failed(
            call,
            Some(meta),
            EsError::illegal_argument(reason),
        ));
    }
    Ok(())
}
