//! Live captures: what is read is the moment of the capture, and nothing of it is left afterwards.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use serde_json::{Value, json};
use snapkeep_drivers::volume::host::{HostCapture, HostContext, HostControl, HostSpec};
use snapkeep_drivers::volume::{
    ChangeSource, Consistency, DiskCapture, DiskRequest, DiskToken, GroupCapture, RangeSet, capture,
};

use crate::daemon::{Daemon, MIB, create, has, source};

pub const TOOLS: [&str; 3] = ["qemu-storage-daemon", "qemu-img", "qemu-io"];

/// Whether a whole QEMU can be captured here.
pub fn has_machine() -> bool {
    has(&TOOLS) && has(&["qemu-system-x86_64"])
}

/// A folder with disks, and what captures of them keep beside.
pub struct World {
    root: tempfile::TempDir,
    pub state: PathBuf,
}

impl World {
    /// With these disks, of so many MiB.
    pub fn new(disks: &[(&str, u64)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (disk, mib) in disks {
            create(root.path(), disk, *mib);
        }
        let state = root.path().join("state");
        Self { root, state }
    }

    pub fn folder(&self) -> &Path {
        self.root.path()
    }

    pub fn request(&self, disk: &str, token: Option<&DiskToken>) -> DiskRequest {
        DiskRequest {
            source: source(self.folder(), disk),
            token: token.cloned(),
        }
    }

    /// A capture of one disk.
    pub fn capture(
        &self,
        host: &dyn HostControl,
        disk: &str,
        token: Option<&DiskToken>,
    ) -> Box<dyn DiskCapture> {
        taken(host, &[self.request(disk, token)], &self.state).remove(0)
    }

    /// How many captures are recorded as not settled yet.
    pub fn records(&self) -> usize {
        std::fs::read_dir(self.state.join("hosts")).unwrap().count()
    }
}

pub fn taken(
    host: &dyn HostControl,
    requests: &[DiskRequest],
    state: &Path,
) -> Vec<Box<dyn DiskCapture>> {
    match host.capture_disks(requests, state).unwrap() {
        HostCapture::Taken(disks) => disks,
        HostCapture::Unavailable { reason } => panic!("not captured: {reason}"),
    }
}

/// The one record of a capture that is not settled yet.
pub fn record(state: &Path) -> PathBuf {
    std::fs::read_dir(state.join("hosts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

/// The state that a crash of ours leaves: the record without its lock, in `folder`.
pub fn state_after_crash(state: &Path, folder: &Path) -> PathBuf {
    let record = record(state);
    let copy = folder.join("copy");
    std::fs::create_dir_all(copy.join("hosts")).unwrap();
    std::fs::copy(
        &record,
        copy.join("hosts").join(record.file_name().unwrap()),
    )
    .unwrap();
    copy
}

pub fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// The 64 KiB at each of `starts`: what one bit of a bitmap stands for.
pub fn pieces(starts: &[u64]) -> RangeSet {
    starts.iter().map(|start| *start..*start + 65_536).collect()
}

pub fn byte(disk: &dyn DiskCapture, offset: u64) -> u8 {
    let mut buffer = [0xEE; 4096];
    disk.read_at(offset, &mut buffer).unwrap();
    assert!(buffer.iter().all(|byte| *byte == buffer[0]));
    buffer[0]
}

pub fn dirty(disk: &dyn DiskCapture) -> RangeSet {
    let changes = disk.changes();
    assert_eq!(changes.source, ChangeSource::Bitmap, "{:?}", changes.reason);
    changes.ranges.clone().unwrap()
}

pub fn reason(disk: &dyn DiskCapture) -> String {
    let changes = disk.changes();
    assert_eq!(
        (changes.source, &changes.ranges),
        (ChangeSource::Scan, &None)
    );
    changes.reason.clone().unwrap()
}

/// What is true of every kind of process.
fn a_chain_of_captures(world: &World, daemon: &Daemon, disk: &str) {
    let host = daemon.host();
    let before = daemon.nodes();
    daemon.io(0, "write -P 1 0 8M");

    let first = world.capture(host.as_ref(), disk, None);
    assert!(reason(first.as_ref()).contains("no earlier capture"));
    assert!(first.is_detached());
    assert_eq!(first.consistency(), Consistency::Crash);
    assert_eq!(first.size_bytes(), 64 * MIB);
    daemon.io(0, "write -P 2 1M 1M");
    daemon.io(0, "write -P 3 32M 64k");
    assert_eq!(byte(first.as_ref(), MIB), 1);
    assert_eq!(byte(first.as_ref(), 32 * MIB), 0);
    let extents = first.extents(0..64 * MIB).unwrap();
    assert_eq!(extents.first().unwrap().range.start, 0);
    assert_eq!(extents.last().unwrap().range.end, 64 * MIB);
    assert!(
        extents
            .windows(2)
            .all(|pair| pair[0].range.end == pair[1].range.start)
    );
    let zero: u64 = extents
        .iter()
        .filter(|extent| extent.zero)
        .map(|extent| extent.range.end - extent.range.start)
        .sum();
    assert!(zero >= 55 * MIB, "only {zero} bytes are known to be zeroes");
    first.verify().unwrap();
    let token = first.settle(Some("first")).unwrap().unwrap();
    assert_eq!(token.snapshot, "first");
    assert_eq!(daemon.nodes(), before);
    assert_eq!(world.records(), 0);

    // Only what was written since the moment, not since the settling.
    let second = world.capture(host.as_ref(), disk, Some(&token));
    let expected: RangeSet = [MIB..2 * MIB, 32 * MIB..32 * MIB + 65_536]
        .into_iter()
        .collect();
    assert_eq!(dirty(second.as_ref()), expected);
    assert_eq!(byte(second.as_ref(), MIB), 2);
    daemon.io(0, "write -P 4 40M 64k");
    // A snapshot that failed: the old generation takes over what the new one recorded.
    assert_eq!(second.settle(None).unwrap().as_ref(), Some(&token));
    assert_eq!(daemon.nodes(), before);

    let third = world.capture(host.as_ref(), disk, Some(&token));
    let expected = expected.union(&std::iter::once(40 * MIB..40 * MIB + 65_536).collect());
    assert_eq!(dirty(third.as_ref()), expected);
    // Dropped without settling, as on the way out of an error.
    drop(third);
    let fourth = world.capture(host.as_ref(), disk, Some(&token));
    assert_eq!(dirty(fourth.as_ref()), expected);
    let token = fourth.settle(Some("fourth")).unwrap().unwrap();
    assert_eq!(daemon.bitmaps("d0").len(), 1);
    let fifth = world.capture(host.as_ref(), disk, Some(&token));
    assert!(dirty(fifth.as_ref()).is_empty());
    drop(fifth);
    assert_eq!(daemon.nodes(), before);
    assert_eq!(world.records(), 0);
    assert!(is_empty(&world.state.join("scratch")));
}

/// A guest agent that does what it is told; the commands it was given.
fn agent(socket: &Path) -> std::sync::mpsc::Receiver<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            for line in BufReader::new(client.try_clone().unwrap()).split(b'\n') {
                let Ok(line) = line else { break };
                let text: Vec<u8> = line.into_iter().filter(|byte| *byte != 0xFF).collect();
                let request: Value = serde_json::from_slice(&text).unwrap();
                let answer = match request["arguments"]["id"].as_u64() {
                    Some(id) => json!(id),
                    None => {
                        let _ = tell.send(request["execute"].as_str().unwrap().to_owned());
                        json!(2)
                    }
                };
                writeln!(&client, "{}", json!({"return": answer})).unwrap();
            }
        }
    });
    heard
}

