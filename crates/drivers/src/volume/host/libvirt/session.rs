//! A backup job of libvirt that has begun, until its last disk is settled.
//!
//! Checkpoints of ours are named `snapkeep-TAG.vda.vdb`, after the disks whose changes they record. One that ends is merged by libvirt
//! into the one before, so that giving up the newest is the hand-back to the older generation.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapkeep_nbd::Uri;
use tracing::{error, warn};

use super::domain::Domain;
use crate::volume::host::live_disk::{LiveDisk, LivePart};
use crate::volume::host::record::OpenRecord;
use crate::volume::{Consistency, DiskRequest, VolumeError};

/// How the names of our checkpoints start.
pub const CHECKPOINT_PREFIX: &str = "snapkeep-";
/// The dirty bitmap of each export.
const EXPORT_BITMAP: &str = "changes";
/// How long a job has to end: 60 s. The domain may be draining a slow disk.
const END_TIMEOUT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);
const OPERATION: &str = "take down the capture of";

/// A backup job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backup {
    /// The checkpoint that starts with it; None where no disk can keep one.
    pub checkpoint: Option<String>,
    /// The socket of its NBD server, which tells it from jobs of others.
    pub socket: PathBuf,
    /// Its disks, in order of the requests.
    pub disks: Vec<BackupDisk>,
    /// The domain's other disks.
    pub others: Vec<String>,
}

/// A disk of a backup job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupDisk {
    /// The domain's name for it, as `vda`; also the export's.
    pub target: String,
    /// The file that takes what the guest overwrites.
    pub scratch: PathBuf,
    /// Whether the new checkpoint records its changes.
    pub is_tracked: bool,
    /// The checkpoint that tells its changes until now.
    pub old: Option<String>,
}

impl Backup {
    /// As `backup-begin` wants it.
    pub fn job_xml(&self) -> String {
        let mut xml = format!(
            "<domainbackup mode='pull'><server transport='unix' socket='{}'/><disks>",
            escaped(&self.socket.display().to_string())
        );
        for disk in &self.disks {
            let target = escaped(&disk.target);
            let changes = disk.old.as_ref().map_or_else(String::new, |old| {
                format!(
                    " incremental='{}' exportbitmap='{EXPORT_BITMAP}'",
                    escaped(old)
                )
            });
            // Writing into a string does not fail.
            let _ = write!(
                xml,
                "<disk name='{target}' backup='yes' type='file' exportname='{target}'{changes}><scratch file='{}'/></disk>",
                escaped(&disk.scratch.display().to_string())
            );
        }
        for target in &self.others {
            let _ = write!(xml, "<disk name='{}' backup='no'/>", escaped(target));
        }
        xml + "</disks></domainbackup>"
    }

    /// The checkpoint as `backup-begin` wants it.
    pub fn checkpoint_xml(&self) -> Option<String> {
        let name = self.checkpoint.as_ref()?;
        let mut xml = format!("<domaincheckpoint><name>{}</name><disks>", escaped(name));
        let ours = self
            .disks
            .iter()
            .map(|disk| (&disk.target, disk.is_tracked));
        for (target, is_tracked) in ours.chain(self.others.iter().map(|target| (target, false))) {
            let kind = if is_tracked { "bitmap" } else { "no" };
            let _ = write!(
                xml,
                "<disk name='{}' checkpoint='{kind}'/>",
                escaped(target)
            );
        }
        Some(xml + "</disks></domaincheckpoint>")
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// Ends the job if it still runs. The checkpoint stays: nobody knows whether a token names it, and one that none does goes with the next
/// success. When the domain is off, the job went with it.
pub fn end_backup(domain: &Domain, backup: &Backup) -> Result<(), VolumeError> {
    if !domain.is_off_or_gone(OPERATION)? {
        let deadline = Instant::now() + END_TIMEOUT;
        let socket = escaped(&backup.socket.display().to_string());
        let mut is_told = false;
        // Fails when there is no job.
        while domain
            .call(OPERATION, "backup-dumpxml", &[])
            .map(|job| job.status.success() && job.stdout.contains(&socket))?
        {
            if Instant::now() >= deadline {
                return Err(domain.failed(
                    OPERATION,
                    "its backup job does not end; end it with `virsh domjobabort`",
                ));
            }
            if is_told {
                thread::sleep(TICK);
            } else {
                domain.run(OPERATION, "domjobabort", &[])?;
                is_told = true;
            }
        }
    }
    let scratch = backup.disks.iter().map(|disk| &disk.scratch);
    for path in scratch.chain([&backup.socket]) {
        // libvirt removes them itself where all went well.
        if let Err(cause) = fs::remove_file(path)
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            warn!(path = %path.display(), %cause, "a file of a backup job stays behind; remove it by hand");
        }
    }
    Ok(())
}

/// What the disks of one job share.
#[derive(Debug)]
pub struct BackupSession {
    domain: Domain,
    backup: Backup,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What became of each disk; None while it is open.
    outcomes: Vec<Option<bool>>,
    /// Taken when all are settled.
    record: Option<OpenRecord>,
}

impl BackupSession {
    /// A job that has begun; `record` is removed when it is taken down.
    pub fn new(domain: Domain, backup: Backup, record: OpenRecord) -> Self {
        let state = State {
            outcomes: vec![None; backup.disks.len()],
            record: Some(record),
        };
        Self {
            domain,
            backup,
            state: Mutex::new(state),
        }
    }

