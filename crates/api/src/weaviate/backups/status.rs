//! `GET /v1/backups/{backend}/{id}` and `…/restore`

use snapkeep_engine::EngineError;

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::conditions::{UNKNOWN_PROVIDER, UNREADABLE_STATUS};
use super::create::{find_running, forbidden, unknown_status, visible};
use super::describe::{engine_error, restore_status as describe_restore};
use super::location::Target;
use super::request::Place;
use crate::auth::Need;

const BACKUP_FILE: &str = "backup_config.json";
const RESTORE_FILE: &str = "restore_config.json";

/// Where the backup or restore of a request is, once the caller may look at it. `file` is what a real server would look for.
async fn reach(request: &WvRequest, file: &str) -> Result<(Target, String), WvError> {
    let (backend, id) = (request.captured("backend"), request.captured("id"));
    let place = Place::of_query(request);
    let target = Target::find(&request.state, backend, place, &UNKNOWN_PROVIDER, false).await?;
    let repository = target.repository(|| unknown_status(&target, id, file))?;
    let need = Need::read("read_backups").repository(repository);
    let asked = request.caller.authorise(need);
    asked.map_err(|denied| forbidden(&denied, "read_backups", "*"))?;
    let repository = repository.to_owned();
    Ok((target, repository))
}

pub(super) async fn status(request: WvRequest) -> WvResult {
    let (state, id) = (&request.state, request.captured("id"));
    let anywhere = Place::of_query(&request).path.is_none();
    let (target, repository) = reach(&request, BACKUP_FILE).await?;
    let unknown = || unknown_status(&target, id, BACKUP_FILE);
    let backup = match state.engine.snapshot(&repository, id).await {
        Ok(info) => visible(&request, info),
        // The one that runs now is found without its path.
        Err(EngineError::SnapshotMissing { .. }) if anywhere => find_running(&request, id)
            .await
            .filter(|backup| backup.is_visible(&request.caller)),
        Err(EngineError::SnapshotMissing { .. }) => None,
        Err(error) => {
            let (node, path) = (&state.config.node_name, target.path_of(id));
            return Err(engine_error(node, &path, &error, &UNREADABLE_STATUS));
        }
    };
    let backup = backup.ok_or_else(unknown)?;
    Ok(WvResponse::value(
        &backup.describe(&target, &request.caller),
    ))
}

pub(super) async fn restore_status(request: WvRequest) -> WvResult {
    let (state, id) = (&request.state, request.captured("id"));
    let (target, repository) = reach(&request, RESTORE_FILE).await?;
    let unknown = || unknown_status(&target, id, RESTORE_FILE);
    match state.engine.latest_restore(&repository, id).await {
        Ok(Some(run))
            if run
                .resources
                .iter()
                .all(|it| request.caller.sees_resource(&it.name)) =>
        {
            Ok(WvResponse::value(&describe_restore(&target, &run)))
        }
        Ok(_) | Err(EngineError::SnapshotMissing { .. }) => Err(unknown()),
        Err(error) => {
            let (node, path) = (&state.config.node_name, target.path_of(id));
            Err(engine_error(node, &path, &error, &UNREADABLE_STATUS))
        }
    }
}