#[test]
fn a_storage_daemon_is_captured_live_with_what_changed() {
    if !has(&TOOLS) {
        return;
    }
    for disk in ["a.qcow2", "a.raw"] {
        let world = World::new(&[(disk, 64)]);
        let daemon = Daemon::storage(world.folder(), &[disk]);
        a_chain_of_captures(&world, &daemon, disk);
    }
}

#[test]
fn a_machine_is_captured_live_with_what_changed() {
    if !has_machine() {
        return;
    }
    for disk in ["a.qcow2", "a.raw"] {
        let world = World::new(&[(disk, 64)]);
        let daemon = Daemon::machine(world.folder(), &[disk]);
        a_chain_of_captures(&world, &daemon, disk);
        assert_eq!(daemon.qmp("query-status", json!({}))["status"], "running");
    }
}

#[test]
fn disks_are_captured_at_one_moment_and_settled_one_by_one() {
    if !has(&TOOLS) {
        return;
    }
    let world = World::new(&[("a.qcow2", 16), ("b.raw", 8)]);
    let daemon = Daemon::storage(world.folder(), &["a.qcow2", "b.raw"]);
    let host = daemon.host();
    let before = daemon.nodes();
    let requests = [world.request("b.raw", None), world.request("a.qcow2", None)];
    let mut disks = taken(host.as_ref(), &requests, &world.state);
    daemon.io(0, "write -P 7 0 1M");
    daemon.io(1, "write -P 8 0 1M");
    let sizes: Vec<u64> = disks.iter().map(|disk| disk.size_bytes()).collect();
    assert_eq!(sizes, [8 * MIB, 16 * MIB]);
    let a = disks.pop().unwrap();
    let b = disks.pop().unwrap();
    let token = b.settle(Some("s")).unwrap().unwrap();
    // The other one is untouched by that.
    assert_eq!(byte(a.as_ref(), 0), 0);
    assert_eq!(world.records(), 1);
    drop(a);
    assert_eq!(world.records(), 0);
    assert_eq!(daemon.nodes(), before);
    assert!(daemon.bitmaps("d0").is_empty());
    let b = world.capture(host.as_ref(), "b.raw", Some(&token));
    assert_eq!(dirty(b.as_ref()).iter().next(), Some(0..MIB));
}

