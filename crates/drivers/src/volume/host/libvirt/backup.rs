//! Live captures by libvirt's backup jobs (<https://libvirt.org/kbase/live_full_disk_backup.html>,
//! <https://libvirt.org/formatbackup.html>).
//!
//! One `backup-begin` in pull mode captures all disks at one moment and offers them over NBD; a checkpoint that starts with it records the
//! changes of the qcow2 disks. It needs libvirt 7.2 and QEMU 5.2 or later.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{info, warn};

use super::host::LibvirtHost;
use super::session::{Backup, BackupDisk, BackupSession, CHECKPOINT_PREFIX, end_backup};
use crate::volume::host::record::{OpenRecord, RecordKind};
use crate::volume::host::{FreezeGuard, HostCapture, HostControl};
use crate::volume::{Consistency, DiskCapture, DiskRequest, VolumeError, VolumeFormat};

/// Longest path of a UNIX socket, in bytes (`sun_path` with its end).
const LONGEST_SOCKET_PATH: usize = 107;
const OPERATION: &str = "capture the disks of";

/// Captures `disks`; whatever fails before the job has begun is a reason to capture them from outside.
pub fn capture(
    host: &LibvirtHost,
    disks: &[DiskRequest],
    state_dir: &Path,
) -> Result<HostCapture, VolumeError> {
    let mut planned = match Planned::new(host, disks, state_dir) {
        Ok(planned) => planned,
        Err(reason) => return Ok(HostCapture::Unavailable { reason }),
    };
    let left = serde_json::to_value(&planned.backup)
        .map_err(|cause| host.domain.failed(OPERATION, cause.to_string()))?;
    let record = OpenRecord::create(state_dir, RecordKind::Capture, host, left)?;
    let consistency = match begin(host, &mut planned, state_dir) {
        Ok(consistency) => consistency,
        Err(cause) => {
            end_backup(&host.domain, &planned.backup)?;
            record.remove()?;
            return Ok(HostCapture::Unavailable {
                reason: format!(
                    "{cause}; `scratch` has to be a folder that the user of libvirt's domains can enter and write"
                ),
            });
        }
    };
    // From here on the session takes everything down, also when the exports cannot be opened.
    let session = Arc::new(BackupSession::new(
        host.domain.clone(),
        planned.backup,
        record,
    ));
    Ok(match session.open(disks, planned.reasons, consistency) {
        Ok(disks) => HostCapture::Taken(
            disks
                .into_iter()
                .map(|disk| Box::new(disk) as Box<dyn DiskCapture>)
                .collect(),
        ),
        Err(cause) => HostCapture::Unavailable {
            reason: cause.to_string(),
        },
    })
}

/// What the job will be.
struct Planned {
    backup: Backup,
    /// Why the changes of a disk are not known, where they are not.
    reasons: Vec<Option<String>>,
}

impl Planned {
    fn new(host: &LibvirtHost, disks: &[DiskRequest], state_dir: &Path) -> Result<Self, String> {
        let text = |cause: VolumeError| cause.to_string();
        let scratch = host.scratch(state_dir);
        fs::create_dir_all(&scratch)
            .map_err(|cause| format!("cannot create the folder {}: {cause}", scratch.display()))?;
        let tag = hex::encode(rand::random::<[u8; 4]>());
        let socket = scratch.join(format!("snapkeep-{tag}.nbd"));
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(format!(
                "the path of {} is too long for a socket; set `scratch` to a folder with a shorter one",
                socket.display()
            ));
        }
        // It would be waited for, and then refused: libvirt runs one at a time.
        let other = host.domain.call(OPERATION, "backup-dumpxml", &[]);
        if other.map_err(text)?.status.success() {
            return Err("another backup job of the domain is under way".into());
        }
        let listed = host
            .domain
            .run(OPERATION, "domblklist", &["--details"])
            .map_err(text)?;
        let checkpoints = host
            .domain
            .run(OPERATION, "checkpoint-list", &["--name"])
            .map_err(text)?;
        let checkpoints: Vec<&str> = checkpoints.split_whitespace().collect();
        let mut planned = Vec::new();
        let mut reasons = Vec::new();
        for request in disks {
            let target = target_of(&listed, request)?;
            // libvirt keeps checkpoints in qcow2 images only.
            let is_tracked = request.source.format == VolumeFormat::Qcow2;
            let old = match usable_checkpoint(request, &checkpoints) {
                _ if !is_tracked => Err("libvirt records changes in qcow2 images only".to_owned()),
                found => found,
            };
            reasons.push(old.as_ref().err().cloned());
            planned.push(BackupDisk {
                scratch: scratch.join(format!("snapkeep-{tag}-{target}.scratch")),
                target,
                is_tracked,
                old: old.ok(),
            });
        }
        let mut others: Vec<String> = target_lines(&listed)
            .map(|(target, _)| target.to_owned())
            .collect();
        others.retain(|target| !planned.iter().any(|disk| disk.target == *target));
        let tracked: Vec<&str> = planned
            .iter()
            .filter(|disk| disk.is_tracked)
            .map(|disk| disk.target.as_str())
            .collect();
        let checkpoint = (!tracked.is_empty())
            .then(|| format!("{CHECKPOINT_PREFIX}{tag}.{}", tracked.join(".")));
        Ok(Self {
            backup: Backup {
                checkpoint,
                socket,
                disks: planned,
                others,
            },
            reasons,
        })
    }

    /// Gives up the checkpoints because of `cause`, so that all disks are read whole. False: there are none to give up.
    fn forget_checkpoints(&mut self, cause: &str) -> bool {
        let mut has_any = false;
        for (disk, reason) in self.backup.disks.iter_mut().zip(&mut self.reasons) {
            if disk.old.take().is_some() {
                has_any = true;
                *reason = Some(format!("libvirt does not accept the checkpoint: {cause}"));
            }
        }
        has_any
    }
}

