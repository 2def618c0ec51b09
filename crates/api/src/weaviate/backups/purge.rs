//! `DELETE /v1/backups/{backend}/{id}/purge`, also `DELETE /v1/backups/{backend}/{id}?purge=true`: deletes a backup for good, which
//! Weaviate has no call for. The data of others stay, whatever they share.

use snapkeep_engine::EngineError;

use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{PURGE_REFUSED, PURGE_UNKNOWN, UNKNOWN_PROVIDER, UNREADABLE_STATUS};
use super::create::{forbidden, visible};
use super::describe::engine_error;
use super::location::{Target, no_access};
use super::request::Place;
use crate::auth::Need;

const VERB: &str = "delete_backups";

pub(super) async fn purge(request: WvRequest) -> WvResult {
    let (backend, id) = (request.captured("backend"), request.captured("id"));
    let state = &request.state;
    let place = Place::of_query(&request);
    let target = Target::find(state, backend, place, &UNKNOWN_PROVIDER, false).await?;
    let path = target.path_of(id);
    let unknown = || PURGE_UNKNOWN.error(&[("id", id), ("path", &path)]);
    let mut need = Need::administer(VERB);
    need.repository = target.repository.as_deref();
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, VERB, "*"))?;
    let repository = target.repository(unknown)?;
    let found = state.engine.snapshot(repository, id).await;
    match found.map(|info| visible(&request, info)) {
        Ok(Some(_)) => {}
        Ok(None) | Err(EngineError::SnapshotMissing { .. }) => return Err(unknown()),
        Err(error) => return Err(no_access(&target.backend, &error)),
    }
    match state
        .engine
        .delete_snapshots(repository, &[id.to_owned()])
        .await
    {
        Ok(()) => Ok(WvResponse::no_content()),
        Err(EngineError::SnapshotMissing { .. }) => Err(unknown()),
        Err(error @ (EngineError::SnapshotInUse { .. } | EngineError::SnapshotLocked { .. })) => {
            let reason = error.to_string();
            Err(PURGE_REFUSED.error(&[("id", id), ("reason", &reason)]))
        }
        Err(error @ EngineError::RepositoryReadonly { .. }) => {
            Err(no_access(&target.backend, &error))
        }
        Err(error) => {
            let node = &state.config.node_name;
            Err(engine_error(node, &path, &error, &UNREADABLE_STATUS))
        }
    }
}
