//! `POST …/volume_snapshots/apply`: disks become again what they were. Hosts that use them are stopped for it and started again.

use std::collections::BTreeMap;

use snapkeep_engine::PointInfo;

use super::named;
use crate::auth::Need;
use crate::idc51::call::{Call, Idc51Result};
use crate::idc51::errors::{Fault, Idc51Error};
use crate::idc51::jobs;

/// Begins a job `ApplySnapshots`. With `safety_snapshot` what is there now is snapshotted first.
pub async fn apply(call: Call) -> Idc51Result {
    call.check_zone()?;
    let fields = call.fields()?;
    let ids = named::union(None, &fields.list("snapshots")?);
    if ids.is_empty() {
        return Err(Fault::Format
            .because("snapshots is missing")
            .hint("name the snapshots (ss-…) to be applied"));
    }
    let is_safe = fields.flag("safety_snapshot")?.unwrap_or(false);
    let points = named::points(&call, Need::operate("ApplySnapshots"), &ids).await?;
    one_of_each_resource(&points)?;
    let ticket = call.state.engine.apply_points(&ids, is_safe).await?;
    jobs::accepted(&call, ticket).await
}

/// A disk cannot become two things.
fn one_of_each_resource(points: &[PointInfo]) -> Result<(), Idc51Error> {
    let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
    for point in points {
        if let Some(other) = chosen.insert(&point.resource.id, &point.id) {
            return Err(Fault::Format.because(format!(
                "snapshots [{other}] and [{}] are both of [{}]; apply one of them",
                point.id, point.resource.id
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idc51::snapshots::show::tests::example;

    #[test]
    fn a_disk_cannot_become_two_things() {
        let first = example();
        let mut second = PointInfo {
            id: "ss-OTHER01".to_owned(),
            ..example()
        };
        let both = [first.clone(), second.clone()];
        let error = one_of_each_resource(&both).unwrap_err();
        assert_eq!(error.fault, Fault::Format);
        assert!(error.message.contains("ss-X0J5V8Q") && error.message.contains("ss-OTHER01"));
        second.resource.id = "vol-ascdvf".to_owned();
        assert_eq!(one_of_each_resource(&[first, second]), Ok(()));
    }
}
