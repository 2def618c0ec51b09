//! Paths of the tables.

use http::Method;

use super::{aliases, cluster, indices, shards};
use crate::elasticsearch::call::{Call, Reply, on};
use crate::elasticsearch::routes::{Route, RouteTable};

const INDICES: &[&str] = &[
    "expand_wildcards",
    "health",
    "ignore_unavailable",
    "allow_no_indices",
    "include_unloaded_segments",
    "pri",
];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    table.get("/_cat", &[], on(cluster::list));
    add(
        table,
        &["/_cat/indices", "/_cat/indices/{index}"],
        INDICES,
        indices::indices,
    );
    add(
        table,
        &["/_cat/count", "/_cat/count/{index}"],
        INDICES,
        indices::count,
    );
    add(
        table,
        &["/_cat/shards", "/_cat/shards/{index}"],
        INDICES,
        shards::shards,
    );
    add(
        table,
        &["/_cat/aliases", "/_cat/aliases/{name}"],
        &["expand_wildcards"],
        aliases::aliases,
    );
    add(
        table,
        &["/_cat/templates", "/_cat/templates/{name}"],
        &[],
        aliases::templates,
    );
    add(table, &["/_cat/health"], &[], cluster::health);
    add(
        table,
        &["/_cat/nodes"],
        &["full_id", "include_unloaded_segments"],
        cluster::nodes,
    );
    add(
        table,
        &["/_cat/master", "/_cat/cluster_manager"],
        &[],
        cluster::master,
    );
    add(
        table,
        &["/_cat/plugins"],
        &["include_bootstrap"],
        cluster::plugins,
    );
}

fn add(
    table: &mut RouteTable,
    patterns: &[&'static str],
    names: &[&'static str],
    handler: fn(&Call) -> Reply,
) {
    for pattern in patterns {
        table.add(
            Route::new(Method::GET, pattern, on(handler))
                .cat()
                .params(names),
        );
    }
}
