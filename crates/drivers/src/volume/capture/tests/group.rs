use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::volume::Consistency;
use crate::volume::host::{Hook, HookSpec};
use crate::volume::write::testing::{Mounted, program};

/// A host whose hooks note what is asked of them, and that runs.
fn host(folder: &Path) -> Box<dyn HostControl> {
    let script = folder.join("hook");
    fs::write(&script, "#!/bin/sh\necho \"$1\" >> \"${0%/*}/calls\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let hook = |action: &str| {
        Some(Hook {
            argv: vec![script.display().to_string(), action.to_owned()],
            timeout_s: None,
        })
    };
    HostSpec::Hooks(HookSpec {
        freeze: hook("freeze"),
        thaw: hook("thaw"),
        status: hook("status"),
        ..HookSpec::default()
    })
    .control(HostContext {
        instance: "i-abc1234".to_owned(),
        name: "db1".to_owned(),
        disks: Vec::new(),
    })
}

fn calls(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn requests(folders: &[PathBuf]) -> Vec<DiskRequest> {
    folders
        .iter()
        .enumerate()
        .map(|(at, folder)| DiskRequest {
            source: DiskSource {
                volume: format!("vol-abc123{at}"),
                format: VolumeFormat::Raw,
                location: raw_disk(folder).display().to_string(),
            },
            token: None,
        })
        .collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    ["a", "b"]
        .iter()
        .map(|name| {
            let folder = parent.join(name);
            fs::create_dir(&folder).unwrap();
            folder
        })
        .collect()
}

#[test]
fn all_disks_of_a_running_host_are_cloned_within_one_freeze() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let host = host(state.path());
    let disks = requests(&folders(&mounted.path()));
    let captures = capture(GroupCapture {
        disks: &disks,
        host: host.as_ref(),
        allow_inconsistent: false,
        state_dir: state.path(),
    })
    .unwrap();
    assert_eq!(calls(state.path()), ["status", "freeze", "thaw"]);
    assert_eq!(captures.len(), 2);
    for captured in captures {
        assert_eq!(captured.consistency(), Consistency::Frozen);
        assert!(captured.is_detached());
        assert_eq!(data_bytes(captured.as_ref()), 2 << 20);
        assert!(captured.settle(None).unwrap().is_none());
    }
}

#[test]
fn a_disk_of_a_running_host_that_cannot_be_cloned_is_refused_before_anything_is_frozen() {
    let state = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new("tmpfs", 64) else {
        return;
    };
    let host = host(state.path());
    let disks = requests(&folders(&mounted.path()));
    let group = GroupCapture {
        disks: &disks,
        host: host.as_ref(),
        allow_inconsistent: false,
        state_dir: state.path(),
    };
    let text = capture(group).err().unwrap().to_string();
    assert!(
        text.contains("running host db1") && text.contains("cannot clone files"),
        "{text}"
    );
    assert_eq!(calls(state.path()), ["status"]);

    let captures = capture(GroupCapture {
        allow_inconsistent: true,
        ..group
    })
    .unwrap();
    assert!(
        captures
            .iter()
            .all(|captured| captured.consistency() == Consistency::Inconsistent)
    );
    // A freeze would not make it any better.
    assert_eq!(calls(state.path()), ["status", "status"]);
}

#[test]
fn either_all_disks_are_captured_or_none() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let folders = folders(&mounted.path());
    let mut disks = requests(&folders);
    disks[1].source.location = folders[1].join("gone").display().to_string();
    let failed = capture(GroupCapture {
        disks: &disks,
        host: no_host().as_ref(),
        allow_inconsistent: false,
        state_dir: state.path(),
    });
    assert!(failed.err().unwrap().is_missing());
    let clones = fs::read_dir(folders[0].join(".snapkeep")).unwrap().count();
    assert_eq!(
        clones, 0,
        "the clone of the first disk is gone with the second"
    );
}

#[test]
fn a_freeze_of_the_file_system_that_the_disks_are_on_ends_and_fails() {
    let Some(mounted) = Mounted::new("xfs", 512) else {
        return;
    };
    if program("fsfreeze").is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let point = mounted.path().display().to_string();
    let hook = |action: &str| {
        Some(Hook {
            argv: ["/usr/sbin/fsfreeze", action, &point]
                .map(str::to_owned)
                .to_vec(),
            timeout_s: None,
        })
    };
    let host = HostSpec::Hooks(HookSpec {
        freeze: hook("-f"),
        thaw: hook("-u"),
        ..HookSpec::default()
    })
    .control(HostContext::default());
    let folders = folders(&mounted.path());
    let disks = requests(&folders);
    let _writer = Running::that_opens(&folders[0].join("disk.raw"), "<>");
    let failed = capture(GroupCapture {
        disks: &disks,
        host: host.as_ref(),
        allow_inconsistent: false,
        state_dir: state.path(),
    });
    let text = failed.err().unwrap().to_string();
    assert!(text.contains("longer than a freeze may last"), "{text}");
    // Thawed: it can be written to, and nothing is left.
    fs::write(mounted.path().join("again"), "x").unwrap();
    assert_eq!(
        fs::read_dir(folders[0].join(".snapkeep")).unwrap().count(),
        0
    );
}
