//! `POST …/volume_snapshots/capture_instance[/{id}]` and `…/create_volume[/{id}]`: a snapshot becomes an image or a new disk.

use super::create::name_or_time;
use super::named;
use crate::auth::Need;
use crate::idc51::call::{Call, Idc51Result};
use crate::idc51::errors::Idc51Error;
use crate::idc51::fields::Fields;
use crate::idc51::jobs;

/// Begins a job `CaptureInstanceFromSnapshot`: the snapshot of a host becomes an image.
pub async fn capture_instance(call: Call, id: Option<&str>) -> Idc51Result {
    call.check_zone()?;
    let fields = call.fields()?;
    let point = [the_point(&fields, id)?];
    let name = name_or_time(&call.state, "image_name", fields.name("image_name")?)?;
    named::points(&call, Need::operate("CaptureInstanceFromSnapshot"), &point).await?;
    let engine = &call.state.engine;
    let ticket = engine
        .capture_image(&point[0], &name, Default::default())
        .await?;
    jobs::accepted(&call, ticket).await
}

/// Begins a job `CreateVolumeFromSnapshot`: the snapshot of a disk becomes another disk of the same type.
pub async fn create_volume(call: Call, id: Option<&str>) -> Idc51Result {
    call.check_zone()?;
    let fields = call.fields()?;
    let point = [the_point(&fields, id)?];
    let name = name_or_time(&call.state, "volume_name", fields.name("volume_name")?)?;
    named::points(&call, Need::operate("CreateVolumeFromSnapshot"), &point).await?;
    let engine = &call.state.engine;
    let ticket = engine.create_volume_from(&point[0], &name).await?;
    jobs::accepted(&call, ticket).await
}

/// The snapshot that the path or the field `snapshot` names.
fn the_point(fields: &Fields, id: Option<&str>) -> Result<String, Idc51Error> {
    named::the_one(named::in_path(id), &fields.list("snapshot")?)
}
