//! Paths of the cluster.

use http::Method;

use super::{health, nodes, settings, state, surroundings};
use crate::elasticsearch::call::on;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::routes::{Route, RouteTable};

const TIMEOUTS: &[&str] = &["master_timeout", "cluster_manager_timeout", "timeout"];
const HEALTH: &[&str] = &[
    "master_timeout",
    "cluster_manager_timeout",
    "timeout",
    "local",
    "level",
    "expand_wildcards",
    "wait_for_status",
    "wait_for_nodes",
    "wait_for_events",
    "wait_for_active_shards",
    "wait_for_no_relocating_shards",
    "wait_for_no_initializing_shards",
    "awareness_attribute",
];
const STATE: &[&str] = &[
    "master_timeout",
    "cluster_manager_timeout",
    "local",
    "flat_settings",
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "wait_for_metadata_version",
    "wait_for_timeout",
];
const SETTINGS: &[&str] = &[
    "master_timeout",
    "cluster_manager_timeout",
    "timeout",
    "local",
    "flat_settings",
    "include_defaults",
];
const NODE_STATS: &[&str] = &[
    "timeout",
    "level",
    "types",
    "groups",
    "fields",
    "completion_fields",
    "fielddata_fields",
    "include_segment_file_sizes",
    "include_unloaded_segments",
    "index_metric",
];
const TASKS: &[&str] = &[
    "actions",
    "detailed",
    "group_by",
    "nodes",
    "node_id",
    "parent_task_id",
    "timeout",
    "wait_for_completion",
    "master_timeout",
    "cluster_manager_timeout",
];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let get = [Method::GET];
    table.get("/_cluster/health", HEALTH, health::health);
    table.get("/_cluster/health/{index}", HEALTH, health::health);
    table.each(&get, &["/_cluster/settings"], SETTINGS, on(settings::get));
    table.each(
        &[Method::PUT],
        &["/_cluster/settings"],
        SETTINGS,
        on(settings::put),
    );
    table.each(
        &get,
        &[
            "/_cluster/state",
            "/_cluster/state/{metric}",
            "/_cluster/state/{metric}/{index}",
        ],
        STATE,
        on(state::state),
    );
    table.each(
        &get,
        &["/_cluster/stats", "/_cluster/stats/nodes/{node_id}"],
        TIMEOUTS,
        on(state::stats),
    );
    table.each(
        &get,
        &["/_cluster/pending_tasks"],
        &["local", "master_timeout", "cluster_manager_timeout"],
        on(surroundings::pending_tasks),
    );
    let info = ["/_nodes", "/_nodes/{node_id}", "/_nodes/{node_id}/{metric}"];
    table.each(&get, &info, &["timeout", "flat_settings"], on(nodes::info));
    let stats = [
        "/_nodes/stats",
        "/_nodes/stats/{metric}",
        "/_nodes/{node_id}/stats",
        "/_nodes/{node_id}/stats/{metric}",
    ];
    table.each(&get, &stats, NODE_STATS, on(nodes::stats));
    table.each(&get, &["/_tasks"], TASKS, on(surroundings::tasks));
    table.each(&get, &["/_tasks/{task_id}"], TASKS, on(surroundings::task));
    let streams = ["/_data_stream", "/_data_stream/{name}"];
    table.each(
        &get,
        &streams,
        &[
            "expand_wildcards",
            "include_defaults",
            "master_timeout",
            "verbose",
        ],
        on(surroundings::data_streams),
    );
    table.each(
        &get,
        &["/_ingest/pipeline", "/_ingest/pipeline/{id}"],
        &["master_timeout", "cluster_manager_timeout", "summary"],
        on(surroundings::pipelines),
    );
    table.add(
        Route::new(Method::GET, "/_features", on(surroundings::features))
            .params(&["master_timeout"])
            .only(Shape::Es),
    );
}
