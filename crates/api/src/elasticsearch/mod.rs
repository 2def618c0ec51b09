//! The Elasticsearch and OpenSearch dialect.
//!
//! * [`routes`]: the table of routes; [`dispatch`](self) finds the handler, checks parameters and shapes the answer.
//! * [`request`], [`params`], `body`: what a handler gets. [`response`], [`output`]: what it gives.
//! * [`errors`]: the one table of error types and statuses.
//! * `root`, `repositories`, `snapshots`: handlers of the snapshot API. `slm`, `sm`: policies of Elasticsearch and of OpenSearch.
//!
//! # Adding endpoints
//! An area has a function `pub(super) fn register(table: &mut RouteTable)`, called in [`router`] below:
//! ```text
//! pub(super) fn register(table: &mut RouteTable) {
//!     table.get("/{index}/_count", &["q", "routing"], count);            // GET with the parameters it reads
//!     table.each(&[Method::PUT, Method::POST], &["/{index}/_doc/{id}"], &["routing", "refresh"], put_document);
//!     table.add(Route::new(Method::GET, "/_cat/indices", cat_indices).cat().params(&["health"]));
//!     table.add(Route::new(Method::POST, "/_bulk", bulk).params(&["refresh"]).streaming());
//! }
//! async fn count(request: EsRequest) -> EsResult {
//!     let index = request.captured("index");                              // decoded
//!     let body = request.object()?;                                       // parsed, whatever its content type
//!     let lenient = request.params.bool("ignore_unavailable", false)?;    // strict, with Elasticsearch's text
//!     Err(EsError::index_not_found(index))                                // or Ok(EsResponse::value(json!({…})))
//! }
//! ```
//! Every route has a row in `access`, which says what a caller needs for it; `confine` keeps callers with limits to their indices.
//! Handlers run on tasks of their own and are not cancelled when the client leaves; blocking calls belong into
//! [`blocking`]. Tables: fill an [`output::Table`] and return [`EsResponse::table`]; `v h s help format bytes time` are
//! taken care of. Unknown parameters, methods and paths are refused before a handler runs.

mod access;
mod body;
mod call;
mod cat;
mod cluster;
pub mod config;
mod confine;
mod dispatch;
mod documents;
pub mod errors;
mod failures;
mod fields;
mod indices;
pub mod output;
pub mod params;
mod path;
mod pattern;
mod recovery;
mod repositories;
pub mod request;
pub mod response;
mod restore;
mod root;
pub mod routes;
mod search;
mod slm;
mod sm;
mod snapshots;
mod state;

pub use config::{ElasticsearchConfig, Shape, Version};
pub use errors::{ErrorKind, EsError};
pub use request::EsRequest;
pub use response::EsResponse;
pub use routes::{EsResult, Route, RouteTable};
pub use state::{ApiState, blocking};

use crate::shared::units;

/// Serves the dialect on every path that no other router takes.
pub fn router(state: ApiState) -> axum::Router {
    dispatch::serve(state, table())
}

fn table() -> RouteTable {
    let mut table = RouteTable::new();
    confine::register(&mut table);
    indices::routes::register(&mut table);
    documents::routes::register(&mut table);
    search::routes::register(&mut table);
    cat::routes::register(&mut table);
    cluster::routes::register(&mut table);
    root::register(&mut table);
    repositories::register(&mut table);
    snapshots::register(&mut table);
    restore::register(&mut table);
    recovery::register(&mut table);
    slm::register(&mut table);
    sm::register(&mut table);
    table
}
