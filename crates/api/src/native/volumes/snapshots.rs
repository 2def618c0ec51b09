//! Snapshots of volumes and instances: taking, listing, renaming, deleting, applying.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use snapkeep_engine::{CreatePoints, PointInfo, PointQuery, PointStatus, PointsTicket};

use super::types::{
    ApplyVolumeSnapshot, CreateVolumeSnapshots, DeleteVolumeSnapshot, RenameVolumeSnapshot,
    VolumeJob, VolumeSnapshot, VolumeSnapshotFilter, VolumeSnapshots,
};
use crate::auth::{Caller, Need};
use crate::native::body::Body;
use crate::native::problem::{Answer, Refusal};
use crate::native::router::NativeState;
use crate::native::types::Problem;
use crate::shared::points;

const DEFAULT_LIMIT: u64 = 100;
const MOST: u64 = 1_000;

/// Lists snapshots of volumes and instances, the newest first.
#[utoipa::path(get, path = "/api/v1/volume-snapshots", tag = "volume snapshots", params(VolumeSnapshotFilter),
    responses((status = 200, body = VolumeSnapshots), (status = 400, body = Problem)))]
pub async fn list_snapshots(
    State(state): State<NativeState>,
    caller: Caller,
    filter: Result<Query<VolumeSnapshotFilter>, QueryRejection>,
) -> Answer<Json<VolumeSnapshots>> {
    let Query(filter) = filter?;
    let (offset, limit) = (filter.offset, filter.limit.unwrap_or(DEFAULT_LIMIT));
    if limit > MOST {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
            format!("limit is {limit}; at most {MOST} are given at a time"),
        )
        .hint("go on with offset"));
    }
    let query = PointQuery {
        resource: filter.resource,
        full: filter.full,
        statuses: statuses_of(filter.status.as_deref())?,
        search: filter.search,
        root: filter.root,
        offset: as_usize(offset),
        limit: as_usize(limit),
        ..PointQuery::default()
    };
    let page = points::page(&state.engine, &caller, query).await?;
    Ok(Json(VolumeSnapshots {
        snapshots: page.points.into_iter().map(VolumeSnapshot::from).collect(),
        total: page.total as u64,
    }))
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn statuses_of(text: Option<&str>) -> Answer<Vec<PointStatus>> {
    let words = text.into_iter().flat_map(|text| text.split(','));
    words
        .map(|word| match word.trim() {
            "pending" => Ok(PointStatus::Pending),
            "available" => Ok(PointStatus::Available),
            "suspended" => Ok(PointStatus::Suspended),
            "deleted" => Ok(PointStatus::Deleted),
            "ceased" => Ok(PointStatus::Ceased),
            other => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                format!("[{other}] is no status of a snapshot"),
            )
            .hint("use pending, available, suspended, deleted, ceased, separated by commas")),
        })
        .collect()
}

/// Gives one snapshot, whatever its status.
#[utoipa::path(get, path = "/api/v1/volume-snapshots/{snapshot}", tag = "volume snapshots", params(("snapshot" = String, Path)),
    responses((status = 200, body = VolumeSnapshot), (status = 404, body = Problem)))]
pub async fn get_snapshot(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<VolumeSnapshot>> {
    let found = find(&state, &caller, Need::read("volume_snapshot:get"), &id).await?;
    Ok(Json(found.into()))
}

/// Takes a snapshot of each volume and instance named, all of one moment.
#[utoipa::path(post, path = "/api/v1/volume-snapshots", tag = "volume snapshots", request_body = CreateVolumeSnapshots,
    responses((status = 202, body = VolumeJob), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn create_snapshots(
    State(state): State<NativeState>,
    caller: Caller,
    Body(wanted): Body<CreateVolumeSnapshots>,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    let need = Need::operate("volume_snapshot:create").resources(&wanted.resources);
    let repository = wanted.repository.as_deref();
    caller.authorise(need.repository(repository.unwrap_or(state.engine.points_repository())))?;
    let request = CreatePoints {
        repository: wanted.repository,
        resources: wanted.resources,
        name: wanted.name,
        description: wanted.description,
        full: wanted.full,
        allow_inconsistent: wanted.allow_inconsistent,
    };
    let ticket = state.engine.create_points(request).await?;
    accepted(&state, ticket).await
}

/// Changes name and description of a snapshot, where given.
#[utoipa::path(patch, path = "/api/v1/volume-snapshots/{snapshot}", tag = "volume snapshots", params(("snapshot" = String, Path)),
    request_body = RenameVolumeSnapshot, responses((status = 200, body = VolumeSnapshot), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn rename_snapshot(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wanted): Body<RenameVolumeSnapshot>,
) -> Answer<Json<VolumeSnapshot>> {
    let need = Need::operate("volume_snapshot:rename");
    find(&state, &caller, need, &id).await?;
    let changed = state
        .engine
        .update_point(&id, wanted.name, wanted.description)
        .await?;
    Ok(Json(changed.into()))
}

/// Deletes a snapshot: it alone, or with all increments that were taken on top of it.
#[utoipa::path(delete, path = "/api/v1/volume-snapshots/{snapshot}", tag = "volume snapshots", params(("snapshot" = String, Path), DeleteVolumeSnapshot),
    responses((status = 202, body = VolumeJob), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn delete_snapshot(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    how: Result<Query<DeleteVolumeSnapshot>, QueryRejection>,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    let Query(how) = how?;
    let need = Need::administer("volume_snapshot:delete");
    find(&state, &caller, need, &id).await?;
    let ticket = state.engine.delete_points(&[id], how.cascade).await?;
    accepted(&state, ticket).await
}

/// Rolls a volume or instance back to a snapshot, and others with it. Only blocks that differ are written.
#[utoipa::path(post, path = "/api/v1/volume-snapshots/{snapshot}/apply", tag = "volume snapshots", params(("snapshot" = String, Path)),
    request_body = ApplyVolumeSnapshot,
    responses((status = 202, body = VolumeJob), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn apply_snapshot(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wanted): Body<ApplyVolumeSnapshot>,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    let mut ids = vec![id];
    ids.extend(wanted.with);
    for id in &ids {
        let need = Need::operate("volume_snapshot:apply");
        find(&state, &caller, need, id).await?;
    }
    let ticket = state
        .engine
        .apply_points(&ids, wanted.safety_snapshot)
        .await?;
    accepted(&state, ticket).await
}

/// The snapshot of this id, if the caller may do `need` with it.
pub(super) async fn find(
    state: &NativeState,
    caller: &Caller,
    need: Need<'_>,
    id: &str,
) -> Answer<PointInfo> {
    let found = state.engine.point(id).await?;
    let resource = std::slice::from_ref(&found.resource.id);
    caller.authorise(need.repository(&found.repository).resources(resource))?;
    Ok(found)
}

/// 202 with the job as it is now.
pub(super) async fn accepted(
    state: &NativeState,
    ticket: PointsTicket,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    let job = state.engine.job(&ticket.job_id).await?;
    let accepted = VolumeJob {
        job: job.into(),
        snapshots: ticket.points,
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}
