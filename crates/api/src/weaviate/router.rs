//! All routes of the dialect together.

use axum::Router;

use super::dispatch;
use super::routes::RouteTable;
use super::state::WeaviateState;

/// Serves the dialect below `/v1`.
pub fn router(state: WeaviateState) -> Router {
    let table = RouteTable::new();
    dispatch::serve(state, table)
}
