//! Which request goes where.

use http::Method;

use super::{cat, clone, create, delete, get, query, status};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::routes::{Route, RouteTable};

const TIMEOUTS: &[&str] = &["master_timeout", "cluster_manager_timeout"];

/// Adds the routes of this area.
pub fn register(table: &mut RouteTable) {
    let one = "/_snapshot/{repository}/{snapshot}";
    for method in [Method::PUT, Method::POST] {
        table.add(
            Route::new(method, one, create::create)
                .params(TIMEOUTS)
                .params(&["wait_for_completion"]),
        );
    }
    let get = Route::new(Method::GET, one, get::get)
        .params(TIMEOUTS)
        .params(&["ignore_unavailable", "verbose"]);
    table.add(get.clone().params(query::ES_PARAMS).only(Shape::Es));
    table.add(get.only(Shape::OpenSearch));
    let delete = Route::new(Method::DELETE, one, delete::delete).params(TIMEOUTS);
    table.add(
        delete
            .clone()
            .params(&["wait_for_completion"])
            .only(Shape::Es),
    );
    table.add(delete.only(Shape::OpenSearch));
    let clone = "/_snapshot/{repository}/{snapshot}/_clone/{target_snapshot}";
    table.add(
        Route::new(Method::PUT, clone, clone::clone)
            .params(TIMEOUTS)
            .params(&["timeout"]),
    );
    for pattern in [
        "/_snapshot/_status",
        "/_snapshot/{repository}/_status",
        "/_snapshot/{repository}/{snapshot}/_status",
    ] {
        table.add(
            Route::new(Method::GET, pattern, status::status)
                .params(TIMEOUTS)
                .params(&["ignore_unavailable"]),
        );
    }
    let of_index = "/_snapshot/{repository}/{snapshot}/{index}/_status";
    let of_index = Route::new(Method::GET, of_index, status::status)
        .params(TIMEOUTS)
        .params(&["ignore_unavailable"]);
    table.add(of_index.only(Shape::OpenSearch));
    for pattern in ["/_cat/snapshots", "/_cat/snapshots/{repository}"] {
        table.add(
            Route::new(Method::GET, pattern, cat::cat)
                .cat()
                .params(&["ignore_unavailable", "repository"]),
        );
    }
}
