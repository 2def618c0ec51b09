//! Paths of searches.

use http::Method;

use super::{count, multi, pit, run, scroll};
use crate::elasticsearch::call::on;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::routes::{Route, RouteTable};

const SEARCH: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "allow_no_indices",
    "allow_partial_search_results",
    "analyze_wildcard",
    "analyzer",
    "batched_reduce_size",
    "cancel_after_time_interval",
    "ccs_minimize_roundtrips",
    "default_operator",
    "df",
    "docvalue_fields",
    "expand_wildcards",
    "explain",
    "force_synthetic_source",
    "from",
    "ignore_throttled",
    "ignore_unavailable",
    "lenient",
    "max_concurrent_shard_requests",
    "min_compatible_shard_node",
    "phase_took",
    "pre_filter_shard_size",
    "preference",
    "q",
    "request_cache",
    "rest_total_hits_as_int",
    "routing",
    "scroll",
    "search_type",
    "seq_no_primary_term",
    "size",
    "sort",
    "stats",
    "stored_fields",
    "suggest_field",
    "suggest_mode",
    "suggest_size",
    "suggest_text",
    "terminate_after",
    "timeout",
    "track_scores",
    "track_total_hits",
    "typed_keys",
    "version",
];
const COUNT: &[&str] = &[
    "allow_no_indices",
    "analyze_wildcard",
    "analyzer",
    "default_operator",
    "df",
    "expand_wildcards",
    "ignore_throttled",
    "ignore_unavailable",
    "lenient",
    "min_score",
    "preference",
    "q",
    "routing",
    "terminate_after",
];
const PIT: &[&str] = &[
    "keep_alive",
    "preference",
    "routing",
    "allow_no_indices",
    "ignore_unavailable",
    "expand_wildcards",
    "allow_partial_pit_creation",
    "allow_partial_search_results",
    "max_concurrent_shard_requests",
];
const MULTI: &[&str] = &[
    "allow_no_indices",
    "ccs_minimize_roundtrips",
    "expand_wildcards",
    "ignore_throttled",
    "ignore_unavailable",
    "max_concurrent_searches",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "rest_total_hits_as_int",
    "routing",
    "search_type",
    "typed_keys",
];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let both = [Method::GET, Method::POST];
    table.each(
        &both,
        &["/_search", "/{index}/_search"],
        SEARCH,
        on(run::search),
    );
    table.each(
        &both,
        &["/_count", "/{index}/_count"],
        COUNT,
        on(count::count),
    );
    table.each(
        &both,
        &["/_msearch", "/{index}/_msearch"],
        MULTI,
        on(multi::multi_search),
    );
    let scrolls = ["/_search/scroll", "/_search/scroll/{scroll_id}"];
    table.each(
        &both,
        &scrolls,
        &["scroll", "scroll_id", "rest_total_hits_as_int"],
        on(scroll::next),
    );
    table.each(
        &[Method::DELETE],
        &scrolls,
        &["scroll_id"],
        on(scroll::clear),
    );
    for (shape, pattern) in [
        (Shape::Es, "/{index}/_pit"),
        (Shape::OpenSearch, "/{index}/_search/point_in_time"),
    ] {
        table.add(
            Route::new(Method::POST, pattern, on(pit::open))
                .params(PIT)
                .only(shape),
        );
    }
    table.add(Route::new(Method::DELETE, "/_pit", on(pit::close)).only(Shape::Es));
    table.add(
        Route::new(
            Method::DELETE,
            "/_search/point_in_time",
            on(pit::close_listed),
        )
        .only(Shape::OpenSearch),
    );
    table.add(
        Route::new(
            Method::DELETE,
            "/_search/point_in_time/_all",
            on(pit::close_all),
        )
        .only(Shape::OpenSearch),
    );
}
