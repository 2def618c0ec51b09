//! What live captures do when something is lost, broken or in the way.

use serde_json::{Value, json};
use snapkeep_drivers::volume::host::{HostCapture, HostControl, recover_freezes};
use snapkeep_drivers::volume::{DiskRequest, DiskToken};

use crate::daemon::{Daemon, MIB, has, run};
use crate::live::{
    TOOLS, World, byte, dirty, has_machine, is_empty, pieces, reason, record, state_after_crash,
};

fn unavailable(world: &World, host: &dyn HostControl, requests: &[DiskRequest]) -> String {
    match host.capture_disks(requests, &world.state).unwrap() {
        HostCapture::Taken(_) => panic!("captured"),
        HostCapture::Unavailable { reason } => reason,
    }
}

#[test]
fn a_bitmap_survives_a_clean_end_and_not_a_kill() {
    if !has(&TOOLS) {
        return;
    }
    let world = World::new(&[("a.qcow2", 16)]);
    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let capture = world.capture(daemon.host().as_ref(), "a.qcow2", None);
    let token = capture.settle(Some("s1")).unwrap().unwrap();
    daemon.io(0, "write -P 5 1M 64k");
    daemon.host().stop().unwrap();

    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    daemon.io(0, "write -P 6 3M 64k");
    let capture = world.capture(daemon.host().as_ref(), "a.qcow2", Some(&token));
    assert_eq!(dirty(capture.as_ref()), pieces(&[MIB, 3 * MIB]));
    let token = capture.settle(Some("s2")).unwrap().unwrap();
    daemon.host().stop().unwrap();
    // Opened and not closed: what is stored is not the truth any more.
    let mut daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    daemon.kill();

    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let capture = world.capture(daemon.host().as_ref(), "a.qcow2", Some(&token));
    assert!(
        reason(capture.as_ref()).contains("inconsistent"),
        "{}",
        reason(capture.as_ref())
    );
    // With the next success the broken one goes.
    capture.settle(Some("s3")).unwrap().unwrap();
    assert_eq!(daemon.bitmaps("d0").len(), 1);
    daemon.host().stop().unwrap();
    let checked = run(
        "qemu-img",
        &[
            "check",
            &world.folder().join("a.qcow2").display().to_string(),
        ],
    );
    assert!(checked.contains("No errors"), "{checked}");
}

#[test]
fn a_raw_disk_whose_process_ended_is_read_whole_and_says_why() {
    if !has(&TOOLS) {
        return;
    }
    let world = World::new(&[("a.raw", 16)]);
    let daemon = Daemon::storage(world.folder(), &["a.raw"]);
    let capture = world.capture(daemon.host().as_ref(), "a.raw", None);
    let token = capture.settle(Some("s1")).unwrap().unwrap();
    daemon.host().stop().unwrap();
    drop(daemon);
    let daemon = Daemon::storage(world.folder(), &["a.raw"]);
    let capture = world.capture(daemon.host().as_ref(), "a.raw", Some(&token));
    assert!(reason(capture.as_ref()).contains("cannot keep bitmaps"));
}

#[test]
fn what_a_crash_of_ours_left_is_taken_down_at_start() {
    if !has_machine() {
        return;
    }
    for is_whole in [false, true] {
        let world = World::new(&[("a.qcow2", 16)]);
        let daemon = if is_whole {
            Daemon::machine(world.folder(), &["a.qcow2"])
        } else {
            Daemon::storage(world.folder(), &["a.qcow2"])
        };
        let host = daemon.host();
        let before = daemon.nodes();
        let capture = world.capture(host.as_ref(), "a.qcow2", None);
        let token = capture.settle(Some("s1")).unwrap().unwrap();
        daemon.io(0, "write -P 5 1M 64k");
        let capture = world.capture(host.as_ref(), "a.qcow2", Some(&token));
        daemon.io(0, "write -P 6 3M 64k");
        // While it lives, recovery leaves it alone.
        assert!(recover_freezes(&world.state).unwrap().is_empty());
        // A crash: the record stays without its lock, and nobody takes anything down.
        let copy = state_after_crash(&world.state, world.folder());
        std::mem::forget(capture);
        let recovered = recover_freezes(&copy).unwrap();
        assert_eq!(recovered.len(), 1);
        recovered[0].result.as_ref().unwrap();
        assert_eq!(daemon.nodes(), before);
        assert!(is_empty(&world.state.join("scratch")));

        let capture = world.capture(host.as_ref(), "a.qcow2", Some(&token));
        assert_eq!(dirty(capture.as_ref()), pieces(&[MIB, 3 * MIB]));
    }
}

#[test]
fn a_full_scratch_folder_breaks_the_capture_and_not_the_machine() {
    if !has_machine() {
        return;
    }
    let world = World::new(&[("a.raw", 16)]);
    let daemon = Daemon::machine(world.folder(), &["a.raw"]);
    daemon.io(0, "write -P 1 0 4M");
    let capture = world.capture(daemon.host().as_ref(), "a.raw", None);
    // A scratch file that takes no writes stands for a disk that is full. Only root can make one; for others there is nothing to test.
    let scratch = std::fs::read_dir(world.state.join("scratch"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "scratch")
        })
        .unwrap();
    run("chattr", &["+i", &scratch.display().to_string()]);
    let said = daemon.io(0, "write -P 2 0 64k");
    run("chattr", &["-i", &scratch.display().to_string()]);
    assert!(said.contains("wrote 65536/65536"), "{said}");
    let mut buffer = [0; 4096];
    let outcome = capture.read_at(0, &mut buffer);
    assert!(outcome.is_err() || buffer == [1; 4096], "a torn read");
    drop(capture);
    assert!(daemon.io(0, "read -P 2 0 64k").contains("read 65536/65536"));
}

