//! What a live capture adds to a QEMU, and taking it away again.
//!
//! The plan is on disk before the first of it is done. Every step of [`Plan::undo_disk`] first looks whether there is anything to
//! undo, so that it serves a capture that ended, one that failed halfway, and what a crash left.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

use super::client::Qmp;
use super::graph::Graph;
use super::lines::QmpError;

/// A live capture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Whether the guest is paused for the moment of the capture, and has to be let on.
    pub resume: bool,
    /// The NBD server's socket.
    pub nbd_socket: PathBuf,
    /// Whether that server is ours: the last capture that uses it stops it.
    pub own_server: bool,
    /// The disks, in order of the requests.
    pub disks: Vec<DiskPlan>,
}

/// A disk of a live capture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskPlan {
    /// The volume's id.
    pub volume: String,
    /// Start of the names of all that is added for this disk.
    pub name: String,
    /// The disk's node.
    pub node: String,
    /// QOM path of the device that is put on the filter; without it a backup job puts the filter below all users of the node.
    pub device: Option<String>,
    /// The bitmap of the older generation.
    pub old: Option<String>,
    /// The bitmap that starts with this capture.
    pub new: String,
    /// What a token recognises that bitmap by; None when an image under the disk cannot be watched.
    pub identity: Option<Value>,
    /// The file that takes what the guest overwrites.
    pub scratch: PathBuf,
}

/// What becomes of the two generations of a bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The capture is durable: the new one stays.
    New,
    /// It failed: the old one takes over what the new one recorded.
    Old,
    /// Not known, after a crash: as for a failure where both are there; what is alone stays, it is the one that the token names or is
    /// removed with the next success.
    Unknown,
}

impl DiskPlan {
    /// The node of the scratch file.
    pub fn scratch_node(&self) -> String {
        format!("{}-old", self.name)
    }

    /// The copy-before-write filter.
    pub fn filter(&self) -> String {
        format!("{}-cbw", self.name)
    }

    /// The node that shows the disk as it was.
    pub fn view(&self) -> String {
        format!("{}-view", self.name)
    }

    /// The backup job, where there is one; and the export, its id and its name.
    pub fn id(&self) -> &str {
        &self.name
    }

    /// How the names of all bitmaps of a volume start.
    pub fn bitmap_prefix(volume: &str) -> String {
        format!("snapkeep-{volume}-")
    }
}

impl Plan {
    /// Takes away all that the capture added for one disk and hands over the bitmaps. Goes on after an error; the first is returned.
    pub fn undo_disk(
        &self,
        qmp: &mut Qmp,
        disk: &DiskPlan,
        generation: Generation,
    ) -> Result<(), QmpError> {
        let mut undo = Undo {
            qmp,
            first_error: None,
        };
        undo.export(disk.id());
        undo.node(&disk.view());
        undo.job(disk.id());
        undo.filter(disk);
        undo.node(&disk.scratch_node());
        undo.bitmaps(disk, generation);
        let outcome = undo.first_error.map_or(Ok(()), Err);
        remove_scratch(&disk.scratch);
        outcome
    }

    /// Lets the guest on if it was paused for this capture and still is.
    pub fn resume(&self, qmp: &mut Qmp) -> Result<(), QmpError> {
        if self.resume && qmp.execute("query-status", json!({}))?["status"] == "paused" {
            qmp.execute("cont", json!({}))?;
        }
        Ok(())
    }

    /// Stops the NBD server if it is ours and serves nobody else's capture.
    pub fn stop_server(&self, qmp: &mut Qmp) -> Result<(), QmpError> {
        if !self.own_server || qmp.lists("query-block-exports", "type", "nbd")? {
            return Ok(());
        }
        match qmp.execute("nbd-server-stop", json!({})) {
            // Not running any more, or not yet.
            Ok(_) | Err(QmpError::Refused { .. }) => {
                remove_scratch(&self.nbd_socket);
                Ok(())
            }
            Err(cause) => Err(cause),
        }
    }

