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

/// A request to cancel something in the repository of a back end.
struct Cancel {
    request: WvRequest,
    target: Target,
    repository: String,
}

impl Cancel {
    /// What a request is about, once the caller may cancel at all; none when the back end has no repository yet.
    async fn read(request: WvRequest) -> Result<Option<Self>, WvError> {
        let (backend, id) = (request.captured("backend"), request.captured("id"));
        let place = Place::of_query(&request);
        let target = Target::find(&request.state, backend, place, &UNKNOWN_PROVIDER, false).await?;
        if !is_valid_id(id) {
            return Err(INVALID_ID.error(&[("id", id)]));
        }
        let mut need = Need::operate(VERB);
        need.repository = target.repository.as_deref();
        authorise(&request, need)?;
        let repository = target.repository.clone();
        Ok(repository.map(|repository| Self {
            request,
            target,
            repository,
        }))
    }

    fn id(&self) -> &str {
        self.request.captured("id")
    }

    /// Asks whether the caller may cancel work on these classes.
    fn authorise(&self, classes: &[String]) -> Result<(), WvError> {
        let need = Need::operate(VERB).repository(&self.repository);
        authorise(&self.request, need.resources(classes))
    }

    fn failure(&self, error: &EngineError) -> WvError {
        let node = &self.request.state.config.node_name;
        let path = self.target.path_of(self.id());
        engine_error(node, &path, error, &UNREADABLE_STATUS)
    }
}

fn authorise(request: &WvRequest, need: Need<'_>) -> Result<(), WvError> {
    let asked = request.caller.authorise(need);
    asked.map_err(|denied| forbidden(&denied, VERB, "*"))
}

pub(super) async fn cancel(request: WvRequest) -> WvResult {
    if request.query.bool("purge") {
        return super::purge::purge(request).await;
    }
    let Some(cancel) = Cancel::read(request).await? else {
        return Ok(WvResponse::no_content());
    };
    let (engine, repository, id) = (
        &cancel.request.state.engine,
        &cancel.repository,
        cancel.id(),
    );
    let info = match engine.snapshot(repository, id).await {
        Ok(info) => info,
        Err(EngineError::SnapshotMissing { .. }) => return Ok(WvResponse::no_content()),
        Err(error) => return Err(cancel.failure(&error)),
    };
    let names = info.collection_names();
    cancel.authorise(&names)?;
    let info = match info.is_running() {
        true => engine.cancel_snapshot(repository, id).await,
        false => Ok(info),
    };
    match info {
        Ok(info) if info.state == SnapshotState::Success && !is_young(info.start_ms) => {
            Err(BACKUP_SUCCEEDED.error(&[("id", id)]))
        }
        Ok(_) | Err(EngineError::SnapshotMissing { .. }) => Ok(WvResponse::no_content()),
        Err(error) => Err(cancel.failure(&error)),
    }
}

pub(super) async fn cancel_restore(request: WvRequest) -> WvResult {
    let Some(cancel) = Cancel::read(request).await? else {
        return Ok(WvResponse::no_content());
    };
    let (engine, repository, id) = (
        &cancel.request.state.engine,
        &cancel.repository,
        cancel.id(),
    );
    let run = match engine.latest_restore(repository, id).await {
        Ok(Some(run)) => run,
        Ok(None) | Err(EngineError::SnapshotMissing { .. }) => return Ok(WvResponse::no_content()),
        Err(error) => return Err(cancel.failure(&error)),
    };
    let names: Vec<String> = run.resources.iter().map(|it| it.name.clone()).collect();
    cancel.authorise(&names)?;
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
        Err(error) => Err(cancel.failure(&error)),
    }
}
