//! Live captures: the disks of a running QEMU at one moment, read over NBD while the guest goes on.
//!
//! For each disk a scratch file takes what the guest overwrites (copy-before-write), a `snapshot-access` node shows the disk as it was,
//! and an NBD export offers that node together with the dirty bitmap of the older generation. The moment itself:
//!
//! * a disk at the top of a device: the guest is paused for some milliseconds while the device is put on the filter. With
//!   `on-cbw-error=break-snapshot` a full or slow scratch folder breaks the capture and never the guest.
//! * any other (an export of qemu-storage-daemon, a disk below another filter): a backup job with `sync=none`, which puts its filter below
//!   all users of the node. Before QEMU 10.1 such a job cannot break itself, so there a full scratch folder fails the guest's write.
//! * in both cases one transaction starts the new bitmaps, stops the old ones, and starts the jobs: all disks at one moment.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Uid;
use serde_json::{Value, json};
use tracing::warn;

use super::QmpHost;
use super::client::Qmp;
use super::graph::{DiskNode, Graph};
use super::lines::QmpError;
use super::plan::{DiskPlan, Generation, Plan};
use super::session::Session;
use crate::volume::capture::{identity_over, is_over};
use crate::volume::host::live_disk::LiveDisk;
use crate::volume::host::record::{OpenRecord, RecordKind};
use crate::volume::host::{FreezeGuard, HostCapture};
use crate::volume::{Consistency, DiskCapture, DiskRequest, TokenKind, VolumeError};

/// Longest path of a UNIX socket, in bytes (`sun_path` with its end).
const LONGEST_SOCKET_PATH: usize = 107;
/// After this many seconds a stuck copy breaks the capture instead of holding up the guest.
const CBW_TIMEOUT_S: u32 = 30;

/// Captures `disks`; whatever fails before the moment has come is a reason to capture them from outside.
pub fn capture(
    host: &QmpHost,
    disks: &[DiskRequest],
    state_dir: &Path,
) -> Result<HostCapture, VolumeError> {
    let mut qmp = match host.connect() {
        Ok(qmp) => qmp,
        Err(cause) if cause.is_gone() => {
            return Ok(unavailable(format!(
                "nothing runs at {}",
                host.socket().display()
            )));
        }
        Err(cause) => {
            return Ok(unavailable(
                cause.on("capture the disks of", host.socket()).to_string(),
            ));
        }
    };
    let prepared = match Prepared::new(host, &mut qmp, disks, state_dir) {
        Ok(prepared) => prepared,
        Err(reason) => return Ok(unavailable(reason)),
    };
    let left = serde_json::to_value(&prepared.plan).map_err(|cause| VolumeError::Host {
        operation: "capture the disks of".into(),
        host: host.socket().display().to_string(),
        message: cause.to_string(),
    })?;
    let record = OpenRecord::create(state_dir, RecordKind::Capture, host, left)?;
    match prepared.take(host, &mut qmp, state_dir) {
        Ok((plan, reasons, consistency)) => {
            // From here on the session takes everything down, also when the exports cannot be opened.
            let session = Arc::new(Session::new(host.socket().to_owned(), plan, record));
            drop(qmp);
            session
                .open(disks, reasons, consistency)
                .map(|disks| {
                    HostCapture::Taken(
                        disks
                            .into_iter()
                            .map(|disk: LiveDisk| Box::new(disk) as Box<dyn DiskCapture>)
                            .collect(),
                    )
                })
                .or_else(|cause| Ok(unavailable(cause.to_string())))
        }
        Err((plan, cause)) => {
            plan.undo(&mut qmp, Generation::Old)
                .map_err(|undoing| undoing.on("take down a failed capture of", host.socket()))?;
            record.remove()?;
            Ok(unavailable(cause))
        }
    }
}

fn unavailable(reason: String) -> HostCapture {
    HostCapture::Unavailable { reason }
}

/// What is needed, found and named before anything is done.
struct Prepared {
    plan: Plan,
    nodes: Vec<DiskNode>,
    /// Why the changes of a disk are not known, where they are not.
    reasons: Vec<Option<String>>,
}

