//! All routes of the dialect together.

use axum::Router;

use super::access;
use super::backups;
use super::batch;
use super::dispatch;
use super::graphql;
use super::grpc;
use super::meta;
use super::objects;
use super::routes::RouteTable;
use super::schema;
use super::state::WeaviateState;

/// Serves the dialect: REST below `/v1`, gRPC below the names of its services.
pub fn router(state: WeaviateState) -> Router {
    let mut table = RouteTable::new();
    meta::register(&mut table);
    schema::register(&mut table);
    objects::register(&mut table);
    batch::register(&mut table);
    graphql::register(&mut table);
    access::register(&mut table);
    backups::register(&mut table);
    dispatch::serve(state.clone(), table).merge(grpc::router(state))
}
