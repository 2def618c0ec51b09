//! What live captures do when something is lost, broken or in the way.

use serde_json::{Value, json};
use snapkeep_drivers::volume::host::recover_freezes;
use snapkeep_drivers::volume::{DiskToken, RangeSet};

use crate::daemon::{Daemon, MIB, create, has, run};
use crate::live::{TOOLS, byte, dirty, one, reason, records, request, unavailable};

#[test]
fn a_bitmap_survives_a_clean_end_and_not_a_kill() {
    if !has(&TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.qcow2", 16);
    let state = folder.join("state");
    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.qcow2", None),
        &state,
    );
    let token = capture.settle(Some("s1")).unwrap().unwrap();
    daemon.io(0, "write -P 5 1M 64k");
    daemon.host().stop().unwrap();

    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    daemon.io(0, "write -P 6 3M 64k");
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.qcow2", Some(token)),
        &state,
    );
    let expected: RangeSet = [MIB..MIB + 65_536, 3 * MIB..3 * MIB + 65_536]
        .into_iter()
        .collect();
    assert_eq!(dirty(capture.as_ref()), expected);
    let token = capture.settle(Some("s2")).unwrap().unwrap();
    daemon.host().stop().unwrap();
    // Opened and not closed: what is stored is not the truth any more.
    let mut daemon = Daemon::storage(folder, &["a.qcow2"]);
    daemon.kill();

    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.qcow2", Some(token)),
        &state,
    );
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
        &["check", &folder.join("a.qcow2").display().to_string()],
    );
    assert!(checked.contains("No errors"), "{checked}");
}

#[test]
fn a_raw_disk_whose_process_ended_is_read_whole_and_says_why() {
    if !has(&TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.raw", 16);
    let state = folder.join("state");
    let daemon = Daemon::storage(folder, &["a.raw"]);
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.raw", None),
        &state,
    );
    let token = capture.settle(Some("s1")).unwrap().unwrap();
    daemon.host().stop().unwrap();
    drop(daemon);
    let daemon = Daemon::storage(folder, &["a.raw"]);
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.raw", Some(token)),
        &state,
    );
    assert!(reason(capture.as_ref()).contains("cannot keep bitmaps"));
}

