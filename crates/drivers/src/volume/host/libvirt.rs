//! Hosts of libvirt, by its command `virsh`.
//!
//! Stopped by an ACPI shutdown and, when the guest does not follow in time, destroyed (libvirt sends SIGTERM first, with which QEMU still
//! stores its bitmaps). Frozen by the guest agent where one answers, else paused. The disks are captured from outside while the domain is
//! frozen: reflink clones where the file system has them. libvirt's own backup jobs are not used.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing::info;

use super::process::{Output, run_program};
use super::{HostContext, HostControl, HostSpec, HostState, LibvirtSpec};
use crate::volume::VolumeError;

/// The connection that is used unless told.
const URI: &str = "qemu:///system";
/// How long the guest has to shut down, unless told: 60 s.
const STOP_TIMEOUT_S: u64 = 60;
/// Longest run of one `virsh`: 2 minutes. Freezing busy file systems and starting domains take their time.
const VIRSH_TIMEOUT: Duration = Duration::from_secs(120);
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
    /// The program; another one in tests.
    program: String,
    frozen: AtomicU8,
}

impl LibvirtHost {
    /// The control of the domain that `spec` names.
    pub fn new(spec: LibvirtSpec, context: HostContext) -> Self {
        Self {
            spec,
            context,
            program: "virsh".into(),
            frozen: AtomicU8::new(NOT_KNOWN),
        }
    }

    fn failed(&self, operation: &str, message: impl Into<String>) -> VolumeError {
        VolumeError::Host {
            operation: operation.into(),
            host: format!("{} (domain {})", self.context.instance, self.spec.domain),
            message: message.into(),
        }
    }

    /// Runs `virsh COMMAND --domain DOMAIN OPTIONS`; its messages in English, whatever the server's language is.
    fn call(
        &self,
        operation: &str,
        command: &str,
        options: &[&str],
    ) -> Result<Output, VolumeError> {
        let uri = self.spec.uri.as_deref().unwrap_or(URI);
        let words = [
            "--quiet",
            "--connect",
            uri,
            command,
            "--domain",
            &self.spec.domain,
        ];
        let mut argv = vec![self.program.clone()];
        argv.extend(words.map(str::to_owned));
        argv.extend(options.iter().map(ToString::to_string));
        let variables = [("LC_ALL", "C".to_owned())];
        run_program(&argv, &variables, VIRSH_TIMEOUT).map_err(|cause| match cause {
            VolumeError::Host { message, .. } if message.contains("is not there") => {
                VolumeError::ToolMissing {
                    tool: "virsh".into(),
                    package: "libvirt-clients".into(),
                }
            }
            VolumeError::Host { message, .. } => {
                self.failed(operation, format!("virsh: {message}"))
            }
            other => other,
        })
    }

    /// Runs it; it has to succeed.
    fn run(&self, operation: &str, command: &str, options: &[&str]) -> Result<(), VolumeError> {
        let output = self.call(operation, command, options)?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.failed(
            operation,
            format!("virsh {command}: {}", output.complaint()),
        ))
    }

    fn domain_state(&self, operation: &str) -> Result<String, VolumeError> {
        let output = self.call(operation, "domstate", &[])?;
        if !output.status.success() {
            return Err(self.failed(
                operation,
                format!(
                    "virsh domstate: {}; is the domain defined?",
                    output.complaint()
                ),
            ));
        }
        Ok(output.stdout.trim().to_owned())
    }

    fn is_off_within(&self, timeout: Duration) -> Result<bool, VolumeError> {
        let deadline = Instant::now() + timeout;
        loop {
            if is_off(&self.domain_state("stop")?) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(TICK);
        }
    }
}

/// States of `virsh domstate` in which no process has the disks open.
fn is_off(state: &str) -> bool {
    matches!(state, "shut off" | "crashed" | "no state")
}

impl HostControl for LibvirtHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Libvirt(self.spec.clone())
    }

    fn context(&self) -> &HostContext {
        &self.context
    }

    fn state(&self) -> Result<HostState, VolumeError> {
        let state = self.domain_state("ask for the state of")?;
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
        let state = self.domain_state("stop")?;
        if is_off(&state) {
            return Ok(());
        }
        // A paused guest would not see the button.
        if state == "running" {
            self.run("stop", "shutdown", &["--mode", "acpi"])?;
            let patience = Duration::from_secs(self.spec.stop_timeout_s.unwrap_or(STOP_TIMEOUT_S));
            if self.is_off_within(patience)? {
                return Ok(());
            }
            info!(instance = %self.context.instance, domain = %self.spec.domain, "the guest did not shut down in time and is ended");
        }
        self.run("stop", "destroy", &["--graceful"])?;
        if self.is_off_within(TICK * 4)? {
            return Ok(());
        }
        Err(self.failed("stop", "it was destroyed and still runs; stop it by hand"))
    }

    fn start(&self) -> Result<(), VolumeError> {
        if !is_off(&self.domain_state("start")?) {
            return Ok(());
        }
        self.run("start", "start", &[])
    }

    fn can_freeze(&self) -> bool {
        true
    }

    fn freeze(&self) -> Result<(), VolumeError> {
        if self.domain_state("freeze")? != "running" {
            self.frozen.store(NOT_AT_ALL, Ordering::Relaxed);
            return Ok(());
        }
        // Remembered before it is done, so that a failure halfway is undone by all means there are.
        self.frozen.store(NOT_KNOWN, Ordering::Relaxed);
        let by_agent = self.call("freeze", "domfsfreeze", &[])?;
        if by_agent.status.success() {
            self.frozen.store(BY_AGENT, Ordering::Relaxed);
            return Ok(());
        }
        info!(instance = %self.context.instance, reason = %by_agent.complaint(), "no guest agent freezes the domain; it is paused instead");
        self.run("freeze", "suspend", &[])?;
        self.frozen.store(BY_PAUSE, Ordering::Relaxed);
        Ok(())
    }

    fn thaw(&self) -> Result<(), VolumeError> {
        let frozen = self.frozen.load(Ordering::Relaxed);
        if frozen == NOT_AT_ALL {
            return Ok(());
        }
        match self.domain_state("thaw")?.as_str() {
            state if is_off(state) => Ok(()),
            "paused" => self.run("thaw", "resume", &[]),
            _ if frozen == BY_PAUSE => Ok(()),
            _ if frozen == BY_AGENT => self.run("thaw", "domfsthaw", &[]),
            // After a crash: thawed if an agent answers; without one it cannot have been frozen.
            _ => {
                let output = self.call("thaw", "domfsthaw", &[])?;
                let has_no_agent = ["agent is not configured", "not connected", "not supported"]
                    .iter()
                    .any(|text| output.stderr.contains(text));
                if output.status.success() || has_no_agent {
                    return Ok(());
                }
                Err(self.failed(
                    "thaw",
                    format!(
                        "virsh domfsthaw: {}; thaw it in the guest with `fsfreeze --unfreeze`, or reset it",
                        output.complaint()
                    ),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
