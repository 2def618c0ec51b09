//! `POST …/volume_snapshots`: snapshots of disks and hosts, all of one moment.

use snapkeep_engine::CreatePoints;

use crate::auth::Need;
use crate::idc51::call::{Call, Idc51Result};
use crate::idc51::errors::{Fault, Idc51Error};
use crate::idc51::jobs;
use crate::idc51::state::Idc51State;

/// Begins a job `CreateSnapshots`.
pub async fn create(call: Call) -> Idc51Result {
    call.check_zone()?;
    let fields = call.fields()?;
    let resources = fields.list("resources")?;
    if resources.is_empty() {
        return Err(Fault::Format
            .because("resources is missing")
            .hint("name the disks (vol-…) and hosts (i-…) to be snapshotted"));
    }
    let name = fields.name("snapshot_name")?;
    let request = CreatePoints {
        repository: None,
        name: name_or_time(&call.state, "snapshot_name", name)?,
        description: fields.description("description")?.unwrap_or_default(),
        full: fields.is_full()?,
        allow_inconsistent: fields.flag("allow_inconsistent")?.unwrap_or(false),
        resources: resources.clone(),
    };
    let need = Need::operate("CreateSnapshots")
        .repository(&call.state.config.repository)
        .resources(&resources);
    call.authorise(need)?;
    let ticket = call.state.engine.create_points(request).await?;
    jobs::accepted(&call, ticket).await
}

/// A name, made of the time where there is none and names are not required.
///
/// # Errors
/// There is none and names are required.
pub fn name_or_time(
    state: &Idc51State,
    field: &str,
    name: Option<String>,
) -> Result<String, Idc51Error> {
    match name {
        Some(name) => Ok(name),
        None if state.config.require_names => {
            Err(Fault::Format.because(format!("{field} is missing")))
        }
        None => {
            let kind = field.strip_suffix("_name").unwrap_or(field);
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            Ok(format!("{kind}-{now}"))
        }
    }
}
