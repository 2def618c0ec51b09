//! `GET …/volumes`: which disks there are, so that a client learns what can be snapshotted and what `create_volume` made.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snapkeep_engine::{InstanceInfo, VolumeInfo, VolumeStatus};

use super::call::{Answer, Call, Idc51Result};
use super::errors::{Fault, Idc51Error};
use super::times::gigabytes;
use crate::auth::Need;

/// Disks of a page when nothing is said.
const DEFAULT_LIMIT: u64 = 10;
/// Most disks of a page.
const MAX_LIMIT: u64 = 100;
/// States that a disk can be in, here or on the real service.
const STATES: [&str; 6] = [
    "pending",
    "available",
    "in-use",
    "suspended",
    "deleted",
    "ceased",
];

/// Lists disks by id, filtered by `volumes`, `status` and `search_word`.
pub async fn list(call: Call) -> Idc51Result {
    call.check_zone()?;
    call.authorise(Need::read("DescribeVolumes"))?;
    let ids = call.query.list("volumes")?;
    let states = call.query.list("status")?;
    if let Some(unknown) = states.iter().find(|it| !STATES.contains(&it.as_str())) {
        return Err(Fault::Format.because(format!("status [{unknown}] is no state of a disk")));
    }
    let search = call.query.one("search_word").map(str::to_lowercase);
    let offset = call.query.number("offset")?.unwrap_or(0);
    let limit = call.query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    let names = instance_names(&call).await?;
    let matches = |volume: &VolumeInfo| {
        let is_found = search.as_deref().is_none_or(|word| {
            volume.id.to_lowercase().contains(word) || volume.name.to_lowercase().contains(word)
        });
        is_found
            && call.caller.sees_resource(&volume.id)
            && (ids.is_empty() || ids.contains(&volume.id))
            && (states.is_empty() || states.iter().any(|it| it == state(volume)))
    };
    let volumes = call.state.engine.volumes().await?;
    let found: Vec<VolumeInfo> = volumes.into_iter().filter(matches).collect();
    let page = found
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit.min(MAX_LIMIT)).unwrap_or(usize::MAX));
    let shown: Vec<Value> = page.map(|volume| show(volume, &names)).collect();
    Ok(Answer::Json(
        json!({ "volumes": shown, "total_count": found.len() }),
    ))
}

/// Names of hosts by their ids.
async fn instance_names(call: &Call) -> Result<BTreeMap<String, String>, Idc51Error> {
    let instances = call.state.engine.instances().await?;
    let named = |instance: InstanceInfo| (instance.id, instance.name);
    Ok(instances.into_iter().map(named).collect())
}

fn show(volume: &VolumeInfo, names: &BTreeMap<String, String>) -> Value {
    let instance = volume.instance.as_deref().unwrap_or_default();
    let instance_name = names.get(instance).map_or("", String::as_str);
    json!({
        "volume_id": volume.id,
        "volume_name": volume.name,
        "description": "",
        "size": gigabytes(volume.size_bytes),
        "status": state(volume),
        "transition_status": "",
        "create_time": "",
        "status_time": "",
        "instance": { "device": "", "instance_id": instance, "instance_name": instance_name },
        "virtual_size": volume.size_bytes,
    })
}

/// A disk of a host is in use; what is declared and not there has ceased.
fn state(volume: &VolumeInfo) -> &'static str {
    match volume.status {
        VolumeStatus::Missing => "ceased",
        VolumeStatus::Suspended { .. } => "suspended",
        VolumeStatus::Available if volume.instance.is_some() => "in-use",
        VolumeStatus::Available => "available",
    }
}
