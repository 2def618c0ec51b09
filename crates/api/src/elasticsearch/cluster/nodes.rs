//! `_nodes`: the one node there is.

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::matches;

use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::config::{ElasticsearchConfig, Shape};
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::params::split_list;

/// Roles of the node.
pub const ROLES: [&str; 3] = ["data", "ingest", "master"];

/// Sections of the node's description.
const INFO: &[&str] = &[
    "_all",
    "_none",
    "settings",
    "os",
    "process",
    "jvm",
    "thread_pool",
    "transport",
    "http",
    "plugins",
    "ingest",
    "aggregations",
    "indices",
    "search_pipelines",
    "remote_cluster_server",
];

/// Sections of the node's statistics that are kept, and those that are known but not.
const STATS: &[&str] = &[
    "_all",
    "_none",
    "indices",
    "os",
    "process",
    "jvm",
    "thread_pool",
    "fs",
    "transport",
    "http",
    "breaker",
    "script",
    "discovery",
    "ingest",
    "adaptive_selection",
    "script_cache",
    "indexing_pressure",
    "repositories",
    "allocations",
];

fn roles(shape: Shape) -> Vec<&'static str> {
    match shape {
        Shape::Es => ROLES.to_vec(),
        Shape::OpenSearch => vec!["cluster_manager", "data", "ingest"],
    }
}

fn host(config: &ElasticsearchConfig) -> &str {
    config
        .address
        .rsplit_once(':')
        .map_or(config.address.as_str(), |(host, _)| host)
}

/// The node as `_cluster/state` shows it.
pub fn in_state(config: &ElasticsearchConfig) -> Value {
    json!({
        "name": config.node_name,
        "ephemeral_id": config.node_id,
        "transport_address": config.address,
        "attributes": {},
        "roles": roles(config.shape),
    })
}

fn identity(config: &ElasticsearchConfig) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), json!(config.node_name)),
        ("transport_address".to_owned(), json!(config.address)),
        ("host".to_owned(), json!(host(config))),
        ("ip".to_owned(), json!(host(config))),
    ])
}

/// Splits what stands behind `_nodes` into node names and sections.
fn targets(call: &Call, known: &[&str]) -> Result<(bool, Vec<String>), EsError> {
    let first = split_list(call.arg("node_id"));
    let mut metrics = split_list(call.arg("metric"));
    let is_metric = |name: &String| known.contains(&name.as_str()) && name != "_all";
    let mut nodes = first;
    if metrics.is_empty() && !nodes.is_empty() && nodes.iter().all(is_metric) {
        metrics = std::mem::take(&mut nodes);
    }
    if let Some(unknown) = metrics.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(EsError::illegal_argument(format!(
            "request [{}] contains unrecognized metric: [{unknown}]",
            call.path
        )));
    }
    let config = call.config();
    let is_meant = nodes.is_empty()
        || nodes.iter().any(|name| {
            matches!(
                name.as_str(),
                "_all" | "_local" | "_master" | "_cluster_manager" | "master:true" | "data:true"
            ) || matches(name, &config.node_id)
                || matches(name, &config.node_name)
        });
    Ok((is_meant, metrics))
}

fn answer(call: &Call, node: Option<Value>) -> Reply {
    let config = call.config();
    let count = u8::from(node.is_some());
    let nodes: Map<String, Value> = node
        .map(|node| (config.node_id.clone(), node))
        .into_iter()
        .collect();
    ok(json!({
        "_nodes": {"total": count, "successful": count, "failed": 0},
        "cluster_name": config.cluster_name,
        "nodes": nodes,
    }))
}

/// `GET /_nodes[/{node_id}][/{metric}]`.
pub fn info(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    call.params.bool("flat_settings", false)?;
    let (is_meant, metrics) = targets(call, INFO)?;
    if !is_meant {
        return answer(call, None);
    }
    let has = |name: &str| {
        metrics.is_empty()
            || metrics
                .iter()
                .any(|metric| metric == "_all" || metric == name)
    };
    let config = call.config();
    let mut node = identity(config);
    node.insert("version".into(), json!(config.version.to_string()));
    node.insert("build_type".into(), json!("unknown"));
    node.insert("build_hash".into(), json!("unknown"));
    node.insert("roles".into(), json!(roles(config.shape)));
    node.insert("attributes".into(), json!({}));
    if has("settings") {
        node.insert(
            "settings".into(),
            json!({"cluster": {"name": config.cluster_name}, "node": {"name": config.node_name}}),
        );
    }
    if has("os") {
        let os = json!({"name": std::env::consts::OS, "arch": std::env::consts::ARCH, "available_processors": processors()});
        node.insert("os".into(), os);
    }
    if has("process") {
        node.insert("process".into(), json!({"id": std::process::id()}));
    }
    if has("http") {
        let http = json!({
            "bound_address": [config.address],
            "publish_address": config.address,
            "max_content_length_in_bytes": config.max_body_bytes,
        });
        node.insert("http".into(), http);
    }
    if has("plugins") {
        node.insert("plugins".into(), json!([]));
        node.insert("modules".into(), json!([]));
    }
    answer(call, Some(Value::Object(node)))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// `GET /_nodes[/{node_id}]/stats[/{metric}]`: documents and bytes.
pub fn stats(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let (is_meant, metrics) = targets(call, STATS)?;
    if !is_meant {
        return answer(call, None);
    }
    let has = |name: &str| {
        metrics.is_empty()
            || metrics
                .iter()
                .any(|metric| metric == "_all" || metric == name)
    };
    let config = call.config();
    let mut node = Map::from_iter([(
        "timestamp".to_owned(),
        json!(jiff::Timestamp::now().as_millisecond()),
    )]);
    node.extend(identity(config));
    node.insert("roles".into(), json!(roles(config.shape)));
    if has("indices") {
        let (mut docs, mut deleted, mut store_bytes) = (0, 0, 0);
        for meta in call.store().indices() {
            // An index may be deleted between the two looks.
            if let Ok(stats) = call.store().stats(&meta.name) {
                docs += stats.docs;
                deleted += stats.deleted;
                store_bytes += stats.store_bytes;
            }
        }
        node.insert("indices".into(), json!({"docs": {"count": docs, "deleted": deleted}, "store": {"size_in_bytes": store_bytes}}));
    }
    answer(call, Some(Value::Object(node)))
}
