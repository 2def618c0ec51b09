//! `_settings` and `_mapping`.

use serde_json::{Map, Value, json};

use super::lifecycle::mapping_failure;
use super::targets::{Defaults, select};
use super::{mapping_types, render};
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::split_list;

/// First parts of the index settings that Elasticsearch and OpenSearch know, after `index.`.
const KNOWN: &[&str] = &[
    "allocation",
    "analysis",
    "analyze",
    "append_only",
    "auto_expand_replicas",
    "blocks",
    "bloom_filter_for_id_field",
    "check_on_startup",
    "codec",
    "composite_index",
    "compound_format",
    "creation_date",
    "data_path",
    "default_pipeline",
    "fielddata",
    "final_pipeline",
    "flush_after_merge",
    "format",
    "gc_deletes",
    "hidden",
    "highlight",
    "history",
    "indexing",
    "knn",
    "lifecycle",
    "load_fixed_bitset_filters_eagerly",
    "look_ahead_time",
    "look_back_time",
    "mapper",
    "mapping",
    "max_adjacency_matrix_filters",
    "max_docvalue_fields_search",
    "max_inner_result_window",
    "max_ngram_diff",
    "max_refresh_listeners",
    "max_regex_length",
    "max_rescore_window",
    "max_result_window",
    "max_script_fields",
    "max_shingle_diff",
    "max_slices_per_pit",
    "max_slices_per_scroll",
    "max_terms_count",
    "merge",
    "mode",
    "number_of_replicas",
    "number_of_routing_shards",
    "number_of_shards",
    "optimize_auto_generated_id",
    "plugins",
    "priority",
    "provided_name",
    "query",
    "recovery",
    "refresh_interval",
    "remote_store",
    "replication",
    "requests",
    "resize",
    "routing",
    "routing_partition_size",
    "routing_path",
    "search",
    "search_throttled",
    "seq_no",
    "shard",
    "shard_limit",
    "similarity",
    "soft_deletes",
    "sort",
    "store",
    "time_series",
    "translog",
    "unassigned",
    "unreferenced_file_cleanup",
    "uuid",
    "verified_before_close",
    "version",
    "warmer",
    "write",
];

/// Made by the server.
const PRIVATE: &[&str] = &[
    "index.uuid",
    "index.provided_name",
    "index.version.created",
    "index.creation_date",
];

/// Fixed while an index is open.
const STATIC: &[&str] = &[
    "index.number_of_shards",
    "index.routing_partition_size",
    "index.number_of_routing_shards",
    "index.codec",
    "index.soft_deletes.enabled",
    "index.check_on_startup",
    "index.load_fixed_bitset_filters_eagerly",
    "index.store.type",
];

/// Dotted names in a settings body, with `index.` in front.
fn names(settings: &Value, prefix: &str, into: &mut Vec<String>) {
    match settings {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                names(value, &path, into);
            }
        }
        _ if prefix.starts_with("index.") => into.push(prefix.to_owned()),
        _ => into.push(format!("index.{prefix}")),
    }
}

/// Refuses settings that nobody knows, and those that the server makes.
///
/// # Errors
/// 400 naming the setting.
pub fn check_new(settings: &Value) -> Result<(), EsError> {
    let mut given = Vec::new();
    if settings.is_object() {
        names(settings, "", &mut given);
    }
    if let Some(private) = given.iter().find(|name| PRIVATE.contains(&name.as_str())) {
        return Err(EsError::validation(&[&format!(
            "private index setting [{private}] can not be set explicitly"
        )]));
    }
    check_known(&given)
}

fn check_known(given: &[String]) -> Result<(), EsError> {
    let is_known = |name: &String| {
        let first = name
            .trim_start_matches("index.")
            .split('.')
            .next()
            .unwrap_or_default();
        KNOWN.contains(&first)
    };
    match given.iter().find(|name| !is_known(name)) {
        Some(unknown) => Err(EsError::illegal_argument(format!(
            "unknown setting [{unknown}] please check that any required plugins are installed, or check the breaking changes documentation for removed settings"
        ))),
        None => Ok(()),
    }
}

/// `GET [/{index}]/_settings[/{name}]`.
pub fn get_settings(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let flat = call.params.bool("flat_settings", false)?;
    let with_defaults = call.params.bool("include_defaults", false)?;
    let names = split_list(call.arg("name"));
    let mut answer = Map::new();
    for meta in select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::METADATA_ALL,
    )? {
        let shown = render::settings(&meta, flat, &names);
        if shown.as_object().is_some_and(Map::is_empty) && !names.is_empty() {
            continue;
        }
        let mut one = Map::from_iter([("settings".to_owned(), shown)]);
        if with_defaults {
            one.insert("defaults".into(), render::default_settings(&meta, flat));
        }
        answer.insert(meta.name.clone(), Value::Object(one));
    }
    ok(Value::Object(answer))
}

