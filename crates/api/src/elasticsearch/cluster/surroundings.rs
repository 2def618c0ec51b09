//! What clients ask for in passing, and of which there is truthfully nothing here: tasks, data streams, pipelines, features.

use serde_json::json;

use crate::elasticsearch::call::{Call, Reply, ok};
use crate::elasticsearch::errors::{ErrorKind, EsError};

/// `GET /_tasks`: nothing runs as a task; snapshots and restores have their own status.
pub fn tasks(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    call.params.bool("detailed", false)?;
    ok(match call.params.get("group_by") {
        None | Some("nodes") => json!({"nodes": {}}),
        Some("parents") => json!({"tasks": {}}),
        Some("none") => json!({"tasks": []}),
        Some(other) => {
            return Err(EsError::illegal_argument(format!(
                "[group_by] must be one of [nodes], [parents] or [none] but was [{other}]"
            )));
        }
    })
}

/// `GET /_tasks/{task_id}`.
pub fn task(call: &Call) -> Reply {
    let id = call.arg("task_id");
    if !id.contains(':') {
        return Err(EsError::illegal_argument(format!("malformed task id {id}")));
    }
    Err(ErrorKind::ResourceNotFound.error(format!(
        "task [{id}] isn't running and hasn't stored its results"
    )))
}

/// `GET /_cluster/pending_tasks`.
pub fn pending_tasks(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    ok(json!({"tasks": []}))
}

/// `GET /_data_stream[/{name}]`.
pub fn data_streams(call: &Call) -> Reply {
    let name = call.arg("name");
    if name.is_empty() || name.contains('*') {
        return ok(json!({"data_streams": []}));
    }
    Err(EsError::index_not_found(name))
}

/// `GET /_ingest/pipeline[/{id}]`.
pub fn pipelines(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let id = call.arg("id");
    crate::elasticsearch::call::status(
        if id.is_empty() || id.contains('*') {
            200
        } else {
            404
        },
        json!({}),
    )
}

/// `GET /_features`: there are no system features whose state a snapshot could hold.
pub fn features(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    ok(json!({"features": []}))
}