    /// Connects to the exports. Disks that were opened before a failure go, and the job ends with the last of them.
    pub fn open(
        self: &Arc<Self>,
        requests: &[DiskRequest],
        reasons: Vec<Option<String>>,
        consistency: Consistency,
    ) -> Result<Vec<LiveDisk>, VolumeError> {
        // Made first, so that dropping them ends the session whatever fails.
        let parts = (0..self.backup.disks.len()).map(|position| -> Box<dyn LivePart> {
            Box::new(Part {
                session: self.clone(),
                position,
            })
        });
        let bitmaps = reasons
            .into_iter()
            .map(|reason| reason.map_or(Ok(EXPORT_BITMAP), Err));
        LiveDisk::open_each(parts.collect(), bitmaps.collect(), consistency, requests)
    }

    fn settle(&self, position: usize, is_kept: bool) -> Result<(), VolumeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.outcomes[position].is_some() {
            return Ok(());
        }
        state.outcomes[position] = Some(is_kept);
        if state.outcomes.contains(&None) {
            return Ok(());
        }
        end_backup(&self.domain, &self.backup)?;
        self.hand_over(&state.outcomes)?;
        match state.record.take() {
            Some(record) => record.remove(),
            None => Ok(()),
        }
    }

    /// The new checkpoint stays if any disk's snapshot was kept, and those go of which it takes the place for all their disks. Else it goes.
    fn hand_over(&self, outcomes: &[Option<bool>]) -> Result<(), VolumeError> {
        let Some(new) = &self.backup.checkpoint else {
            return Ok(());
        };
        let delete = |name: &str| {
            self.domain
                .run(OPERATION, "checkpoint-delete", &["--checkpointname", name])
                .map(drop)
        };
        let kept: Vec<&str> = self
            .backup
            .disks
            .iter()
            .zip(outcomes)
            .filter(|(disk, outcome)| disk.is_tracked && **outcome == Some(true))
            .map(|(disk, _)| disk.target.as_str())
            .collect();
        if kept.is_empty() {
            return delete(new);
        }
        let listed = self.domain.run(OPERATION, "checkpoint-list", &["--name"])?;
        for name in listed.split_whitespace() {
            let Some(rest) = name.strip_prefix(CHECKPOINT_PREFIX) else {
                continue;
            };
            let mut targets = rest.split('.').skip(1);
            if name != new && targets.all(|target| kept.contains(&target)) {
                delete(name)?;
            }
        }
        Ok(())
    }
}

/// One disk's part of a job: when it is dropped without being settled, its snapshot has failed.
#[derive(Debug)]
struct Part {
    session: Arc<BackupSession>,
    position: usize,
}

impl LivePart for Part {
    fn uri(&self) -> Uri {
        let backup = &self.session.backup;
        Uri::unix(&backup.socket, &backup.disks[self.position].target)
    }

    fn settle(&self, is_kept: bool) -> Result<(), VolumeError> {
        self.session.settle(self.position, is_kept)
    }

    fn identity(&self) -> Option<Value> {
        let backup = &self.session.backup;
        let is_tracked = backup.disks[self.position].is_tracked;
        // The bitmap in the image has the checkpoint's name.
        let name = backup.checkpoint.as_ref().filter(|_| is_tracked)?;
        Some(json!({"checkpoint": name, "bitmap": name}))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(cause) = self.settle(false) {
            error!(error = %cause, "a backup job was not taken down; it is tried again at the next start");
        }
    }
}
