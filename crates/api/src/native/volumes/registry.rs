//! Which volumes and instances there are.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::{AddInstance as EngineAddInstance, HostSpec};

use super::types::{AddInstance, AddVolume, Instance, Instances, Volume, Volumes};
use crate::auth::{Caller, Need};
use crate::native::body::Body;
use crate::native::problem::{Answer, Refusal};
use crate::native::router::NativeState;
use crate::native::types::Problem;

/// Lists the volumes that the caller may see. The volumes folder is looked through anew.
#[utoipa::path(get, path = "/api/v1/volumes", tag = "volumes", responses((status = 200, body = Volumes)))]
pub async fn list_volumes(
    State(state): State<NativeState>,
    caller: Caller,
) -> Answer<Json<Volumes>> {
    let found = state.engine.volumes().await?;
    let mut volumes: Vec<Volume> = found
        .into_iter()
        .filter(|volume| caller.sees_resource(&volume.id))
        .map(Volume::from)
        .collect();
    volumes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(Json(Volumes { volumes }))
}

/// Gives one volume.
#[utoipa::path(get, path = "/api/v1/volumes/{volume}", tag = "volumes", params(("volume" = String, Path)),
    responses((status = 200, body = Volume), (status = 404, body = Problem)))]
pub async fn get_volume(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Volume>> {
    caller.authorise(Need::read("volume:get").resources(std::slice::from_ref(&id)))?;
    Ok(Json(state.engine.volume(&id).await?.into()))
}

/// Makes a disk known. Nothing is written to it.
#[utoipa::path(post, path = "/api/v1/volumes", tag = "volumes", request_body = AddVolume,
    responses((status = 201, body = Volume), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub async fn add_volume(
    State(state): State<NativeState>,
    Body(wanted): Body<AddVolume>,
) -> Answer<(StatusCode, Json<Volume>)> {
    let added = state.engine.add_volume(wanted.into()).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

/// Forgets a volume that was added. The disk and its snapshots stay.
#[utoipa::path(delete, path = "/api/v1/volumes/{volume}", tag = "volumes", params(("volume" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn remove_volume(
    State(state): State<NativeState>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    state.engine.remove_volume(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the instances that the caller may see.
#[utoipa::path(get, path = "/api/v1/instances", tag = "volumes", responses((status = 200, body = Instances)))]
pub async fn list_instances(
    State(state): State<NativeState>,
    caller: Caller,
) -> Answer<Json<Instances>> {
    let found = state.engine.instances().await?;
    let mut instances: Vec<Instance> = found
        .into_iter()
        .filter(|instance| caller.sees_resource(&instance.id))
        .map(Instance::from)
        .collect();
    instances.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(Json(Instances { instances }))
}

/// Gives one instance.
#[utoipa::path(get, path = "/api/v1/instances/{instance}", tag = "volumes", params(("instance" = String, Path)),
    responses((status = 200, body = Instance), (status = 404, body = Problem)))]
pub async fn get_instance(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Instance>> {
    caller.authorise(Need::read("instance:get").resources(std::slice::from_ref(&id)))?;
    Ok(Json(state.engine.instance(&id).await?.into()))
}

/// Brings volumes together, with the way their host is stopped, started and frozen.
#[utoipa::path(post, path = "/api/v1/instances", tag = "volumes", request_body = AddInstance,
    responses((status = 201, body = Instance), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn add_instance(
    State(state): State<NativeState>,
    Body(wanted): Body<AddInstance>,
) -> Answer<(StatusCode, Json<Instance>)> {
    let host = match wanted.host {
        None => HostSpec::None,
        Some(host) => serde_json::from_value(host).map_err(|cause| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                format!("the request body cannot be used: host: {cause}"),
            )
            .hint("`driver` is none, hooks, qmp or libvirt; its settings stand beside it: docs/volumes.md")
        })?,
    };
    let wanted = EngineAddInstance {
        id: wanted.id,
        name: wanted.name,
        description: wanted.description,
        volumes: wanted.volumes,
        host,
    };
    let added = state.engine.add_instance(wanted).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

/// Forgets an instance that was added. Its volumes and its snapshots stay.
#[utoipa::path(delete, path = "/api/v1/instances/{instance}", tag = "volumes", params(("instance" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn remove_instance(
    State(state): State<NativeState>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    state.engine.remove_instance(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
