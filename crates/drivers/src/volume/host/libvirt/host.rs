//! Stopping, starting and freezing a domain.
//!
//! Stopped by an ACPI shutdown and, when the guest does not follow in time, destroyed (libvirt sends SIGTERM first, with which QEMU still
//! stores its bitmaps). Frozen by the guest agent where one answers, else paused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing::info;

use super::backup;
use super::domain::{Domain, is_awake, is_off};
use super::session::{Backup, end_backup};
use crate::volume::host::{
    HostCapture, HostContext, HostControl, HostSpec, HostState, LibvirtSpec,
};
use crate::volume::{DiskRequest, VolumeError};

/// How long the guest has to shut down, unless told: 60 s.
const STOP_TIMEOUT_S: u64 = 60;
/// How often the state is asked for while something is waited for.
const TICK: Duration = Duration::from_millis(500);

/// How a domain was frozen, so that the thaw fits.
const NOT_KNOWN: u8 = 0;
const BY_AGENT: u8 = 1;
const BY_PAUSE: u8 = 2;
/// It was paused or off before; nothing was done.
const NOT_AT_ALL: u8 = 3;

/// A libvirt domain.
#[derive(Debug)]
pub struct LibvirtHost {
    spec: LibvirtSpec,
    context: HostContext,
    pub(super) domain: Domain,
    frozen: AtomicU8,
}

impl LibvirtHost {
    /// The control of the domain that `spec` names.
    pub fn new(spec: LibvirtSpec, context: HostContext) -> Self {
        Self {
            domain: Domain::new(&spec, &context.instance),
            spec,
            context,
            frozen: AtomicU8::new(NOT_KNOWN),
        }
    }

    /// The same, over another way to call it.
    #[cfg(test)]
    pub fn over(mut self, domain: Domain) -> Self {
        self.domain = domain;
        self
    }

    /// Where the domain's process and we can both read and write.
    pub(super) fn scratch(&self, state_dir: &Path) -> PathBuf {
        match &self.spec.scratch {
            Some(folder) => folder.clone(),
            None => state_dir.join("scratch"),
        }
    }

    /// Freezes the guest's file systems if an agent answers. An error: nothing was done, or it is for the thaw to undo.
    pub(super) fn freeze_by_agent(&self) -> Result<(), VolumeError> {
        // Remembered before it is done, so that a failure halfway is undone by all means there are.
        self.frozen.store(NOT_KNOWN, Ordering::Relaxed);
        let output = self.domain.call("freeze", "domfsfreeze", &[])?;
        if output.status.success() {
            self.frozen.store(BY_AGENT, Ordering::Relaxed);
            return Ok(());
        }
        if has_no_agent(&output.stderr) {
            self.frozen.store(NOT_AT_ALL, Ordering::Relaxed);
        }
        Err(self.domain.failed(
            "freeze",
            format!("virsh domfsfreeze: {}", output.complaint()),
        ))
    }

    fn is_off_within(&self, timeout: Duration) -> Result<bool, VolumeError> {
        let deadline = Instant::now() + timeout;
        loop {
            if is_off(&self.domain.state("stop")?) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(TICK);
        }
    }
}

/// Whether `virsh` says that there is nobody in the guest to freeze or thaw it.
fn has_no_agent(complaint: &str) -> bool {
    [
        "agent is not configured",
        "agent is not connected",
        "not responding",
        "not supported",
    ]
    .iter()
    .any(|text| complaint.contains(text))
}

impl HostControl for LibvirtHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Libvirt(self.spec.clone())
    }

    fn context(&self) -> &HostContext {
        &self.context
    }

    fn state(&self) -> Result<HostState, VolumeError> {
        let state = self.domain.state("ask for the state of")?;
        Ok(if is_off(&state) {
            HostState::Stopped
        } else {
            HostState::Running
        })
    }

    fn can_stop(&self) -> bool {
        true
    }

    fn stop(&self) -> Result<(), VolumeError> {
        let state = self.domain.state("stop")?;
        if is_off(&state) {
            return Ok(());
        }
        // A paused guest would not see the button.
        if is_awake(&state) {
            self.domain.run("stop", "shutdown", &["--mode", "acpi"])?;
            let patience = Duration::from_secs(self.spec.stop_timeout_s.unwrap_or(STOP_TIMEOUT_S));
            if self.is_off_within(patience)? {
                return Ok(());
            }
            info!(instance = %self.context.instance, domain = %self.spec.domain, "the guest did not shut down in time and is ended");
        }
        self.domain.run("stop", "destroy", &["--graceful"])?;
        if self.is_off_within(TICK * 4)? {
            return Ok(());
        }
        Err(self
            .domain
            .failed("stop", "it was destroyed and still runs; stop it by hand"))
    }

    fn start(&self) -> Result<(), VolumeError> {
        if !is_off(&self.domain.state("start")?) {
            return Ok(());
        }
        self.domain.run("start", "start", &[]).map(drop)
    }

    fn can_freeze(&self) -> bool {
        true
    }

    fn freeze(&self) -> Result<(), VolumeError> {
        if !is_awake(&self.domain.state("freeze")?) {
            self.frozen.store(NOT_AT_ALL, Ordering::Relaxed);
            return Ok(());
        }
        if let Err(cause) = self.freeze_by_agent() {
            info!(instance = %self.context.instance, reason = %cause, "no guest agent freezes the domain; it is paused instead");
            // Also what an agent began and did not finish is for the thaw.
            self.thaw()?;
            self.frozen.store(BY_PAUSE, Ordering::Relaxed);
            self.domain.run("freeze", "suspend", &[])?;
        }
        Ok(())
    }

    fn thaw(&self) -> Result<(), VolumeError> {
        let frozen = self.frozen.load(Ordering::Relaxed);
        if frozen == NOT_AT_ALL {
            return Ok(());
        }
        if self.domain.is_off_or_gone("thaw")? {
            return Ok(());
        }
        match self.domain.state("thaw")?.as_str() {
            "paused" => self.domain.run("thaw", "resume", &[]).map(drop),
            _ if frozen == BY_PAUSE => Ok(()),
            _ if frozen == BY_AGENT => self.domain.run("thaw", "domfsthaw", &[]).map(drop),
            // After a crash: thawed if an agent answers; without one it cannot have been frozen.
            _ => {
                let output = self.domain.call("thaw", "domfsthaw", &[])?;
                if output.status.success() || has_no_agent(&output.stderr) {
                    return Ok(());
                }
                Err(self.domain.failed(
                    "thaw",
                    format!(
                        "virsh domfsthaw: {}; thaw it in the guest with `fsfreeze --unfreeze`, or reset it",
                        output.complaint()
                    ),
                ))
            }
        }
    }

    fn capture_disks(
        &self,
        disks: &[DiskRequest],
        state_dir: &Path,
    ) -> Result<HostCapture, VolumeError> {
        backup::capture(self, disks, state_dir)
    }

    fn end_capture(&self, left: &serde_json::Value) -> Result<(), VolumeError> {
        let backup: Backup = serde_json::from_value(left.clone()).map_err(|cause| {
            self.domain
                .failed("take down a capture of", cause.to_string())
        })?;
        end_backup(&self.domain, &backup)
    }
}
