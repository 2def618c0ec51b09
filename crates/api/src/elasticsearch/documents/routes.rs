//! Paths of single documents and bulk.

use http::Method;

use super::bulk::bulk;
use super::{read, write};
use crate::elasticsearch::call::on;
use crate::elasticsearch::routes::{Route, RouteTable};

const WRITE: &[&str] = &[
    "routing",
    "refresh",
    "timeout",
    "version",
    "version_type",
    "if_seq_no",
    "if_primary_term",
    "op_type",
    "pipeline",
    "require_alias",
    "wait_for_active_shards",
    "include_source_on_error",
];
const DELETE: &[&str] = &[
    "routing",
    "refresh",
    "timeout",
    "version",
    "version_type",
    "if_seq_no",
    "if_primary_term",
    "wait_for_active_shards",
];
const UPDATE: &[&str] = &[
    "routing",
    "refresh",
    "timeout",
    "if_seq_no",
    "if_primary_term",
    "require_alias",
    "wait_for_active_shards",
    "retry_on_conflict",
    "lang",
    "_source",
    "_source_includes",
    "_source_excludes",
    "include_source_on_error",
];
const READ: &[&str] = &[
    "routing",
    "refresh",
    "realtime",
    "preference",
    "version",
    "version_type",
    "stored_fields",
    "_source",
    "_source_includes",
    "_source_excludes",
];
const BULK: &[&str] = &[
    "index",
    "routing",
    "refresh",
    "timeout",
    "pipeline",
    "require_alias",
    "wait_for_active_shards",
    "include_source_on_error",
];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let put_or_post = [Method::PUT, Method::POST];
    table.each(
        &put_or_post,
        &["/{index}/_doc/{id}"],
        WRITE,
        on(write::index),
    );
    table.each(&[Method::POST], &["/{index}/_doc"], WRITE, on(write::index));
    table.each(
        &put_or_post,
        &["/{index}/_create/{id}"],
        WRITE,
        on(write::create),
    );
    table.each(
        &[Method::DELETE],
        &["/{index}/_doc/{id}"],
        DELETE,
        on(write::delete),
    );
    table.each(
        &[Method::POST],
        &["/{index}/_update/{id}"],
        UPDATE,
        on(write::update),
    );
    table.each(&[Method::GET], &["/{index}/_doc/{id}"], READ, on(read::get));
    table.each(
        &[Method::GET],
        &["/{index}/_source/{id}"],
        READ,
        on(read::source),
    );
    table.each(
        &[Method::HEAD],
        &["/{index}/_doc/{id}", "/{index}/_source/{id}"],
        READ,
        on(read::exists),
    );
    table.each(
        &[Method::GET, Method::POST],
        &["/_mget", "/{index}/_mget"],
        READ,
        on(read::multi_get),
    );
    for method in put_or_post {
        for pattern in ["/_bulk", "/{index}/_bulk"] {
            table.add(
                Route::new(method.clone(), pattern, bulk)
                    .params(BULK)
                    .streaming(),
            );
        }
    }
}
