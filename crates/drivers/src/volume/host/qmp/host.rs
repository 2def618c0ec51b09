//! Stopping, starting and freezing a QEMU.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use serde_json::json;

use super::agent::Agent;
use super::client::Qmp;
use super::lines::QmpError;
use super::live;
use super::plan::{Generation, Plan};
use crate::volume::host::hooks::run_hook;
use crate::volume::host::{
    HostCapture, HostContext, HostControl, HostSpec, HostState, QmpNode, QmpSpec,
};
use crate::volume::{DiskRequest, DiskSource, VolumeError};

/// How long the guest has to power down, unless told: 60 s.
const STOP_TIMEOUT_S: u64 = 60;
/// How long the process has to end after `quit`, and to answer after its start: 60 s each. It writes out what it holds when it ends.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the process is looked for meanwhile.
const TICK: Duration = Duration::from_millis(100);

/// A host reached by QMP.
#[derive(Debug)]
pub struct QmpHost {
    spec: QmpSpec,
    context: HostContext,
    /// False once a freeze did nothing, because somebody else had paused the guest or its agent is silent: then there is nothing to thaw.
    /// A control that was made to thaw what a crash left knows nothing of that and thaws.
    is_ours_to_thaw: AtomicBool,
}

impl QmpHost {
    /// The control of the QEMU that `spec` describes.
    pub fn new(spec: QmpSpec, context: HostContext) -> Self {
        Self {
            spec,
            context,
            is_ours_to_thaw: AtomicBool::new(true),
        }
    }

    pub(super) fn connect(&self) -> Result<Qmp, QmpError> {
        Qmp::connect(&self.spec.socket)
    }

    pub(super) fn socket(&self) -> &Path {
        &self.spec.socket
    }

    pub(super) fn nbd_socket(&self) -> Option<&Path> {
        self.spec.nbd_socket.as_deref()
    }

    pub(super) fn scratch(&self, state_dir: &Path) -> PathBuf {
        match &self.spec.scratch {
            Some(folder) => folder.clone(),
            None => state_dir.join("scratch"),
        }
    }

    pub(super) fn node(&self, source: &DiskSource) -> Option<&QmpNode> {
        let nodes = &self.spec.nodes;
        nodes
            .get(&source.volume)
            .or_else(|| nodes.get(&source.location))
    }

    pub(super) fn has_agent(&self) -> bool {
        self.spec.guest_agent.is_some()
    }

    pub(super) fn instance(&self) -> &str {
        &self.context.instance
    }

    fn failed(&self, operation: &str, message: String) -> VolumeError {
        VolumeError::Host {
            operation: operation.into(),
            host: format!(
                "{} at {}",
                self.context.instance,
                self.spec.socket.display()
            ),
            message,
        }
    }

    /// For `map_err`.
    fn while_doing(&self, operation: &'static str) -> impl Fn(QmpError) -> VolumeError + '_ {
        move |cause| self.failed(operation, cause.to_string())
    }

    /// Asks the guest to power down. False: it did not, or cannot be asked.
    fn power_down(&self, qmp: &mut Qmp) -> Result<bool, QmpError> {
        match qmp.execute("query-status", json!({})) {
            Ok(status) if status["running"] == true => {}
            // Paused, it would not see the button; shut down already, it has nothing to do any more.
            Ok(_) => return Ok(false),
            Err(cause) if cause.is_unknown_command() => return Ok(false),
            Err(cause) => return Err(cause),
        }
        let timeout = Duration::from_secs(self.spec.stop_timeout_s.unwrap_or(STOP_TIMEOUT_S));
        qmp.execute("system_powerdown", json!({}))?;
        qmp.wait_for_event("SHUTDOWN", timeout)
    }

    /// Waits until the process has ended, which is later than its socket is gone: it closes its images in between.
    fn wait_for_end(&self, process: Option<OwnedFd>) -> Result<(), VolumeError> {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        let has_ended = || match &process {
            Some(process) => {
                let mut waiting = [PollFd::new(process, PollFlags::IN)];
                poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
            }
            None => true,
        };
        loop {
            if matches!(self.connect(), Err(cause) if cause.is_gone()) && has_ended() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failed(
                    "stop",
                    format!(
                        "it was told to quit {} s ago and still runs; stop it by hand",
                        PROCESS_TIMEOUT.as_secs()
                    ),
                ));
            }
            thread::sleep(TICK);
        }
    }
}