    /// Undoes all of it: after a failure, or a crash.
    pub fn undo(&self, qmp: &mut Qmp, generation: Generation) -> Result<(), QmpError> {
        let mut outcome = self.resume(qmp);
        for disk in &self.disks {
            outcome = outcome.and(self.undo_disk(qmp, disk, generation));
        }
        outcome.and(self.stop_server(qmp))
    }

    /// Removes the files of a capture whose process has ended; with it went all the rest.
    pub fn remove_files(&self) {
        for disk in &self.disks {
            remove_scratch(&disk.scratch);
        }
        if self.own_server {
            remove_scratch(&self.nbd_socket);
        }
    }
}

fn remove_scratch(path: &Path) {
    if let Err(cause) = fs::remove_file(path)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        warn!(path = %path.display(), %cause, "a file of a live capture stays behind; remove it by hand");
    }
}

/// Steps that go on after errors.
struct Undo<'a> {
    qmp: &'a mut Qmp,
    first_error: Option<QmpError>,
}

impl Undo<'_> {
    fn note<T>(&mut self, outcome: Result<T, QmpError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(cause) => {
                self.first_error.get_or_insert(cause);
                None
            }
        }
    }

    fn run(&mut self, command: &str, arguments: Value) {
        let outcome = self.qmp.execute(command, arguments);
        self.note(outcome);
    }

    fn graph(&mut self) -> Option<Graph> {
        let graph = Graph::read(self.qmp);
        self.note(graph)
    }

    fn export(&mut self, id: &str) {
        let listed = self.qmp.lists("query-block-exports", "id", id);
        if self.note(listed) == Some(true) {
            self.run("block-export-del", json!({"id": id, "mode": "hard"}));
            let gone = self.qmp.wait_until_gone("query-block-exports", "id", id);
            self.note(gone);
        }
    }

    fn node(&mut self, node: &str) {
        if self.graph().is_some_and(|graph| graph.has(node)) {
            self.run("blockdev-del", json!({"node-name": node}));
        }
    }

    fn job(&mut self, id: &str) {
        let listed = self.qmp.lists("query-jobs", "id", id);
        if self.note(listed) == Some(true) {
            self.run("job-cancel", json!({"id": id}));
            let gone = self.qmp.wait_until_gone("query-jobs", "id", id);
            self.note(gone);
        }
    }

    fn filter(&mut self, disk: &DiskPlan) {
        let filter = disk.filter();
        // The filter of a job went with the job; what is there now was added for a device.
        let Some(graph) = self.graph().filter(|graph| graph.has(&filter)) else {
            return;
        };
        // Only if the device was put on it: QEMU 7.2 aborts when a device is given the node that it has.
        if let Some(device) = graph.device_of(&filter) {
            self.run(
                "qom-set",
                json!({"path": device, "property": "drive", "value": disk.node}),
            );
        }
        self.run("blockdev-del", json!({"node-name": filter}));
    }

    fn bitmaps(&mut self, disk: &DiskPlan, generation: Generation) {
        let Some(graph) = self.graph() else {
            return;
        };
        let bitmaps = graph.bitmaps(&disk.node);
        let has = |name: &str| bitmaps.iter().any(|bitmap| bitmap.name == name);
        let of = |name: &str| json!({"node": disk.node, "name": name});
        match generation {
            Generation::New => {
                let prefix = DiskPlan::bitmap_prefix(&disk.volume);
                for bitmap in &bitmaps {
                    if bitmap.name.starts_with(&prefix) && bitmap.name != disk.new {
                        self.run("block-dirty-bitmap-remove", of(&bitmap.name));
                    }
                }
            }
            Generation::Old | Generation::Unknown => match &disk.old {
                Some(old) if has(old) && has(&disk.new) => self.run(
                    "transaction",
                    json!({"actions": [
                        {"type": "block-dirty-bitmap-enable", "data": of(old)},
                        {"type": "block-dirty-bitmap-merge",
                         "data": {"node": disk.node, "target": old, "bitmaps": [disk.new]}},
                        {"type": "block-dirty-bitmap-remove", "data": of(&disk.new)},
                    ]}),
                ),
                None if generation == Generation::Old && has(&disk.new) => {
                    self.run("block-dirty-bitmap-remove", of(&disk.new));
                }
                _ => {}
            },
        }
    }
}