impl Prepared {
    fn new(
        host: &QmpHost,
        qmp: &mut Qmp,
        disks: &[DiskRequest],
        state_dir: &Path,
    ) -> Result<Self, String> {
        let graph = Graph::read(qmp).map_err(|cause| cause.to_string())?;
        let is_running = match qmp.execute("query-status", json!({})) {
            Ok(status) => status["running"] == true,
            // No guest, nothing to pause: qemu-storage-daemon.
            Err(cause) if cause.is_unknown_command() => false,
            Err(cause) => return Err(cause.to_string()),
        };
        let scratch = host.scratch(state_dir);
        fs::create_dir_all(&scratch)
            .map_err(|cause| format!("cannot create the folder {}: {cause}", scratch.display()))?;
        let tag = hex::encode(rand::random::<[u8; 4]>());
        let mut plan = Plan {
            resume: false,
            nbd_socket: match host.nbd_socket() {
                Some(socket) => socket.to_owned(),
                None => own_socket(&scratch, host.socket())?,
            },
            own_server: host.nbd_socket().is_none(),
            disks: Vec::new(),
        };
        let mut nodes = Vec::new();
        let mut reasons = Vec::new();
        for (position, request) in disks.iter().enumerate() {
            let volume = &request.source.volume;
            let node = graph.find(&request.source, host.node(&request.source))?;
            let (old, reason) = match usable_bitmap(request, &node) {
                Ok(old) => (Some(old), None),
                Err(reason) => (None, Some(reason)),
            };
            let name = format!("snapkeep-{tag}-{position}");
            plan.resume |= is_running && node.device.is_some();
            let new = format!("{}{tag}", DiskPlan::bitmap_prefix(volume));
            plan.disks.push(DiskPlan {
                volume: volume.clone(),
                identity: node
                    .backing
                    .as_ref()
                    .and_then(|backing| identity_over(&new, backing)),

                scratch: scratch.join(format!("{name}.scratch")),
                name,
                node: node.node.clone(),
                device: node.device.clone(),
                old,
                new,
            });
            nodes.push(node);
            reasons.push(reason);
        }
        Ok(Self {
            plan,
            nodes,
            reasons,
        })
    }

    /// Does it. On an error the plan comes back, to be undone.
    #[expect(clippy::type_complexity, reason = "used in one place")]
    fn take(
        self,
        host: &QmpHost,
        qmp: &mut Qmp,
        state_dir: &Path,
    ) -> Result<(Plan, Vec<Option<String>>, Consistency), (Plan, String)> {
        let Self {
            mut plan,
            nodes,
            reasons,
        } = self;
        let consistency = prepare(&plan, &nodes, qmp)
            .and_then(|()| moment(&mut plan, &nodes, host, qmp, state_dir))
            .and_then(|consistency| show(&plan, qmp).map(|()| consistency));
        match consistency {
            Ok(consistency) => Ok((plan, reasons, consistency)),
            Err(cause) => Err((plan, cause)),
        }
    }
}

/// The bitmap that tells the changes since the token's snapshot, or why none does.
fn usable_bitmap(request: &DiskRequest, node: &DiskNode) -> Result<String, String> {
    let Some(token) = &request.token else {
        return Err("there is no earlier capture to compare with".into());
    };
    if !matches!(token.kind, TokenKind::Qmp | TokenKind::Bitmap) {
        return Err(format!(
            "the earlier capture was made by method {}, which says nothing about a running QEMU",
            token.kind.as_str()
        ));
    }
    let Some(name) = token.identity["bitmap"].as_str() else {
        return Err("the token names no bitmap".into());
    };
    if token.size_bytes != node.size_bytes {
        return Err(format!(
            "the size has changed from {} to {} bytes",
            token.size_bytes, node.size_bytes
        ));
    }
    if !node
        .backing
        .as_ref()
        .is_some_and(|backing| is_over(&token.identity, backing))
    {
        return Err("an image under it changed, or cannot be watched".into());
    }
    let Some(bitmap) = node.bitmaps.iter().find(|bitmap| bitmap.name == name) else {
        return Err(format!(
            "bitmap [{name}] is gone: {}",
            if node.keeps_bitmaps {
                "the image was replaced, or QEMU was killed before it stored it"
            } else {
                "this image cannot keep bitmaps when QEMU ends"
            }
        ));
    };
    if bitmap.is_inconsistent {
        return Err(format!(
            "bitmap [{name}] is inconsistent: QEMU was killed before it stored it"
        ));
    }
    if !bitmap.is_recording {
        return Err(format!("bitmap [{name}] does not record writes"));
    }
    if bitmap.is_busy {
        return Err(format!(
            "bitmap [{name}] is used by another job or export of QEMU"
        ));
    }
    Ok(name.to_owned())
}

