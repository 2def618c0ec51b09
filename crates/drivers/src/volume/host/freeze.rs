//! Freezing that is sure to end.

use std::path::Path;
use std::thread;
use std::time::Duration;

use tracing::{error, info, warn};

use super::HostControl;
use super::record::{LeftOver, OpenRecord, RecordKind, left_over};
use crate::volume::VolumeError;

/// Waits before the second and later attempts to thaw.
const THAW_PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// A frozen host. It is thawed by [`thaw`](Self::thaw), or when this is dropped: by an error's way out, or a panic's. What a crash
/// leaves frozen is thawed by [`recover_freezes`].
#[derive(Debug)]
pub struct FreezeGuard<'a> {
    host: &'a dyn HostControl,
    /// None once thawed.
    record: Option<OpenRecord>,
}

impl<'a> FreezeGuard<'a> {
    /// Freezes `host`; a record of it is on disk before that. When freezing fails, what it did halfway is thawed again.
    pub fn freeze(host: &'a dyn HostControl, state_dir: &Path) -> Result<Self, VolumeError> {
        Self::freeze_by(host, state_dir, || host.freeze())
    }

    /// The same, by an action that [`HostControl::thaw`] undoes.
    pub(super) fn freeze_by(
        host: &'a dyn HostControl,
        state_dir: &Path,
        freeze: impl FnOnce() -> Result<(), VolumeError>,
    ) -> Result<Self, VolumeError> {
        let record =
            OpenRecord::create(state_dir, RecordKind::Freeze, host, serde_json::Value::Null)?;
        let mut guard = Self {
            host,
            record: Some(record),
        };
        if let Err(cause) = freeze() {
            // The error of the freeze is the one to tell; that of the thaw is logged and its record stays.
            let _ = guard.end();
            return Err(cause);
        }
        Ok(guard)
    }

    /// Thaws, with a few more attempts when it fails. After the last one the record stays, so that [`recover_freezes`] tries again.
    pub fn thaw(mut self) -> Result<(), VolumeError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), VolumeError> {
        let Some(record) = self.record.take() else {
            return Ok(());
        };
        if let Err(cause) = thaw_patiently(self.host) {
            error!(
                instance = %self.host.context().instance,
                record = %record.path().display(),
                error = %cause,
                "the host stays frozen: thaw it by hand; it is tried again at the next start"
            );
            return Err(cause);
        }
        record.remove()
    }
}

impl Drop for FreezeGuard<'_> {
    fn drop(&mut self) {
        // Errors are logged inside; there is nobody to hand them to.
        let _ = self.end();
    }
}

fn thaw_patiently(host: &dyn HostControl) -> Result<(), VolumeError> {
    for pause in THAW_PAUSES {
        match host.thaw() {
            Ok(()) => return Ok(()),
            Err(cause) => {
                warn!(instance = %host.context().instance, error = %cause, "thawing failed, trying again");
                thread::sleep(pause);
            }
        }
    }
    host.thaw()
}

/// A host that a crash left frozen, or with a live capture under way.
#[derive(Debug)]
pub struct RecoveredFreeze {
    /// The instance.
    pub instance: String,
    /// Whether it is as it should be now. After a failure the record stays, and the next call tries again.
    pub result: Result<(), VolumeError>,
}

/// Thaws hosts and ends live captures of which records are left below `state_dir`: by a crash, or because thawing failed then. To be
/// called at start before anything is captured, and again as long as something failed. What lives in this or another process is left alone.
pub fn recover_freezes(state_dir: &Path) -> Result<Vec<RecoveredFreeze>, VolumeError> {
    left_over(state_dir)?.into_iter().map(recover).collect()
}