#[test]
fn with_an_agent_the_guests_file_systems_are_frozen_at_the_moment() {
    if !has_machine() {
        return;
    }
    let world = World::new(&[("a.raw", 16)]);
    let daemon = Daemon::machine(world.folder(), &["a.raw"]);
    let socket = world.folder().join("qga.sock");
    let heard = agent(&socket);
    let mut spec = daemon.spec();
    spec.guest_agent = Some(socket);
    let host = HostSpec::Qmp(spec).control(HostContext::default());
    let capture = world.capture(host.as_ref(), "a.raw", None);
    assert_eq!(capture.consistency(), Consistency::Frozen);
    let heard: Vec<String> = heard.try_iter().collect();
    assert_eq!(heard, ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]);
    assert_eq!(daemon.qmp("query-status", json!({}))["status"], "running");
}

#[test]
fn captures_of_two_disks_of_one_machine_may_overlap() {
    if !has_machine() {
        return;
    }
    let world = World::new(&[("a.raw", 16), ("b.qcow2", 16)]);
    let daemon = Daemon::machine(world.folder(), &["a.raw", "b.qcow2"]);
    let before = daemon.nodes();
    let a = world.capture(daemon.host().as_ref(), "a.raw", None);
    let b = world.capture(daemon.host().as_ref(), "b.qcow2", None);
    daemon.io(0, "write -P 1 0 64k");
    daemon.io(1, "write -P 1 0 64k");
    drop(a);
    // The NBD server stays for the other.
    assert_eq!(byte(b.as_ref(), 0), 0);
    b.settle(Some("s")).unwrap().unwrap();
    assert_eq!(daemon.nodes(), before);
    daemon.qmp(
        "nbd-server-start",
        json!({"addr": {"type": "unix", "data": {"path": "free.sock"}}}),
    );
}

#[test]
fn disks_given_as_drives_and_on_other_buses_are_captured_too() {
    if !has_machine() {
        return;
    }
    let disks = ["a.raw", "b.raw", "c.qcow2"];
    let world = World::new(&disks.map(|disk| (disk, 16)));
    let drive = |disk: &str, rest: &str| {
        let format = disk.rsplit_once('.').unwrap().1;
        format!(
            "file={},format={format},{rest}",
            world.folder().join(disk).display()
        )
    };
    let daemon = Daemon::machine_with(
        world.folder(),
        &[
            "-drive",
            &drive("a.raw", "if=virtio"),
            "-drive",
            &drive("b.raw", "if=ide"),
            "-device",
            "virtio-scsi-pci",
            "-drive",
            &drive("c.qcow2", "if=none,id=c"),
            "-device",
            "scsi-hd,drive=c,id=sc",
        ],
    );
    let before = daemon.nodes();
    let requests = disks.map(|disk| world.request(disk, None));
    let host = daemon.host();
    let captures = taken(host.as_ref(), &requests, &world.state);
    let paths: Vec<String> = daemon
        .qmp("query-block", json!({}))
        .as_array()
        .unwrap()
        .iter()
        .filter(|device| device.get("inserted").is_some())
        .map(|device| device["qdev"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths.len(), 3);
    for device in paths {
        let said = daemon.io_on(&device, "write -P 9 0 64k");
        assert!(said.contains("wrote"), "{device}: {said}");
    }
    for capture in &captures {
        assert_eq!(byte(capture.as_ref(), 0), 0);
    }
    drop(captures);
    assert_eq!(daemon.nodes(), before);
}

#[test]
fn the_bitmaps_of_a_machine_and_of_its_closed_image_are_the_same() {
    if !has(&TOOLS) || !has(&["qemu-nbd"]) {
        return;
    }
    let world = World::new(&[("a.qcow2", 16)]);
    std::fs::create_dir_all(&world.state).unwrap();
    let take = |host: &dyn HostControl, token: Option<&DiskToken>| {
        let disks = [world.request("a.qcow2", token)];
        capture(GroupCapture {
            disks: &disks,
            host,
            allow_inconsistent: false,
            state_dir: &world.state,
        })
        .unwrap()
        .remove(0)
    };
    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let host = daemon.host();
    let live = take(host.as_ref(), None)
        .settle(Some("s1"))
        .unwrap()
        .unwrap();
    daemon.io(0, "write -P 5 1M 64k");
    host.stop().unwrap();

    let offline = take(host.as_ref(), Some(&live));
    assert_eq!(offline.consistency(), Consistency::Offline);
    assert_eq!(dirty(offline.as_ref()), pieces(&[MIB]));
    let token = offline.settle(Some("s2")).unwrap().unwrap();

    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    daemon.io(0, "write -P 5 3M 64k");
    let live = take(host.as_ref(), Some(&token));
    assert_eq!(live.consistency(), Consistency::Crash);
    assert_eq!(dirty(live.as_ref()), pieces(&[3 * MIB]));
    live.settle(Some("s3")).unwrap().unwrap();
    assert_eq!(daemon.bitmaps("d0").len(), 1);
}