/// All that can be done before the moment: scratch files and the NBD server.
fn prepare(plan: &Plan, nodes: &[DiskNode], qmp: &mut Qmp) -> Result<(), String> {
    let help = "set `scratch` to a folder that the user of QEMU can enter and write";
    let user = qmp.peer().map(|peer| peer.uid);
    for (disk, node) in plan.disks.iter().zip(nodes) {
        create_scratch(&disk.scratch, node.size_bytes, user).map_err(|cause| {
            format!(
                "cannot create the file {}: {cause}; {help}",
                disk.scratch.display()
            )
        })?;
        qmp.execute(
            "blockdev-add",
            json!({"driver": "file", "node-name": disk.scratch_node(), "filename": disk.scratch,
                   "read-only": false, "discard": "unmap"}),
        )
        .map_err(|cause| format!("{cause}; {help}"))?;
    }
    if plan.own_server {
        let address = json!({"type": "unix", "data": {"path": plan.nbd_socket}});
        if let Err(cause) = qmp.execute("nbd-server-start", json!({"addr": address})) {
            let is_ours = matches!(&cause, QmpError::Refused { message, .. } if message.contains("already running"))
                && plan.nbd_socket.exists();
            if !is_ours {
                return Err(format!(
                    "{cause}; where QEMU runs an NBD server already, set `nbd_socket` to its socket, else {help}"
                ));
            }
        }
    }
    Ok(())
}

/// A sparse file of the disk's size, of the user that QEMU runs as.
fn create_scratch(path: &Path, size_bytes: u64, user: Option<Uid>) -> std::io::Result<()> {
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_len(size_bytes)?;
    if let Some(user) = user
        && user != rustix::process::geteuid()
    {
        rustix::fs::fchown(&file, Some(user), None)?;
    }
    Ok(())
}

/// The moment: file systems at rest where the guest has an agent, the guest paused where a device changes its node, one transaction.
fn moment(
    plan: &mut Plan,
    nodes: &[DiskNode],
    host: &QmpHost,
    qmp: &mut Qmp,
    state_dir: &Path,
) -> Result<Consistency, String> {
    let frozen = host
        .has_agent()
        .then(|| FreezeGuard::freeze(host, state_dir));
    let frozen = match frozen {
        Some(Ok(guard)) => Some(guard),
        Some(Err(cause)) => {
            warn!(instance = %host.instance(), error = %cause, "the guest agent does not freeze; the snapshot is what a power cut would leave");
            None
        }
        None => None,
    };
    let taken = paused(plan, nodes, qmp);
    let resumed = plan.resume(qmp).map_err(|cause| cause.to_string());
    let consistency = match frozen {
        Some(guard) => {
            guard.thaw().map_err(|cause| cause.to_string())?;
            Consistency::Frozen
        }
        None => Consistency::Crash,
    };
    taken.and(resumed).map(|()| consistency)
}

