//! `DELETE /v1/backups/{backend}/{id}` and `…/restore`

use jiff::Timestamp;
use snapkeep_engine::{EngineError, RestoreState, SnapshotState};

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{
    BACKUP_SUCCEEDED, INVALID_ID, RESTORE_FINALIZING, RESTORE_SUCCEEDED, UNKNOWN_PROVIDER,
    UNREADABLE_STATUS,
};
use super::create::{forbidden, is_valid_id};
use super::describe::engine_error;
use super::location::Target;
use super::request::Place;
use crate::auth::Need;

const VERB: &str = "delete_backups";
/// A real server knows only this long after the start whether a backup or restore is done, and until then accepts every cancel.
/// Clients count on that: they start, cancel at once and expect 204, however soon the work is done.
const GRACE_MS: i64 = 2_000;

fn is_young(start_ms: i64) -> bool {
    Timestamp::now().as_millisecond() - start_ms < GRACE_MS
}

/// The backup or restore that a cancel is about, once the caller may cancel at all.
async fn target(request: &WvRequest) -> Result<Target, WvError> {
    let (backend, id) = (request.captured("backend"), request.captured("id"));
    let place = Place::of_query(request);
    let target = Target::find(&request.state, backend, place, &UNKNOWN_PROVIDER, false).await?;
    if !is_valid_id(id) {
        return Err(INVALID_ID.error(&[("id", id)]));
    }
    let mut need = Need::operate(VERB);
    need.repository = target.repository.as_deref();
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, VERB, "*"))?;
    Ok(target)
}

pub(super) async fn cancel(request: WvRequest) -> WvResult {
    if request.query.bool("purge") {
        return super::purge::purge(request).await;
    }
    let target = target(&request).await?;
    let id = request.captured("id");
    let Some(repository) = &target.repository else {
        return Ok(WvResponse::no_content());
    };
    let engine = &request.state.engine;
    let fail = |error: &EngineError| {
        let node = &request.state.config.node_name;
        engine_error(node, &target.path_of(id), error, &UNREADABLE_STATUS)
    };
    let info = match engine.snapshot(repository, id).await {
        Ok(info) => info,
        Err(EngineError::SnapshotMissing { .. }) => return Ok(WvResponse::no_content()),
        Err(error) => return Err(fail(&error)),
    };
    let names = info.collection_names();
    let need = Need::operate(VERB).repository(repository).resources(&names);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, VERB, "*"))?;
    let info = match info.is_running() {
        true => engine.cancel_snapshot(repository, id).await,
        false => Ok(info),
    };
    match info {
        Ok(info) if info.state == SnapshotState::Success && !is_young(info.start_ms) => {
            Err(BACKUP_SUCCEEDED.error(&[("id", id)]))
        }
        Ok(_) | Err(EngineError::SnapshotMissing { .. }) => Ok(WvResponse::no_content()),
        Err(error) => Err(fail(&error)),
    }
}

pub(super) async fn cancel_restore(request: WvRequest) -> WvResult {
    let target = target(&request).await?;
    let id = request.captured("id");
    let Some(repository) = &target.repository else {
        return Ok(WvResponse::no_content());
    };
    let engine = &request.state.engine;
    let fail = |error: &EngineError| {
        let node = &request.state.config.node_name;
        engine_error(node, &target.path_of(id), error, &UNREADABLE_STATUS)
    };
    let run = match engine.latest_restore(repository, id).await {
        Ok(Some(run)) => run,
        Ok(None) | Err(EngineError::SnapshotMissing { .. }) => return Ok(WvResponse::no_content()),
        Err(error) => return Err(fail(&error)),
    };
    let names: Vec<String> = run.resources.iter().map(|it| it.name.clone()).collect();
    let need = Need::operate(VERB).repository(repository).resources(&names);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, VERB, "*"))?;
    let young = is_young(run.start_ms);
    let run = match run.state.is_running() {
        true => engine.cancel_restore(&run.uuid).await,
        false => Ok(run),
    };
    match run {
        Ok(run) if run.state == RestoreState::Success && !young => {
            Err(RESTORE_SUCCEEDED.error(&[("id", id)]))
        }
        Ok(_) | Err(EngineError::RestoreMissing { .. }) => Ok(WvResponse::no_content()),
        Err(EngineError::RestoreFinalizing { .. }) if young => Ok(WvResponse::no_content()),
        Err(EngineError::RestoreFinalizing { .. }) => Err(RESTORE_FINALIZING.error(&[("id", id)])),
        Err(error) => Err(fail(&error)),
    }
}
