//! The one moment of a group of disks.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::captured::OpenCapture;
use super::disk::{Prepared, Setting};
use super::{DiskCapture, GroupCapture};
use crate::volume::host::{FreezeGuard, HostCapture, HostControl, HostSpec, HostState};
use crate::volume::{DiskUser, DiskUserKind, VolumeError};

/// Longest time that a host stays frozen. Clones take a fraction of it: see the budget of pauses.
const LONGEST_FREEZE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 20 });

/// Captures all disks of the group at one moment, in the order of the request. Either all are captured or none.
///
/// A running host that can capture its disks itself does so. Otherwise disks in use are cloned, with the host frozen where it can
/// be, and disks that nobody uses are read as they are when they cannot be cloned.
///
/// # Errors
/// [`VolumeError::InUse`] for a disk that is written to and of which no consistent view can be had (unless that is allowed),
/// [`VolumeError::Missing`], [`VolumeError::Unsupported`], [`VolumeError::ToolMissing`] and failures of system calls.
pub fn capture(group: GroupCapture<'_>) -> Result<Vec<Box<dyn DiskCapture>>, VolumeError> {
    let runs = group.host.state()? == HostState::Running;
    let mut live_reason = None;
    if runs {
        match group.host.capture_disks(group.disks, group.state_dir)? {
            HostCapture::Taken(captures) => return Ok(captures),
            HostCapture::Unavailable { reason } => live_reason = Some(reason),
        }
    }
    let setting = Setting {
        running_host: runs.then(|| DiskUser {
            kind: DiskUserKind::Host,
            name: host_name(group.host),
            pid: None,
        }),
        disk_count: group.disks.len() as u64,
        allow_inconsistent: group.allow_inconsistent,
        state_dir: group.state_dir,
        // Of other hosts nothing better was to be expected.
        live_reason: live_reason
            .filter(|_| matches!(group.host.spec(), HostSpec::Qmp(_) | HostSpec::Libvirt(_))),
    };
    let mut disks = group
        .disks
        .iter()
        .map(|request| Prepared::new(request, &setting))
        .collect::<Result<Vec<_>, _>>()?;

    let is_frozen = group.host.can_freeze()
        && disks
            .iter()
            .any(|disk| disk.is_in_use() && disk.has_clone());
    if is_frozen {
        disks.iter().for_each(Prepared::warm_up);
        take_frozen(&mut disks, group)?;
    } else {
        disks.iter_mut().try_for_each(Prepared::take)?;
    }

    disks
        .into_iter()
        .map(|disk| {
            let captured = disk.finish(&setting, is_frozen)?;
            Ok(Box::new(OpenCapture::new(captured)) as Box<dyn DiskCapture>)
        })
        .collect()
}

/// Takes all disks while the host is frozen. A freeze of the very file system that the disks are on would hold up the clones for
/// ever; so they are taken by a thread, and the thaw after the longest freeze lets it go on and fail.
fn take_frozen(disks: &mut [Prepared<'_>], group: GroupCapture<'_>) -> Result<(), VolumeError> {
    thread::scope(|scope| {
        let guard = FreezeGuard::freeze(group.host, group.state_dir)?;
        let (done, is_done) = mpsc::channel();
        let taking = scope.spawn(move || {
            let outcome = disks.iter_mut().try_for_each(Prepared::take);
            // Nobody listens any more after the longest freeze.
            let _ = done.send(());
            outcome
        });
        let in_time = is_done.recv_timeout(LONGEST_FREEZE);
        guard.thaw()?;
        let outcome = taking
            .join()
            .map_err(|_| host_failed(group.host, "the capture broke off"))?;
        if in_time.is_err() {
            return Err(host_failed(
                group.host,
                "cloning its disks took longer than a freeze may last; if the freeze stops the file system that the disks \
                 themselves are on, let it stop those inside the guest instead",
            ));
        }
        outcome
    })
}

fn host_name(host: &dyn HostControl) -> String {
    let context = host.context();
    if context.name.is_empty() {
        context.instance.clone()
    } else {
        context.name.clone()
    }
}

fn host_failed(host: &dyn HostControl, message: &str) -> VolumeError {
    VolumeError::Host {
        operation: "capture the disks of".to_owned(),
        host: host_name(host),
        message: message.to_owned(),
    }
}
