//! What is made of snapshots: new volumes and images.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::snapshots::{accepted, find};
use super::types::{CaptureImage, CreateVolume, Image, Images, VolumeJob};
use crate::auth::{Caller, Need};
use crate::native::body::Body;
use crate::native::problem::Answer;
use crate::native::router::NativeState;
use crate::native::types::Problem;

/// Makes a new volume from a snapshot of a volume, in the volumes folder. The job's resource is its id.
#[utoipa::path(post, path = "/api/v1/volume-snapshots/{snapshot}/volume", tag = "volume snapshots", params(("snapshot" = String, Path)),
    request_body = CreateVolume,
    responses((status = 202, body = VolumeJob), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn create_volume(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wanted): Body<CreateVolume>,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    find(&state, &caller, Need::operate("volume:create"), &id).await?;
    let ticket = state.engine.create_volume_from(&id, &wanted.name).await?;
    accepted(&state, ticket).await
}

/// Makes an image from a snapshot of an instance. The job's resource is its id.
#[utoipa::path(post, path = "/api/v1/volume-snapshots/{snapshot}/image", tag = "volume snapshots", params(("snapshot" = String, Path)),
    request_body = CaptureImage,
    responses((status = 202, body = VolumeJob), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn capture_image(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(wanted): Body<CaptureImage>,
) -> Answer<(StatusCode, Json<VolumeJob>)> {
    find(&state, &caller, Need::operate("image:capture"), &id).await?;
    let ticket = state
        .engine
        .capture_image(&id, &wanted.name, wanted.format.into())
        .await?;
    accepted(&state, ticket).await
}

/// Lists the images that are complete, the newest first.
#[utoipa::path(get, path = "/api/v1/images", tag = "volume snapshots", responses((status = 200, body = Images)))]
pub async fn list_images(State(state): State<NativeState>, caller: Caller) -> Answer<Json<Images>> {
    let found = state.engine.images().await?;
    let mut images: Vec<Image> = found
        .into_iter()
        .filter(|image| caller.sees_resource(&image.instance))
        .map(Image::from)
        .collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.created_ms));
    Ok(Json(Images { images }))
}
