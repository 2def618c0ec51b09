//! Against a stand-in for `virsh` that keeps a domain's state in a file, and against libvirt's own test driver.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::domain::Domain as Virsh;
use super::host::LibvirtHost;
use crate::volume::host::process::run_program;
use crate::volume::host::{HostContext, HostControl, HostState, LibvirtSpec};

/// Keeps the state in `domain`, notes its calls in `calls`; the guest ignores the power button while there is a file `deaf`, and has an
/// agent while there is a file `agent`.
const STAND_IN: &str = r#"#!/bin/sh
here=$(dirname "$0")
shift 3
command=$1
echo "$*" >> "$here/calls"
state=$(cat "$here/domain")
case $command in
  domstate)
    test "$state" != undefined || { echo "error: failed to get domain 'mail1'" >&2; exit 1; }
    echo "$state"; echo ;;
  shutdown) test -e "$here/deaf" || echo "shut off" > "$here/domain" ;;
  destroy) echo "shut off" > "$here/domain" ;;
  start) echo running > "$here/domain" ;;
  suspend) echo paused > "$here/domain" ;;
  resume) echo running > "$here/domain" ;;
  domfsfreeze|domfsthaw)
    test -e "$here/agent" || { echo "error: Requested operation is not valid: QEMU guest agent is not connected" >&2; exit 1; } ;;
  *) echo "error: unknown command" >&2; exit 1 ;;
esac
"#;

struct Domain {
    folder: tempfile::TempDir,
    host: LibvirtHost,
}

impl Domain {
    fn new(state: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("virsh");
        fs::write(&program, STAND_IN).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("domain"), state).unwrap();
        let host = Self::control(&program.display().to_string());
        Self { folder, host }
    }

    fn control(program: &str) -> LibvirtHost {
        let spec = LibvirtSpec {
            domain: "mail1".into(),
            uri: Some("test:///default".into()),
            stop_timeout_s: Some(1),
            scratch: None,
        };
        let context = HostContext {
            instance: "i-abc1234".into(),
            ..HostContext::default()
        };
        let domain = Virsh::new(&spec, &context.instance).by(program);
        LibvirtHost::new(spec, context).over(domain)
    }

    fn with(self, mark: &str) -> Self {
        fs::write(self.path(mark), "").unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> String {
        fs::read_to_string(self.path("domain"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The calls that change something.
    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("calls"))
            .unwrap()
            .lines()
            .filter(|call| !call.starts_with("domstate"))
            .map(|call| call.replace(" --domain mail1", ""))
            .collect()
    }
}

#[test]
fn a_guest_is_asked_to_shut_down_and_destroyed_only_when_it_does_not() {
    let domain = Domain::new("running");
    assert_eq!(domain.host.state().unwrap(), HostState::Running);
    domain.host.stop().unwrap();
    assert_eq!(domain.host.state().unwrap(), HostState::Stopped);
    domain.host.stop().unwrap();
    domain.host.start().unwrap();
    domain.host.start().unwrap();
    assert_eq!(domain.calls(), ["shutdown --mode acpi", "start"]);

    let deaf = Domain::new("running").with("deaf");
    deaf.host.stop().unwrap();
    assert_eq!(deaf.calls(), ["shutdown --mode acpi", "destroy --graceful"]);
    let paused = Domain::new("paused");
    paused.host.stop().unwrap();
    assert_eq!(paused.calls(), ["destroy --graceful"]);
}

#[test]
fn the_agent_freezes_where_it_answers_and_else_the_domain_is_paused() {
    let domain = Domain::new("running").with("agent");
    domain.host.freeze().unwrap();
    domain.host.thaw().unwrap();
    assert_eq!(domain.calls(), ["domfsfreeze", "domfsthaw"]);

    let domain = Domain::new("running");
    domain.host.freeze().unwrap();
    assert_eq!(domain.state(), "paused");
    domain.host.thaw().unwrap();
    assert_eq!(domain.state(), "running");
}

#[test]
fn what_was_paused_or_off_before_stays_so() {
    for state in ["paused", "shut off"] {
        let domain = Domain::new(state);
        domain.host.freeze().unwrap();
        domain.host.thaw().unwrap();
        assert_eq!(domain.state(), state);
    }
}

#[test]
fn after_a_crash_a_domain_is_thawed_by_all_means() {
    // Frozen by an agent, or paused, by a process that is no more; or not frozen yet.
    let domain = Domain::new("running").with("agent");
    domain.host.thaw().unwrap();
    assert_eq!(domain.calls(), ["domfsthaw"]);
    let domain = Domain::new("paused");
    domain.host.thaw().unwrap();
    assert_eq!(domain.state(), "running");
    let domain = Domain::new("running");
    domain.host.thaw().unwrap();
    // What is not there any more is not frozen.
    Domain::new("undefined").host.thaw().unwrap();
}

#[test]
fn a_virsh_that_is_missing_or_fails_is_told() {
    let text = Domain::control("/nowhere/virsh")
        .state()
        .unwrap_err()
        .to_string();
    assert!(text.contains("libvirt-clients"), "{text}");
    let text = Domain::control("/bin/false")
        .state()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("domain mail1") && text.contains("domstate"),
        "{text}"
    );
}

#[test]
fn the_real_virsh_is_spoken_to_as_it_wants() {
    let argv = ["virsh", "--version"].map(str::to_owned);
    if run_program(&argv, &[], Duration::from_secs(60)).is_err() {
        eprintln!("not tested: virsh is not installed (package libvirt-clients)");
        return;
    }
    // libvirt's test driver lives as long as one connection: a domain named `test` that runs.
    let spec = |domain: &str| LibvirtSpec {
        domain: domain.into(),
        uri: Some("test:///default".into()),
        ..LibvirtSpec::default()
    };
    let host = LibvirtHost::new(spec("test"), HostContext::default());
    assert_eq!(host.state().unwrap(), HostState::Running);
    let domain = Virsh::new(&spec("test"), "i-abc1234");
    for (command, options) in [
        ("shutdown", &["--mode", "acpi"][..]),
        ("destroy", &["--graceful"]),
        ("suspend", &[]),
    ] {
        let outcome = domain.call("stop", command, options).unwrap();
        let complaint = outcome.complaint();
        assert!(
            outcome.status.success()
                || complaint.contains("not supported")
                || complaint.contains("unsupported flags"),
            "virsh {command}: {complaint}"
        );
    }
    let nobody = LibvirtHost::new(spec("nobody"), HostContext::default());
    let text = nobody.state().unwrap_err().to_string();
    assert!(text.contains("failed to get domain"), "{text}");
}