fn recover(left: LeftOver) -> Result<RecoveredFreeze, VolumeError> {
    let Ok(record) = &left.record else {
        // Not by a crash, which leaves no half of one: somebody wrote to it, or the disk failed.
        let result = Err(left.set_aside());
        return Ok(RecoveredFreeze {
            instance: String::new(),
            result,
        });
    };
    let instance = record.instance.clone();
    let host = record.control();
    let outcome = match record.kind {
        RecordKind::Freeze => thaw_patiently(host.as_ref()),
        RecordKind::Capture => host.end_capture(&record.left),
    };
    let result = match outcome {
        Ok(()) => {
            info!(%instance, kind = ?record.kind, "a host that a crash left in the middle of a capture is as it was");
            left.remove()
        }
        Err(cause) => {
            error!(%instance, kind = ?record.kind, error = %cause, "a host is still as a crash left it in the middle of a capture");
            Err(cause)
        }
    };
    Ok(RecoveredFreeze { instance, result })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::volume::host::{Hook, HookSpec, HostContext, HostSpec};

    /// A host whose hooks note what is called, in a file; `thaw` fails while a file `stuck` is there.
    struct Scripted {
        folder: tempfile::TempDir,
    }

    impl Scripted {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let script = folder.path().join("hook");
            fs::write(
                &script,
                "#!/bin/sh\necho \"$1\" >> \"$2/calls\"\ncase $1 in\nthaw) test ! -e \"$2/stuck\" ;;\nfreeze) test ! -e \"$2/unwilling\" ;;\nesac\n",
            )
            .unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            Self { folder }
        }

        fn control(&self) -> Box<dyn HostControl> {
            let hook = |action: &str| {
                Some(Hook {
                    argv: vec![
                        self.path("hook").display().to_string(),
                        action.into(),
                        self.folder.path().display().to_string(),
                    ],
                    timeout_s: Some(20),
                })
            };
            HostSpec::Hooks(HookSpec {
                freeze: hook("freeze"),
                thaw: hook("thaw"),
                ..HookSpec::default()
            })
            .control(HostContext {
                instance: "i-abc1234".into(),
                ..HostContext::default()
            })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn state(&self) -> PathBuf {
            self.path("state")
        }

        fn calls(&self) -> Vec<String> {
            fs::read_to_string(self.path("calls"))
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect()
        }

        fn records(&self) -> usize {
            fs::read_dir(self.state().join("hosts")).map_or(0, Iterator::count)
        }
    }

    #[test]
    fn a_thawed_host_leaves_no_record() {
        let host = Scripted::new();
        let control = host.control();
        let guard = FreezeGuard::freeze(control.as_ref(), &host.state()).unwrap();
        assert_eq!(host.records(), 1);
        guard.thaw().unwrap();
        assert_eq!(host.calls(), ["freeze", "thaw"]);
        assert_eq!(host.records(), 0);
        assert!(recover_freezes(&host.state()).unwrap().is_empty());
    }

    #[test]
    fn a_panic_thaws() {
        let host = Scripted::new();
        let control = host.control();
        let state = host.state();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = FreezeGuard::freeze(control.as_ref(), &state).unwrap();
            panic!("the capture broke");
        }));
        assert!(outcome.is_err());
        assert_eq!(host.calls(), ["freeze", "thaw"]);
        assert_eq!(host.records(), 0);
    }

    #[test]
    fn a_freeze_that_fails_is_thawed() {
        let host = Scripted::new();
        fs::write(host.path("unwilling"), "").unwrap();
        let control = host.control();
        assert!(FreezeGuard::freeze(control.as_ref(), &host.state()).is_err());
        assert_eq!(host.calls(), ["freeze", "thaw"]);
        assert_eq!(host.records(), 0);
    }

    #[test]
    fn what_a_crash_left_frozen_is_thawed_at_start_but_not_what_is_frozen_now() {
        let host = Scripted::new();
        let control = host.control();
        let guard = FreezeGuard::freeze(control.as_ref(), &host.state()).unwrap();
        assert!(recover_freezes(&host.state()).unwrap().is_empty());
        assert_eq!(host.calls(), ["freeze"]);

        // A crash: the lock goes with the process, the record stays.
        let record = fs::read_dir(host.state().join("hosts"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let text = fs::read(&record).unwrap();
        guard.thaw().unwrap();
        fs::write(&record, text).unwrap();

        let recovered = recover_freezes(&host.state()).unwrap();
        assert_eq!(recovered.len(), 1);
        assert_eq!(recovered[0].instance, "i-abc1234");
        recovered[0].result.as_ref().unwrap();
        assert_eq!(host.calls(), ["freeze", "thaw", "thaw"]);
        assert_eq!(host.records(), 0);
    }

    #[test]
    fn a_thaw_that_fails_is_reported_and_tried_again_later() {
        let host = Scripted::new();
        let control = host.control();
        let guard = FreezeGuard::freeze(control.as_ref(), &host.state()).unwrap();
        fs::write(host.path("stuck"), "").unwrap();
        let text = guard.thaw().unwrap_err().to_string();
        assert!(text.contains("thaw"), "{text}");
        assert_eq!(host.calls().len(), 1 + THAW_PAUSES.len() + 1);
        assert_eq!(host.records(), 1);

        fs::remove_file(host.path("stuck")).unwrap();
        let recovered = recover_freezes(&host.state()).unwrap();
        recovered[0].result.as_ref().unwrap();
        assert_eq!(host.records(), 0);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_reported_once_and_set_aside() {
        let host = Scripted::new();
        fs::create_dir_all(host.state().join("hosts")).unwrap();
        fs::write(host.state().join("hosts/i-1-1-0.json"), "{\"version\":1,").unwrap();
        let recovered = recover_freezes(&host.state()).unwrap();
        assert!(recovered[0].result.is_err());
        assert!(recover_freezes(&host.state()).unwrap().is_empty());
        assert!(host.state().join("hosts/i-1-1-0.unreadable").exists());
    }
}
