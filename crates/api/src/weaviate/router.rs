//! All routes of the dialect together.

use axum::Router;

use super::access;
use super::backups;
use super::batch;
use super::dispatch;
use super::meta;
use super::objects;
use super::routes::RouteTable;
use super::schema;
use super::state::WeaviateState;

/// Serves the dialect below `/v1`.
pub fn router(state: WeaviateState) -> Router {
    let mut table = RouteTable::new();
    meta::register(&mut table);
    schema::register(&mut table);
    objects::register(&mut table);
    batch::register(&mut table);
    access::register(&mut table);
    backups::register(&mut table);
    dispatch::serve(state, table)
}
