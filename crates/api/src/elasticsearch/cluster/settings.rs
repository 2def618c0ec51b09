//! `_cluster/settings`.

use serde_json::{Map, Value, json};
use snapkeep_store::Settings;

use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::indices::shaped;
use crate::elasticsearch::slm;

/// First parts of the cluster settings that Elasticsearch and OpenSearch know.
const KNOWN: &[&str] = &[
    "action",
    "bootstrap",
    "cluster",
    "compatibility",
    "discovery",
    "gateway",
    "health",
    "http",
    "indices",
    "ingest",
    "knn",
    "logger",
    "monitor",
    "network",
    "node",
    "opendistro",
    "opensearch",
    "persistent_tasks",
    "plugins",
    "point_in_time",
    "readiness",
    "reindex",
    "remote_store",
    "repositories",
    "script",
    "search",
    "serverless",
    "slm",
    "snapshot",
    "stack",
    "task_max",
    "thread_pool",
    "transport",
    "watcher",
    "xpack",
    "archived",
];

/// `GET /_cluster/settings`.
pub fn get(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    call.params.bool("local", false)?;
    let flat = call.params.bool("flat_settings", false)?;
    let set = call.store().cluster_settings();
    let mut answer = json!({"persistent": shaped(&set.persistent, flat), "transient": shaped(&set.transient, flat)});
    if call.params.bool("include_defaults", false)? {
        let defaults: Settings = defaults(call)
            .into_iter()
            .filter(|(key, _)| {
                !set.persistent.contains_key(key) && !set.transient.contains_key(key)
            })
            .collect();
        answer["defaults"] = shaped(&defaults, flat);
    }
    ok(answer)
}

/// What holds where nothing is set, of the settings that change anything here.
fn defaults(call: &Call) -> Settings {
    let config = call.config();
    let names_required = (call.shape() == Shape::Es).to_string();
    let of_policies: &[(&str, &str)] = match call.shape() {
        Shape::Es => &slm::DEFAULTS,
        Shape::OpenSearch => &[],
    };
    let all = [
        ("action.auto_create_index", "true"),
        ("action.destructive_requires_name", &names_required),
        ("cluster.name", &config.cluster_name),
        ("node.name", &config.node_name),
        ("search.max_keep_alive", "24h"),
    ];
    all.iter()
        .chain(of_policies)
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

/// `PUT /_cluster/settings`.
pub fn put(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let flat = call.params.bool("flat_settings", false)?;
    let Value::Object(body) = call.required_json()? else {
        return Err(ErrorKind::Parse.error("Failed to parse content to map"));
    };
    if let Some(key) = body
        .keys()
        .find(|key| !matches!(key.as_str(), "persistent" | "transient"))
    {
        return Err(ErrorKind::UnknownField.error(format!(
            "[cluster_update_settings_request] unknown field [{key}]"
        )));
    }
    let part = |name: &str| body.get(name).cloned().unwrap_or_else(|| json!({}));
    let (persistent, transient) = (part("persistent"), part("transient"));
    let mut values = [Vec::new(), Vec::new()];
    leaves(&persistent, "", &mut values[0]);
    leaves(&transient, "", &mut values[1]);
    let given = values.each_ref().map(|values| {
        values
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    });
    if given.iter().all(Vec::is_empty) {
        return Err(EsError::validation(&["no settings to update"]));
    }
    for (kind, names) in ["persistent", "transient"].iter().zip(&given) {
        for name in names {
            let first = name.split(['.', '*']).next().unwrap_or_default();
            if !KNOWN.contains(&first) {
                return Err(EsError::illegal_argument(format!(
                    "{kind} setting [{name}], not recognized"
                )));
            }
        }
    }
    let is_about_policies =
        call.shape() == Shape::Es && given.iter().flatten().any(|name| name.starts_with("slm."));
    if is_about_policies {
        let all = values.iter().flatten();
        slm::check_settings(all.map(|(name, value)| (name.as_str(), *value)))?;
    }
    let set = call.store().put_cluster_settings(&persistent, &transient)?;
    if is_about_policies {
        call.wait(slm::follow_settings(call.engine(), call.store()))?;
    }
    let changed = |all: &Settings, names: &[String]| {
        let kept = all
            .iter()
            .filter(|(key, _)| names.contains(key))
            .map(|(key, value)| (key.clone(), value.clone()));
        shaped(&kept.collect(), flat)
    };
    ok(json!({
        "acknowledged": true,
        "persistent": changed(&set.persistent, &given[0]),
        "transient": changed(&set.transient, &given[1]),
    }))
}

/// The settings in a body by their full names, however deeply they are nested.
fn leaves<'a>(value: &'a Value, path: &str, into: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map as &Map<String, Value> {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &below, into);
            }
        }
        _ => into.push((path.to_owned(), value)),
    }
}