fn paused(plan: &mut Plan, nodes: &[DiskNode], qmp: &mut Qmp) -> Result<(), String> {
    let text = |cause: QmpError| cause.to_string();
    if plan.resume {
        qmp.execute("stop", json!({})).map_err(text)?;
    }
    for disk in &mut plan.disks {
        let Some(device) = disk.device.clone() else {
            continue;
        };
        qmp.execute(
            "blockdev-add",
            json!({"driver": "copy-before-write", "node-name": disk.filter(), "file": disk.node,
                   "target": disk.scratch_node(), "on-cbw-error": "break-snapshot",
                   "cbw-timeout": CBW_TIMEOUT_S}),
        )
        .map_err(|cause| format!("{cause}; live captures need QEMU 7.1 or later"))?;
        let placed = qmp.execute(
            "qom-set",
            json!({"path": device, "property": "drive", "value": disk.filter()}),
        );
        if placed.is_err() {
            // Some devices keep their node for life; a backup job works below them.
            qmp.execute("blockdev-del", json!({"node-name": disk.filter()}))
                .map_err(text)?;
            disk.device = None;
        }
    }
    match qmp.execute("transaction", transaction(plan, nodes, true)) {
        Err(QmpError::Refused { message, .. }) if message.contains("on-cbw-error") => {
            qmp.execute("transaction", transaction(plan, nodes, false))
        }
        other => other,
    }
    .map(drop)
    .map_err(text)
}

fn transaction(plan: &Plan, nodes: &[DiskNode], may_break: bool) -> Value {
    let mut actions = Vec::new();
    for (disk, node) in plan.disks.iter().zip(nodes) {
        if disk.device.is_none() {
            let mut job = json!({"job-id": disk.id(), "device": disk.node, "target": disk.scratch_node(),
                                 "sync": "none", "filter-node-name": disk.filter()});
            if may_break {
                job["on-cbw-error"] = "break-snapshot".into();
            }
            actions.push(json!({"type": "blockdev-backup", "data": job}));
        }
        actions.push(json!({"type": "block-dirty-bitmap-add",
                            "data": {"node": disk.node, "name": disk.new, "persistent": node.keeps_bitmaps}}));
        if let Some(old) = &disk.old {
            actions.push(json!({"type": "block-dirty-bitmap-disable",
                                "data": {"node": disk.node, "name": old}}));
        }
    }
    json!({ "actions": actions })
}

/// Offers the disks as they were at the moment.
fn show(plan: &Plan, qmp: &mut Qmp) -> Result<(), String> {
    for disk in &plan.disks {
        qmp.execute(
            "blockdev-add",
            json!({"driver": "snapshot-access", "node-name": disk.view(), "file": disk.filter()}),
        )
        .map_err(|cause| cause.to_string())?;
        let bitmaps: Vec<Value> = disk
            .old
            .iter()
            .map(|old| json!({"node": disk.node, "name": old}))
            .collect();
        qmp.execute(
            "block-export-add",
            json!({"type": "nbd", "id": disk.id(), "node-name": disk.view(), "name": disk.id(),
                   "bitmaps": bitmaps}),
        )
        .map_err(|cause| cause.to_string())?;
    }
    Ok(())
}

/// Where our NBD server of the QEMU at `qmp_socket` listens: always at the same place, so that captures that overlap share it.
fn own_socket(scratch: &Path, qmp_socket: &Path) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    qmp_socket.hash(&mut hasher);
    scratch.hash(&mut hasher);
    let name = format!("snapkeep-{:016x}.nbd", hasher.finish());
    let beside = scratch.join(&name);
    if beside.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return Ok(beside);
    }
    // The scratch folder's path is too long for a socket; this one is for us alone, and so for a QEMU that runs as the same user.
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("snapkeep-nbd-{user}"));
    let created = fs::DirBuilder::new().mode(0o700).create(&folder);
    if let Err(cause) = created
        && cause.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(format!("cannot create {}: {cause}", folder.display()));
    }
    let metadata = fs::symlink_metadata(&folder)
        .map_err(|cause| format!("cannot look at {}: {cause}", folder.display()))?;
    if !metadata.is_dir() || std::os::unix::fs::MetadataExt::uid(&metadata) != user {
        return Err(format!(
            "{} belongs to somebody else; set `scratch` to a folder with a shorter path",
            folder.display()
        ));
    }
    Ok(folder.join(name))
}
