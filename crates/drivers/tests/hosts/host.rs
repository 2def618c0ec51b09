//! Stopping, starting and freezing what QMP reaches.

use serde_json::json;
use snapkeep_drivers::volume::host::{FreezeGuard, Hook, HostContext, HostSpec, HostState};

use crate::daemon::{Daemon, create, has};

#[test]
fn a_storage_daemon_is_stopped_and_found_stopped() {
    if !has(&["qemu-storage-daemon", "qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "a.qcow2", 4);
    let mut daemon = Daemon::storage(folder.path(), &["a.qcow2"]);
    let host = daemon.host();
    assert_eq!(host.state().unwrap(), HostState::Running);
    assert!(!host.can_stop());
    host.stop().unwrap();
    assert!(!daemon.is_alive());
    assert_eq!(host.state().unwrap(), HostState::Stopped);
    host.stop().unwrap();
    let text = host.start().unwrap_err().to_string();
    assert!(text.contains("`start` hook"), "{text}");
}

#[test]
fn a_machine_that_does_not_power_down_is_told_to_quit_and_started_by_its_hook() {
    if !has(&["qemu-system-x86_64", "qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "a.qcow2", 4);
    let mut daemon = Daemon::machine(folder, &["a.qcow2"]);
    let mut spec = daemon.spec();
    spec.stop_timeout_s = Some(1);
    let socket = spec.socket.display().to_string();
    let start = format!(
        "exec qemu-system-x86_64 -machine q35,accel=tcg -m 32 -display none -nodefaults -daemonize -qmp unix:{socket},server=on,wait=off"
    );
    spec.start = Some(Hook {
        argv: ["/bin/sh", "-c", &start].map(str::to_owned).to_vec(),
        timeout_s: None,
    });
    let host = HostSpec::Qmp(spec).control(HostContext::default());
    assert!(host.can_stop());
    host.stop().unwrap();
    assert!(!daemon.is_alive());
    host.start().unwrap();
    assert_eq!(host.state().unwrap(), HostState::Running);
    host.start().unwrap();
    host.stop().unwrap();
    assert_eq!(host.state().unwrap(), HostState::Stopped);
}

#[test]
fn a_machine_without_agent_is_paused_for_a_freeze_but_not_let_on_when_others_paused_it() {
    if !has(&["qemu-system-x86_64", "qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "a.qcow2", 4);
    let daemon = Daemon::machine(folder.path(), &["a.qcow2"]);
    let state = folder.path().join("state");
    let status = || daemon.qmp("query-status", json!({}))["status"].clone();
    let host = daemon.host();
    let guard = FreezeGuard::freeze(host.as_ref(), &state).unwrap();
    assert_eq!(status(), "paused");
    guard.thaw().unwrap();
    assert_eq!(status(), "running");

    daemon.qmp("stop", json!({}));
    let guard = FreezeGuard::freeze(host.as_ref(), &state).unwrap();
    guard.thaw().unwrap();
    assert_eq!(status(), "paused");
}