impl HostControl for QmpHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Qmp(self.spec.clone())
    }

    fn context(&self) -> &HostContext {
        &self.context
    }

    fn state(&self) -> Result<HostState, VolumeError> {
        // Whatever the guest does, as long as the process lives it has the disks open.
        match self.connect() {
            Ok(_) => Ok(HostState::Running),
            Err(cause) if cause.is_gone() => Ok(HostState::Stopped),
            Err(cause) => Err(self.while_doing("ask for the state of")(cause)),
        }
    }

    fn can_stop(&self) -> bool {
        self.spec.start.is_some()
    }

    fn stop(&self) -> Result<(), VolumeError> {
        let mut qmp = match self.connect() {
            Ok(qmp) => qmp,
            Err(cause) if cause.is_gone() => return Ok(()),
            Err(cause) => return Err(self.while_doing("stop")(cause)),
        };
        // None in another namespace of processes, or where it has just ended; then only its socket tells.
        let process = qmp
            .peer()
            .and_then(|peer| pidfd_open(peer.pid, PidfdFlags::empty()).ok());
        // Never killed: `quit` stores the bitmaps and closes the images.
        let outcome = self
            .power_down(&mut qmp)
            .and_then(|_| qmp.execute("quit", json!({})));
        match outcome {
            Ok(_) => {}
            Err(cause) if cause.is_gone() => {}
            Err(cause) => return Err(self.while_doing("stop")(cause)),
        }
        drop(qmp);
        self.wait_for_end(process)
    }

    fn start(&self) -> Result<(), VolumeError> {
        if self.state()? == HostState::Running {
            return Ok(());
        }
        let Some(hook) = &self.spec.start else {
            return Err(self.failed(
                "start",
                "QMP cannot start a process; start it by hand, and give the instance a `start` hook".into(),
            ));
        };
        run_hook("start", hook, &self.context)?;
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        while self.state()? != HostState::Running {
            if Instant::now() >= deadline {
                return Err(self.failed(
                    "start",
                    format!(
                        "{} s after its `start` hook succeeded nothing answers at its socket; look at its log",
                        PROCESS_TIMEOUT.as_secs()
                    ),
                ));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn can_freeze(&self) -> bool {
        true
    }

    /// By the guest's agent where there is one, else the guest is paused with all its writes on disk.
    fn freeze(&self) -> Result<(), VolumeError> {
        if let Some(socket) = &self.spec.guest_agent {
            self.is_ours_to_thaw.store(false, Ordering::Relaxed);
            return Agent::connect(socket)
                .and_then(|mut agent| {
                    // Before it is tried: an answer may be lost.
                    self.is_ours_to_thaw.store(true, Ordering::Relaxed);
                    agent.freeze()
                })
                .map_err(|cause| {
                    self.failed(
                        "freeze",
                        format!("guest agent at {}: {cause}", socket.display()),
                    )
                });
        }
        let pause = || -> Result<(), QmpError> {
            let mut qmp = self.connect()?;
            let is_running = qmp.execute("query-status", json!({}))?["running"] == true;
            self.is_ours_to_thaw.store(is_running, Ordering::Relaxed);
            if is_running {
                qmp.execute("stop", json!({}))?;
            }
            Ok(())
        };
        pause().map_err(self.while_doing("freeze"))
    }

    fn thaw(&self) -> Result<(), VolumeError> {
        if !self.is_ours_to_thaw.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(socket) = &self.spec.guest_agent {
            return match Agent::connect(socket).and_then(|mut agent| agent.thaw()) {
                // The machine ended meanwhile, and what was frozen with it.
                Err(cause) if cause.is_gone() => Ok(()),
                outcome => outcome.map_err(|cause| {
                    self.failed(
                        "thaw",
                        format!(
                            "guest agent at {}: {cause}; thaw it in the guest with `fsfreeze --unfreeze`, or reset it",
                            socket.display()
                        ),
                    )
                }),
            };
        }
        let resume = || -> Result<(), QmpError> {
            let mut qmp = match self.connect() {
                Err(cause) if cause.is_gone() => return Ok(()),
                other => other?,
            };
            let is_paused = match qmp.execute("query-status", json!({})) {
                Err(cause) if cause.is_unknown_command() => false,
                other => other?["status"] == "paused",
            };
            if is_paused {
                qmp.execute("cont", json!({}))?;
            }
            Ok(())
        };
        resume().map_err(self.while_doing("thaw"))
    }

    fn capture_disks(
        &self,
        disks: &[DiskRequest],
        state_dir: &Path,
    ) -> Result<HostCapture, VolumeError> {
        live::capture(self, disks, state_dir)
    }

    fn end_capture(&self, left: &serde_json::Value) -> Result<(), VolumeError> {
        let plan: Plan = serde_json::from_value(left.clone())
            .map_err(|cause| self.failed("take down a capture of", cause.to_string()))?;
        match self.connect() {
            Ok(mut qmp) => plan
                .undo(&mut qmp, Generation::Unknown)
                .map_err(self.while_doing("take down a capture of")),
            Err(cause) if cause.is_gone() => {
                plan.remove_files();
                Ok(())
            }
            Err(cause) => Err(self.while_doing("take down a capture of")(cause)),
        }
    }
}