#[test]
fn what_a_crash_of_ours_left_is_taken_down_at_start() {
    if !has(&TOOLS) || !has(&["qemu-system-x86_64"]) {
        return;
    }
    for is_whole in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        create(folder, "a.qcow2", 16);
        let state = folder.join("state");
        let daemon = if is_whole {
            Daemon::machine(folder, &["a.qcow2"])
        } else {
            Daemon::storage(folder, &["a.qcow2"])
        };
        let host = daemon.host();
        let before = daemon.nodes();
        let capture = one(host.as_ref(), request(folder, "a.qcow2", None), &state);
        let token = capture.settle(Some("s1")).unwrap().unwrap();
        daemon.io(0, "write -P 5 1M 64k");
        let capture = one(
            host.as_ref(),
            request(folder, "a.qcow2", Some(token.clone())),
            &state,
        );
        daemon.io(0, "write -P 6 3M 64k");
        // While it lives, recovery leaves it alone.
        assert!(recover_freezes(&state).unwrap().is_empty());
        // A crash: the record stays without its lock, and nobody takes anything down.
        let record = std::fs::read_dir(state.join("hosts"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let copy = folder.join("copy");
        std::fs::create_dir_all(copy.join("hosts")).unwrap();
        std::fs::copy(
            &record,
            copy.join("hosts").join(record.file_name().unwrap()),
        )
        .unwrap();
        std::mem::forget(capture);
        let recovered = recover_freezes(&copy).unwrap();
        assert_eq!(recovered.len(), 1);
        recovered[0].result.as_ref().unwrap();
        assert_eq!(daemon.nodes(), before);
        assert!(
            std::fs::read_dir(state.join("scratch"))
                .unwrap()
                .next()
                .is_none()
        );

        let capture = one(
            host.as_ref(),
            request(folder, "a.qcow2", Some(token)),
            &state,
        );
        let expected: RangeSet = [MIB..MIB + 65_536, 3 * MIB..3 * MIB + 65_536]
            .into_iter()
            .collect();
        assert_eq!(dirty(capture.as_ref()), expected);
    }
}

#[test]
fn a_full_scratch_folder_breaks_the_capture_and_not_the_machine() {
    if !has(&TOOLS) || !has(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.raw", 16);
    let daemon = Daemon::machine(folder, &["a.raw"]);
    daemon.io(0, "write -P 1 0 4M");
    let state = folder.join("state");
    let capture = one(
        daemon.host().as_ref(),
        request(folder, "a.raw", None),
        &state,
    );
    // A scratch file that takes no writes stands for a disk that is full. Only root can make one; for others there is nothing to test.
    let scratch = std::fs::read_dir(state.join("scratch"))
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
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.qcow2", 16);
    create(folder, "other.qcow2", 16);
    let state = folder.join("state");
    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let before = daemon.nodes();
    let host = daemon.host();
    let unknown = [
        request(folder, "a.qcow2", None),
        request(folder, "other.qcow2", None),
    ];
    let text = unavailable(host.as_ref(), &unknown, &state);
    assert!(
        text.contains("no disk on") && text.contains("other.qcow2"),
        "{text}"
    );
    // The moment fails for the second disk: the same one again.
    let twice = [
        request(folder, "a.qcow2", None),
        request(folder, "a.qcow2", None),
    ];
    let text = unavailable(host.as_ref(), &twice, &state);
    assert!(text.contains("transaction"), "{text}");
    assert_eq!(daemon.nodes(), before);
    assert!(daemon.bitmaps("d0").is_empty());
    assert_eq!(records(&state), 0);
    daemon.host().stop().unwrap();
    let text = unavailable(host.as_ref(), &unknown[..1], &state);
    assert!(text.contains("nothing runs"), "{text}");
}

#[test]
fn a_bitmap_is_trusted_only_over_the_images_that_it_started_over() {
    if !has(&TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "base.qcow2", 16);
    let base = folder.join("base.qcow2").display().to_string();
    let top = folder.join("a.qcow2").display().to_string();
    run(
        "qemu-img",
        &[
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &base, &top,
        ],
    );
    let state = folder.join("state");
    let take = |daemon: &Daemon, token: Option<DiskToken>| {
        one(
            daemon.host().as_ref(),
            request(folder, "a.qcow2", token),
            &state,
        )
    };
    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let token = take(&daemon, None).settle(Some("s1")).unwrap().unwrap();
    let token = take(&daemon, Some(token))
        .settle(Some("s2"))
        .unwrap()
        .unwrap();
    daemon.io(0, "write -P 5 1M 64k");
    daemon.host().stop().unwrap();

    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let again = take(&daemon, Some(token.clone()));
    assert_eq!(
        dirty(again.as_ref()),
        std::iter::once(MIB..MIB + 65_536).collect()
    );
    drop(again);
    daemon.host().stop().unwrap();
    run(
        "qemu-io",
        &["-f", "qcow2", "-c", "write -P 6 8M 64k", &base],
    );
    let daemon = Daemon::storage(folder, &["a.qcow2"]);
    let doubtful = take(&daemon, Some(token));
    assert!(reason(doubtful.as_ref()).contains("under it changed"));
    assert_eq!(byte(doubtful.as_ref(), 8 * MIB), 6);
}

#[test]
fn a_crash_at_any_step_of_a_capture_is_undone_without_harm_to_the_machine() {
    if !has(&TOOLS) || !has(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.qcow2", 16);
    let state = folder.join("state");
    let mut daemon = Daemon::machine(folder, &["a.qcow2"]);
    let host = daemon.host();
    let before = daemon.nodes();
    // The record of a whole capture, which every part of one may have left.
    let whole = one(host.as_ref(), request(folder, "a.qcow2", None), &state);
    let record = std::fs::read_dir(state.join("hosts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&record).unwrap();
    drop(whole);
    let plan: Value = serde_json::from_str(&text).unwrap();
    let disk = &plan["left"]["disks"][0];
    let name = disk["name"].as_str().unwrap();
    let scratch = folder.join("scratch.img");
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
        let recovered = recover_freezes(&state).unwrap();
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
