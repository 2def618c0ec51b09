//! After a rollback the disk is exactly what a snapshot holds: its changes can be followed from there, and the next point reads only
//! what is written from now on.

use snapkeep_drivers::volume::host::{HostContext, HostSpec};
use snapkeep_drivers::volume::{
    Consistency, DiskRequest, DiskToken, GroupCapture, VolumeError, capture,
};

use super::plan::DiskPlan;
use crate::engine::Inner;
use crate::volumes::capture::VolumeState;

/// Notes the state of a disk that was rolled back and that nobody has opened since. Without it the next point reads everything, so a
/// failure is only logged.
pub(super) fn follow(inner: &Inner, disk: &DiskPlan) {
    let state = VolumeState::new(&inner.config.data_dir);
    let noted = begin(disk, &state)
        .map_err(|error| error.to_string())
        .and_then(|token| {
            let kept = state.keep_token(&disk.source.volume, token.as_ref());
            kept.map_err(|error| error.to_string())
        });
    if let Err(error) = noted {
        tracing::warn!(volume = disk.source.volume, %error, "changes since the rollback are not followed; the next point reads everything");
    }
}

fn begin(disk: &DiskPlan, state: &VolumeState) -> Result<Option<DiskToken>, VolumeError> {
    let requests = [DiskRequest {
        source: disk.source.clone(),
        token: None,
    }];
    let control = HostSpec::None.control(HostContext::default());
    let captures = capture(GroupCapture {
        disks: &requests,
        host: control.as_ref(),
        allow_inconsistent: false,
        state_dir: &state.driver_dir(),
    })?;
    let mut token = None;
    for captured in captures {
        let is_as_applied =
            captured.consistency() == Consistency::Offline && captured.verify().is_ok();
        let kept_as = is_as_applied.then_some(disk.point.info.snapshot_uuid.as_str());
        token = captured.settle(kept_as)?;
    }
    Ok(token)
}
