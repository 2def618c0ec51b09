//! `_refresh`, `_flush`, `_forcemerge`, `_segments`, `_resolve`.
//!
//! Every write is visible and durable when it is acknowledged, and there are no segments to merge. So these answer truthfully
//! that all is done.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::{Expand, matches};
use snapkeep_store::IndexState;

use super::render;
use super::targets::{self, Defaults, resolve_names, select};
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::errors::EsError;

/// `POST|GET [/{index}]/_refresh`.
pub fn refresh(call: &Call) -> Reply {
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    ok(json!({"_shards": render::shards_header(&chosen)}))
}

/// `POST|GET [/{index}]/_flush`.
pub fn flush(call: &Call) -> Reply {
    call.params.bool("force", false)?;
    call.params.bool("wait_if_ongoing", true)?;
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    call.store().flush()?;
    ok(json!({"_shards": render::shards_header(&chosen)}))
}

/// `POST [/{index}]/_forcemerge`.
pub fn force_merge(call: &Call) -> Reply {
    let expunge = call.params.bool("only_expunge_deletes", false)?;
    call.params.bool("flush", true)?;
    call.params.bool("wait_for_completion", true)?;
    if expunge && call.params.int("max_num_segments", -1)? != -1 {
        return Err(EsError::validation(&[
            "cannot set only_expunge_deletes and max_num_segments at the same time, those two parameters are mutually exclusive",
        ]));
    }
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    ok(json!({"_shards": render::shards_header(&chosen)}))
}

/// `GET [/{index}]/_segments`: the store keeps none.
pub fn segments(call: &Call) -> Reply {
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::DOCUMENTS,
    )?;
    let mut indices = Map::new();
    for meta in &chosen {
        let shards: Map<String, Value> = (0..meta.shards)
            .map(|number| {
                let shard = json!([{
                    "routing": {"state": "STARTED", "primary": true, "node": call.config().node_id},
                    "num_committed_segments": 0,
                    "num_search_segments": 0,
                    "segments": {},
                }]);
                (number.to_string(), shard)
            })
            .collect();
        indices.insert(meta.name.clone(), json!({"shards": shards}));
    }
    ok(json!({"_shards": render::shards_header(&chosen), "indices": indices}))
}

/// `GET /_resolve/index/{name}`.
pub fn resolve(call: &Call) -> Reply {
    let expand = targets::expand(call.params.get("expand_wildcards"), Expand::OPEN)?;
    let names = resolve_names(call.arg("name"))?;
    let all = call.visible_indices();
    let defaults = Defaults {
        expand,
        aliases: false,
        ..Defaults::METADATA
    };
    let mut aliases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for meta in &all {
        for alias in meta.aliases.keys().filter(|alias| {
            names
                .iter()
                .any(|name| name == "_all" || matches(name, alias))
        }) {
            aliases.entry(alias).or_default().push(&meta.name);
        }
    }
    // An alias by its name is found above; only what is neither index nor alias is missing.
    let of_indices: Vec<String> = names
        .iter()
        .filter(|name| !aliases.contains_key(name.as_str()))
        .cloned()
        .collect();
    let chosen = if of_indices.is_empty() {
        Vec::new()
    } else {
        select(call, Some(&of_indices.join(",")), &call.params, defaults)?
    };
    let indices: Vec<Value> = chosen
        .iter()
        .map(|meta| {
            let mut attributes = vec![if meta.state == IndexState::Closed {
                "closed"
            } else {
                "open"
            }];
            if meta.is_hidden() {
                attributes.push("hidden");
            }
            let mut one = Map::from_iter([("name".to_owned(), json!(meta.name))]);
            if !meta.aliases.is_empty() {
                one.insert(
                    "aliases".into(),
                    json!(meta.aliases.keys().collect::<Vec<_>>()),
                );
            }
            one.insert("attributes".into(), json!(attributes));
            Value::Object(one)
        })
        .collect();
    let aliases: Vec<Value> = aliases
        .into_iter()
        .map(|(alias, indices)| json!({"name": alias, "indices": indices}))
        .collect();
    ok(json!({"indices": indices, "aliases": aliases, "data_streams": []}))
}
