//! `PUT …/volume_snapshots[/{id}]`: another name or description, at once and without an answer's body.

use super::named;
use crate::auth::Need;
use crate::idc51::call::{Answer, Call, Idc51Result};
use crate::idc51::errors::Fault;

/// Changes what is given. The snapshot is named in the path, or as `snapshot` in the body (an older form) or query.
pub async fn update(call: Call, id: Option<&str>) -> Idc51Result {
    call.check_zone()?;
    let fields = call.fields()?;
    let mut elsewhere = fields.list("snapshot")?;
    elsewhere.extend(call.query.list("snapshot")?);
    elsewhere.extend(call.query.list("snapshot_id")?);
    let point = [named::the_one(named::in_path(id), &elsewhere)?];
    let name = fields.name("snapshot_name")?;
    let description = fields.description("description")?;
    if name.is_none() && description.is_none() {
        return Err(Fault::Format.because("neither snapshot_name nor description is given"));
    }
    let need = Need::operate("ModifySnapshotAttributes");
    named::points(&call, need, &point).await?;
    let engine = &call.state.engine;
    engine.update_point(&point[0], name, description).await?;
    Ok(Answer::Empty)
}