#[test]
fn what_cannot_be_captured_says_why_and_leaves_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let world = World::new(&[("a.qcow2", 16), ("other.qcow2", 16)]);
    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let before = daemon.nodes();
    let host = daemon.host();
    let unknown = [
        world.request("a.qcow2", None),
        world.request("other.qcow2", None),
    ];
    let text = unavailable(&world, host.as_ref(), &unknown);
    assert!(
        text.contains("no disk on") && text.contains("other.qcow2"),
        "{text}"
    );
    // The moment fails for the second disk: the same one again.
    let twice = [
        world.request("a.qcow2", None),
        world.request("a.qcow2", None),
    ];
    let text = unavailable(&world, host.as_ref(), &twice);
    assert!(text.contains("transaction"), "{text}");
    assert_eq!(daemon.nodes(), before);
    assert!(daemon.bitmaps("d0").is_empty());
    assert_eq!(world.records(), 0);
    daemon.host().stop().unwrap();
    let text = unavailable(&world, host.as_ref(), &unknown[..1]);
    assert!(text.contains("nothing runs"), "{text}");
}

#[test]
fn a_bitmap_is_trusted_only_over_the_images_that_it_started_over() {
    if !has(&TOOLS) {
        return;
    }
    let world = World::new(&[("base.qcow2", 16)]);
    let base = world.folder().join("base.qcow2").display().to_string();
    let top = world.folder().join("a.qcow2").display().to_string();
    run(
        "qemu-img",
        &[
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &base, &top,
        ],
    );
    let take = |daemon: &Daemon, token: Option<&DiskToken>| {
        world.capture(daemon.host().as_ref(), "a.qcow2", token)
    };
    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let token = take(&daemon, None).settle(Some("s1")).unwrap().unwrap();
    let token = take(&daemon, Some(&token))
        .settle(Some("s2"))
        .unwrap()
        .unwrap();
    daemon.io(0, "write -P 5 1M 64k");
    daemon.host().stop().unwrap();

    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let again = take(&daemon, Some(&token));
    assert_eq!(dirty(again.as_ref()), pieces(&[MIB]));
    drop(again);
    daemon.host().stop().unwrap();
    run(
        "qemu-io",
        &["-f", "qcow2", "-c", "write -P 6 8M 64k", &base],
    );
    let daemon = Daemon::storage(world.folder(), &["a.qcow2"]);
    let doubtful = take(&daemon, Some(&token));
    assert!(reason(doubtful.as_ref()).contains("under it changed"));
    assert_eq!(byte(doubtful.as_ref(), 8 * MIB), 6);
}

#[test]
fn a_crash_at_any_step_of_a_capture_is_undone_without_harm_to_the_machine() {
    if !has_machine() {
        return;
    }
    let world = World::new(&[("a.qcow2", 16)]);
    let mut daemon = Daemon::machine(world.folder(), &["a.qcow2"]);
    let host = daemon.host();
    let before = daemon.nodes();
    // The record of a whole capture, which every part of one may have left.
    let whole = world.capture(host.as_ref(), "a.qcow2", None);
    let record = record(&world.state);
    let text = std::fs::read_to_string(&record).unwrap();
    drop(whole);
    let plan: Value = serde_json::from_str(&text).unwrap();
    let disk = &plan["left"]["disks"][0];
    let name = disk["name"].as_str().unwrap();
    let scratch = world.folder().join("scratch.img");
    let steps = [
        (
            "blockdev-add",
            json!({"driver": "file", "node-name": format!("{name}-old"), "filename": scratch, "read-only": false}),
        ),
        (
            "nbd-server-start",
            json!({"addr": {"type": "unix", "data": {"path": plan["left"]["nbd_socket"]}}}),
        ),
        ("stop", json!({})),
        (
            "blockdev-add",
            json!({"driver": "copy-before-write", "node-name": format!("{name}-cbw"), "file": "d0", "target": format!("{name}-old")}),
        ),
        (
            "qom-set",
            json!({"path": disk["device"], "property": "drive", "value": format!("{name}-cbw")}),
        ),
        (
            "block-dirty-bitmap-add",
            json!({"node": "d0", "name": disk["new"], "persistent": true}),
        ),
        (
            "blockdev-add",
            json!({"driver": "snapshot-access", "node-name": format!("{name}-view"), "file": format!("{name}-cbw")}),
        ),
        (
            "block-export-add",
            json!({"type": "nbd", "id": name, "node-name": format!("{name}-view")}),
        ),
    ];
    for done in 0..=steps.len() {
        std::fs::File::create(&scratch)
            .unwrap()
            .set_len(16 * MIB)
            .unwrap();
        for (command, arguments) in &steps[..done] {
            daemon.qmp(command, arguments.clone());
        }
        std::fs::write(&record, &text).unwrap();
        let recovered = recover_freezes(&world.state).unwrap();
        recovered[0].result.as_ref().unwrap();
        assert!(daemon.is_alive(), "after {done} steps");
        assert_eq!(daemon.nodes(), before, "after {done} steps");
        assert_eq!(daemon.qmp("query-status", json!({}))["status"], "running");
        for bitmap in daemon.bitmaps("d0") {
            daemon.qmp(
                "block-dirty-bitmap-remove",
                json!({"node": "d0", "name": bitmap["name"]}),
            );
        }
    }
}
