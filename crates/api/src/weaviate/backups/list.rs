//! `GET /v1/backups/{backend}`

use serde_json::Value;

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{UNKNOWN_BACKEND, UNREADABLE_STATUS};
use super::create::{forbidden, visible};
use super::describe::engine_error;
use super::location::Target;
use super::request::Place;
use crate::auth::Need;

const ORDERS: [&str; 2] = ["asc", "desc"];

pub(super) async fn list(request: WvRequest) -> WvResult {
    let order = request.query.get("order").unwrap_or("desc");
    if !ORDERS.contains(&order) {
        return Err(WvError::not_among("order", "query", &ORDERS));
    }
    let state = &request.state;
    let backend = request.captured("backend");
    let target = Target::find(state, backend, Place::default(), &UNKNOWN_BACKEND, false).await?;
    let repository = target.repository(WvError::not_found)?;
    let need = Need::read("read_backups").repository(repository);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, "read_backups", "*"))?;
    let snapshots = state.engine.snapshots(repository).await.map_err(|error| {
        engine_error(
            &state.config.node_name,
            repository,
            &error,
            &UNREADABLE_STATUS,
        )
    })?;
    // Ascending by start.
    let mut entries: Vec<Value> = snapshots
        .into_iter()
        .filter_map(|info| visible(&request, info))
        .map(|backup| backup.entry(&request.caller))
        .collect();
    if order == "desc" {
        entries.reverse();
    }
    Ok(WvResponse::value(&entries))
}