/// Target and source of the lines of `domblklist --details`.
fn target_lines(listed: &str) -> impl Iterator<Item = (&str, &str)> {
    listed.lines().filter_map(|line| {
        let (_kind, rest) = line.trim().split_once(char::is_whitespace)?;
        let (_device, rest) = rest.trim_start().split_once(char::is_whitespace)?;
        let (target, source) = rest.trim_start().split_once(char::is_whitespace)?;
        Some((target, source.trim()))
    })
}

fn target_of(listed: &str, request: &DiskRequest) -> Result<String, String> {
    let location = Path::new(&request.source.location);
    let wanted = fs::canonicalize(location).unwrap_or_else(|_| location.to_owned());
    target_lines(listed)
        .find(|(_, source)| {
            *source == request.source.location
                || fs::canonicalize(source).is_ok_and(|source| source == wanted)
        })
        .map(|(target, _)| target.to_owned())
        .ok_or_else(|| {
            format!(
                "the domain has no disk on {} (volume [{}])",
                request.source.location, request.source.volume
            )
        })
}

/// The checkpoint that tells the changes since the token's snapshot, or why none does.
fn usable_checkpoint(request: &DiskRequest, checkpoints: &[&str]) -> Result<String, String> {
    let Some(token) = &request.token else {
        return Err("there is no earlier capture to compare with".into());
    };
    let Some(name) = token.identity["checkpoint"].as_str() else {
        return Err("the earlier capture was not made by a backup job of libvirt".into());
    };
    if !checkpoints.contains(&name) {
        return Err(format!("libvirt has no checkpoint [{name}] any more"));
    }
    Ok(name.to_owned())
}

/// The moment: with the guest's file systems at rest where an agent answers.
fn begin(
    host: &LibvirtHost,
    planned: &mut Planned,
    state_dir: &Path,
) -> Result<Consistency, VolumeError> {
    let guard = match FreezeGuard::freeze_by(host, state_dir, || host.freeze_by_agent()) {
        Ok(guard) => Some(guard),
        Err(cause) => {
            info!(instance = %host.context().instance, reason = %cause, "no guest agent freezes the domain; the snapshot is what a power cut would leave");
            None
        }
    };
    let mut begun = begin_job(host, &planned.backup);
    if let Err(cause) = &begun
        && planned.forget_checkpoints(&cause.to_string())
    {
        begun = begin_job(host, &planned.backup);
    }
    let consistency = match guard {
        Some(guard) => {
            guard.thaw()?;
            Consistency::Frozen
        }
        None => Consistency::Crash,
    };
    begun.map(|()| consistency)
}

fn begin_job(host: &LibvirtHost, backup: &Backup) -> Result<(), VolumeError> {
    let job = Description::write(backup.socket.with_extension("job.xml"), &backup.job_xml())?;
    let checkpoint = backup
        .checkpoint_xml()
        .map(|text| Description::write(backup.socket.with_extension("checkpoint.xml"), &text))
        .transpose()?;
    let paths = [Some(&job), checkpoint.as_ref()].map(|file| {
        file.map(|file| file.0.display().to_string())
            .unwrap_or_default()
    });
    let mut options = vec!["--backupxml", &paths[0]];
    if checkpoint.is_some() {
        options.extend(["--checkpointxml", &paths[1]]);
    }
    host.domain
        .run(OPERATION, "backup-begin", &options)
        .map(drop)
}

/// A file for `virsh` to read, removed when it has.
struct Description(PathBuf);

impl Description {
    fn write(path: PathBuf, text: &str) -> Result<Self, VolumeError> {
        fs::write(&path, text).map_err(VolumeError::io("write", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_file(&self.0) {
            warn!(path = %self.0.display(), %cause, "a description of a backup job stays behind; remove it by hand");
        }
    }
}