/// `PUT [/{index}]/_settings`.
pub fn put_settings(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let preserve = call.params.bool("preserve_existing", false)?;
    let reopen = call.params.bool("reopen", false)?;
    let mut body = call.required_json()?;
    if let Some(inner) = body
        .as_object_mut()
        .and_then(|object| object.remove("settings"))
    {
        body = inner;
    }
    let mut given = Vec::new();
    names(&body, "", &mut given);
    if !body.is_object() || given.is_empty() {
        return Err(EsError::validation(&["no settings to update"]));
    }
    check_known(&given)?;
    let chosen = select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::METADATA_ALL,
    )?;
    let fixed: Vec<&str> = given
        .iter()
        .map(String::as_str)
        .filter(|name| is_static(name))
        .collect();
    let open: Vec<String> = chosen
        .iter()
        .filter(|meta| meta.is_open())
        .map(|meta| format!("[{}/{}]", meta.name, meta.uuid))
        .collect();
    let reopens = reopen && call.shape() == Shape::Es;
    if !fixed.is_empty() && !open.is_empty() && !reopens {
        let hint = match call.shape() {
            Shape::Es => {
                " unless the `reopen` query parameter is set to true. Alternatively, close the indices, apply the settings changes, and reopen the indices"
            }
            Shape::OpenSearch => "",
        };
        return Err(EsError::illegal_argument(format!(
            "Can't update non dynamic settings [[{}]] for open indices [{}]{hint}",
            fixed.join(", "),
            open.join(", ")
        )));
    }
    for meta in &chosen {
        call.store().put_settings(&meta.name, &body, preserve)?;
    }
    ok(json!({"acknowledged": true}))
}

fn is_static(name: &str) -> bool {
    STATIC.contains(&name)
        || name.starts_with("index.sort.")
        || name.starts_with("index.analysis.")
        || name.starts_with("index.similarity.")
}

/// `GET [/{index}]/_mapping`.
pub fn get_mapping(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let mut answer = Map::new();
    for meta in select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::METADATA,
    )? {
        answer.insert(
            meta.name.clone(),
            json!({"mappings": render::mappings(&meta)}),
        );
    }
    ok(Value::Object(answer))
}

/// `PUT /{index}/_mapping`.
pub fn put_mapping(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let body = call.required_json()?;
    if !body.is_object() {
        return Err(ErrorKind::Parse.error("Failed to parse content to map"));
    }
    mapping_types::check(&body, call.shape())?;
    let chosen = select(
        call,
        Some(call.arg("index")),
        &call.params,
        Defaults::METADATA_ALL,
    )?;
    for meta in &chosen {
        call.store()
            .put_mapping(&meta.name, &body)
            .map_err(|error| mapping_failure(error, call.shape(), false))?;
    }
    ok(json!({"acknowledged": true}))
}

/// `GET [/{index}]/_mapping/field/{fields}`.
pub fn get_field_mapping(call: &Call) -> Reply {
    let patterns = split_list(call.arg("fields"));
    let mut answer = Map::new();
    for meta in select(
        call,
        call.optional_arg("index"),
        &call.params,
        Defaults::METADATA,
    )? {
        let mut shown = Map::new();
        for (name, mapping) in super::fields::all(&meta.mappings) {
            if patterns
                .iter()
                .any(|pattern| snapkeep_engine::selection::matches(pattern, &name))
            {
                let last = name.rsplit('.').next().unwrap_or_default();
                let own = json!({"full_name": name.clone(), "mapping": {last: mapping}});
                shown.insert(name, own);
            }
        }
        answer.insert(meta.name.clone(), json!({"mappings": shown}));
    }
    ok(Value::Object(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;

    fn reason(settings: &Value) -> Option<String> {
        let error = check_new(settings).err()?;
        Some(
            error.render(Shape::Es, false)["error"]["reason"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    }

    #[test]
    fn settings_are_known_in_every_spelling() {
        assert_eq!(
            reason(
                &json!({"number_of_shards": 2, "index": {"refresh_interval": "1s"}, "index.blocks.write": true})
            ),
            None
        );
        assert_eq!(
            reason(&json!({"analysis": {"analyzer": {"a": {"type": "custom"}}}})),
            None
        );
    }

    #[test]
    fn unknown_and_private_settings_are_named() {
        assert!(
            reason(&json!({"index.nosuch": 1}))
                .unwrap()
                .starts_with("unknown setting [index.nosuch] please check")
        );
        assert_eq!(
            reason(&json!({"index": {"uuid": "x"}})).unwrap(),
            "Validation Failed: 1: private index setting [index.uuid] can not be set explicitly;"
        );
    }
}
