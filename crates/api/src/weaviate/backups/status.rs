//! `GET /v1/backups/{backend}/{id}` and `…/restore`

use snapkeep_engine::EngineError;

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

pub(super) async fn status(request: WvRequest) -> WvResult {
    let (state, id) = (&request.state, request.captured("id"));
    let place = Place::of_query(&request);
    let anywhere = place.path.is_none();
    let backend = request.captured("backend");
    let target = Target::find(state, backend, place, &UNKNOWN_PROVIDER, false).await?;
    let unknown = || unknown_status(&target, id, BACKUP_FILE);
    let repository = target.repository(unknown)?;
    let need = Need::read("read_backups").repository(repository);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, "read_backups", "*"))?;
    let backup = match state.engine.snapshot(repository, id).await {
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
    let backend = request.captured("backend");
    let place = Place::of_query(&request);
    let target = Target::find(state, backend, place, &UNKNOWN_PROVIDER, false).await?;
    let unknown = || unknown_status(&target, id, RESTORE_FILE);
    let repository = target.repository(unknown)?;
    let need = Need::read("read_backups").repository(repository);
    request
        .caller
        .authorise(need)
        .map_err(|denied| forbidden(&denied, "read_backups", "*"))?;
    match state.engine.latest_restore(repository, id).await {
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
