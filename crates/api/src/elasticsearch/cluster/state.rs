//! `_cluster/state` and `_cluster/stats`: what clients read of them.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::Expand;
use snapkeep_store::{IndexMeta, IndexState, TemplateKind};

use super::{health, nodes};
use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::indices::render_settings;
use crate::elasticsearch::indices::targets::{Defaults, select};
use crate::elasticsearch::params::split_list;

const EVERYTHING: Defaults = Defaults {
    expand: Expand::ALL,
    ..Defaults::METADATA
};

/// Parts of the state, by the names that select them.
const METRICS: &[&str] = &[
    "_all",
    "blocks",
    "metadata",
    "nodes",
    "routing_table",
    "routing_nodes",
    "master_node",
    "cluster_manager_node",
    "version",
    "customs",
];

/// `GET /_cluster/state[/{metric}[/{index}]]`.
pub fn state(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    call.params.bool("local", false)?;
    let flat = call.params.bool("flat_settings", false)?;
    for name in ["wait_for_metadata_version", "wait_for_timeout"] {
        if call.params.has(name) {
            return Err(EsError::illegal_argument(format!(
                "[{name}] is not supported by this server"
            )));
        }
    }
    let wanted = split_list(call.arg("metric"));
    if let Some(unknown) = wanted.iter().find(|name| !METRICS.contains(&name.as_str())) {
        return Err(EsError::illegal_argument(format!(
            "request [{}] contains unrecognized metric: [{unknown}]",
            call.path
        )));
    }
    let has = |name: &str| {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|metric| metric == "_all" || metric == name)
    };
    let indices = select(call, call.optional_arg("index"), &call.params, EVERYTHING)?;
    let config = call.config();
    let mut shown = Map::from_iter([
        ("cluster_name".to_owned(), json!(config.cluster_name)),
        ("cluster_uuid".to_owned(), json!(config.cluster_uuid)),
    ]);
    if has("master_node") || has("cluster_manager_node") {
        shown.insert("master_node".into(), json!(config.node_id));
        if call.shape() == Shape::OpenSearch {
            shown.insert("cluster_manager_node".into(), json!(config.node_id));
        }
    }
    if has("blocks") {
        shown.insert("blocks".into(), blocks(&indices));
    }
    if has("nodes") {
        shown.insert(
            "nodes".into(),
            json!({config.node_id.as_str(): nodes::in_state(config)}),
        );
    }
    if has("metadata") {
        shown.insert("metadata".into(), metadata(call, &indices, flat));
    }
    if has("routing_table") {
        let tables = indices.iter().map(|meta| {
            let shards = (0..meta.shards)
                .map(|number| (number.to_string(), Value::Array(copies(call, meta, number))));
            (meta.name.clone(), json!({"shards": Map::from_iter(shards)}))
        });
        shown.insert(
            "routing_table".into(),
            json!({"indices": Map::from_iter(tables)}),
        );
    }
    if has("routing_nodes") {
        let all = indices
            .iter()
            .flat_map(|meta| (0..meta.shards).flat_map(|number| copies(call, meta, number)));
        let (here, unassigned): (Vec<Value>, Vec<Value>) =
            all.partition(|copy| copy["primary"] == true);
        shown.insert(
            "routing_nodes".into(),
            json!({"unassigned": unassigned, "nodes": {config.node_id.as_str(): here}}),
        );
    }
    ok(Value::Object(shown))
}

fn blocks(indices: &[Arc<IndexMeta>]) -> Value {
    let closed = indices.iter().filter(|meta| meta.state == IndexState::Closed).map(|meta| {
        let block = json!({"4": {"description": "index closed", "retryable": false, "levels": ["read", "write"]}});
        (meta.name.clone(), block)
    });
    let closed = Map::from_iter(closed);
    if closed.is_empty() {
        json!({})
    } else {
        json!({"indices": closed})
    }
}

fn metadata(call: &Call, indices: &[Arc<IndexMeta>], flat: bool) -> Value {
    let of_each = indices.iter().map(|meta| {
        let mappings = if meta.mappings.is_null() {
            json!({})
        } else {
            json!({"_doc": meta.mappings})
        };
        let one = json!({
            "state": if meta.state == IndexState::Closed { "close" } else { "open" },
            "settings": render_settings(meta, flat, &[]),
            "mappings": mappings,
            "aliases": meta.aliases.keys().collect::<Vec<_>>(),
        });
        (meta.name.clone(), one)
    });
    json!({
        "cluster_uuid": call.config().cluster_uuid,
        "cluster_uuid_committed": true,
        "templates": Map::from_iter(call.store().templates(TemplateKind::Legacy)),
        "indices": Map::from_iter(of_each),
    })
}

/// The copies of one shard: the primary, and replicas that have no node to be on.
fn copies(call: &Call, meta: &IndexMeta, shard: u16) -> Vec<Value> {
    let state = if meta.state == IndexState::Restoring {
        "INITIALIZING"
    } else {
        "STARTED"
    };
    let mut copies = vec![json!({
        "state": state, "primary": true, "node": call.config().node_id, "relocating_node": null, "shard": shard, "index": meta.name,
    })];
    copies.extend((0..meta.replicas).map(|_| {
        json!({
            "state": "UNASSIGNED", "primary": false, "node": null, "relocating_node": null, "shard": shard, "index": meta.name,
        })
    }));
    copies
}

/// `GET /_cluster/stats`.
pub fn stats(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let config = call.config();
    let indices = call.store().indices();
    let (mut docs, mut deleted, mut store_bytes, mut shards) = (0, 0, 0, 0_u64);
    for meta in &indices {
        shards += u64::from(meta.shards);
        // An index may be deleted between the two looks.
        if let Ok(stats) = call.store().stats(&meta.name) {
            docs += stats.docs;
            deleted += stats.deleted;
            store_bytes += stats.store_bytes;
        }
    }
    ok(json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0},
        "cluster_name": config.cluster_name,
        "cluster_uuid": config.cluster_uuid,
        "timestamp": jiff::Timestamp::now().as_millisecond(),
        "status": health::of_indices(&indices).status.name(),
        "indices": {
            "count": indices.len(),
            "shards": {"total": shards, "primaries": shards, "replication": 0.0},
            "docs": {"count": docs, "deleted": deleted},
            "store": {"size_in_bytes": store_bytes},
        },
        "nodes": {"count": {"total": 1, "data": 1}, "versions": [config.version.to_string()]},
    }))
}
