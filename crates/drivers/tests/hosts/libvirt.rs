//! Live captures of libvirt's domains, against a real libvirtd where one answers.

use std::path::Path;
use std::process::{Command, Stdio};

use snapkeep_drivers::volume::host::{
    HostCapture, HostContext, HostControl, HostSpec, HostState, LibvirtSpec, recover_freezes,
};
use snapkeep_drivers::volume::{Consistency, DiskCapture, DiskRequest, DiskToken};

use crate::daemon::{MIB, create, has, run, source};
use crate::live::{dirty, is_empty, pieces, state_after_crash, taken};

const URI: &str = "qemu:///system";

fn virsh(arguments: &[&str]) -> String {
    let words = [&["--quiet", "--connect", URI], arguments].concat();
    run("virsh", &words)
}

/// A running domain without a guest, gone with its value.
struct Domain {
    name: String,
}

impl Domain {
    fn new(folder: &Path, disks: &[&str]) -> Self {
        let name = format!(
            "snapkeep-test-{}-{}",
            std::process::id(),
            folder
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace('.', "")
        );
        let mut xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
        );
        for (position, disk) in disks.iter().enumerate() {
            let (_, format) = disk.rsplit_once('.').unwrap();
            let letter = char::from(b'a' + u8::try_from(position).unwrap());
            xml += &format!(
                "<disk type='file' device='disk'><driver name='qemu' type='{format}'/>\
                 <source file='{}'/><target dev='vd{letter}' bus='virtio'/></disk>",
                folder.join(disk).display()
            );
        }
        let path = folder.join("domain.xml");
        std::fs::write(&path, xml + "</devices></domain>").unwrap();
        virsh(&["define", &path.display().to_string()]);
        virsh(&["start", &name]);
        Self { name }
    }

    fn host(&self) -> Box<dyn HostControl> {
        HostSpec::Libvirt(LibvirtSpec {
            domain: self.name.clone(),
            uri: Some(URI.into()),
            stop_timeout_s: Some(1),
            scratch: None,
        })
        .control(HostContext {
            instance: "i-abc1234".into(),
            ..HostContext::default()
        })
    }

    fn io(&self, disk: usize, line: &str) {
        let command =
            format!("qemu-io -d /machine/peripheral/virtio-disk{disk}/virtio-backend \"{line}\"");
        virsh(&["qemu-monitor-command", &self.name, "--hmp", &command]);
    }

    fn checkpoints(&self) -> Vec<String> {
        virsh(&["checkpoint-list", &self.name, "--name"])
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn has_job(&self) -> bool {
        Command::new("virsh")
            .args(["--quiet", "--connect", URI, "backup-dumpxml", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        for command in [&["destroy"][..], &["undefine", "--checkpoints-metadata"]] {
            let _ = Command::new("virsh")
                .args(["--quiet", "--connect", URI, command[0], &self.name])
                .args(&command[1..])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Whether a libvirtd answers that runs QEMU.
fn has_libvirt() -> bool {
    if !has(&["virsh", "qemu-img", "qemu-system-x86_64"]) {
        return false;
    }
    let answers = Command::new("virsh")
        .args(["--quiet", "--connect", URI, "version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !answers {
        eprintln!(
            "not tested: no libvirtd answers at {URI} (packages libvirt-daemon, libvirt-daemon-driver-qemu; it has to be started)"
        );
    }
    answers
}

/// A folder for disks of a domain, where libvirt runs one.
fn folder() -> Option<tempfile::TempDir> {
    // Where the domain's user can enter, whatever it is.
    let mut place = tempfile::Builder::new();
    place.prefix("sk");
    has_libvirt().then(|| place.tempdir_in("/var/tmp").unwrap())
}

fn capture(
    host: &dyn HostControl,
    folder: &Path,
    disks: &[(&str, Option<&DiskToken>)],
) -> Vec<Box<dyn DiskCapture>> {
    let requests: Vec<DiskRequest> = disks
        .iter()
        .map(|(disk, token)| DiskRequest {
            source: source(folder, disk),
            token: token.cloned(),
        })
        .collect();
    taken(host, &requests, &folder.join("state"))
}

fn first_byte(disk: &dyn DiskCapture) -> u8 {
    let mut buffer = [0xEE; 4096];
    disk.read_at(0, &mut buffer).unwrap();
    buffer[0]
}

#[test]
fn a_domain_is_captured_live_with_what_changed() {
    let Some(folder) = folder() else {
        return;
    };
    let folder = folder.path();
    create(folder, "a.qcow2", 16);
    create(folder, "b.raw", 8);
    let domain = Domain::new(folder, &["a.qcow2", "b.raw"]);
    let host = domain.host();
    assert_eq!(host.state().unwrap(), HostState::Running);
    domain.io(0, "write -P 1 0 64k");
    domain.io(1, "write -P 1 0 64k");

    let mut disks = capture(host.as_ref(), folder, &[("b.raw", None), ("a.qcow2", None)]);
    domain.io(0, "write -P 2 0 64k");
    domain.io(1, "write -P 2 0 64k");
    let a = disks.pop().unwrap();
    let b = disks.pop().unwrap();
    assert_eq!((b.size_bytes(), a.size_bytes()), (8 * MIB, 16 * MIB));
    assert_eq!((first_byte(b.as_ref()), first_byte(a.as_ref())), (1, 1));
    assert_eq!(a.consistency(), Consistency::Crash);
    assert!(
        b.changes()
            .reason
            .as_ref()
            .unwrap()
            .contains("qcow2 images only")
    );
    assert!(b.settle(Some("s1")).unwrap().is_none());
    assert!(domain.has_job());
    let token = a.settle(Some("s1")).unwrap().unwrap();
    assert!(!domain.has_job());
    assert_eq!(domain.checkpoints().len(), 1);

    // A failure, whose new generation is given back to the old one.
    let a = capture(host.as_ref(), folder, &[("a.qcow2", Some(&token))]).remove(0);
    assert_eq!(dirty(a.as_ref()), pieces(&[0]));
    domain.io(0, "write -P 3 1M 64k");
    assert_eq!(a.settle(None).unwrap().as_ref(), Some(&token));
    assert_eq!(domain.checkpoints().len(), 1);
    let a = capture(host.as_ref(), folder, &[("a.qcow2", Some(&token))]).remove(0);
    assert_eq!(dirty(a.as_ref()), pieces(&[0, MIB]));
    let newer = a.settle(Some("s2")).unwrap().unwrap();
    let checkpoints = domain.checkpoints();
    assert_eq!(
        checkpoints,
        [newer.identity["checkpoint"].as_str().unwrap()]
    );

    // The checkpoint of the older token is gone.
    let a = capture(host.as_ref(), folder, &[("a.qcow2", Some(&token))]).remove(0);
    assert!(
        a.changes()
            .reason
            .as_ref()
            .unwrap()
            .contains("no checkpoint")
    );
    drop(a);
    assert!(!domain.has_job());
    assert!(is_empty(&folder.join("state/scratch")));
    assert!(is_empty(&folder.join("state/hosts")));
    host.stop().unwrap();
    assert_eq!(host.state().unwrap(), HostState::Stopped);
    host.start().unwrap();
    assert_eq!(host.state().unwrap(), HostState::Running);
}

#[test]
fn a_backup_job_that_a_crash_left_is_ended_at_start() {
    let Some(folder) = folder() else {
        return;
    };
    let folder = folder.path();
    create(folder, "a.qcow2", 16);
    let domain = Domain::new(folder, &["a.qcow2"]);
    let host = domain.host();
    let token = capture(host.as_ref(), folder, &[("a.qcow2", None)])
        .remove(0)
        .settle(Some("s1"))
        .unwrap()
        .unwrap();
    let cut_off = capture(host.as_ref(), folder, &[("a.qcow2", Some(&token))]);
    domain.io(0, "write -P 3 1M 64k");
    // One job at a time: another capture has to be taken from outside meanwhile.
    let request = DiskRequest {
        source: source(folder, "a.qcow2"),
        token: None,
    };
    let second = host
        .capture_disks(&[request], &folder.join("state"))
        .unwrap();
    assert!(matches!(second, HostCapture::Unavailable { .. }));
    assert!(domain.has_job(), "the job of the other capture was ended");

    let copy = state_after_crash(&folder.join("state"), folder);
    std::mem::forget(cut_off);
    let recovered = recover_freezes(&copy).unwrap();
    recovered[0].result.as_ref().unwrap();
    assert!(!domain.has_job());

    let a = capture(host.as_ref(), folder, &[("a.qcow2", Some(&token))]).remove(0);
    assert_eq!(dirty(a.as_ref()), pieces(&[MIB]));
    a.settle(Some("s2")).unwrap().unwrap();
    assert_eq!(domain.checkpoints().len(), 1);
}
