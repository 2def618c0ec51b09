//! A domain of libvirt, spoken to by `virsh`.

use std::time::Duration;

use crate::volume::VolumeError;
use crate::volume::host::LibvirtSpec;
use crate::volume::host::process::{Output, run_program};

/// The connection that is used unless told.
const URI: &str = "qemu:///system";
/// Longest run of one `virsh`: 2 minutes. Freezing busy file systems and starting domains take their time.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Whom to call.
#[derive(Debug, Clone)]
pub struct Domain {
    /// The program; another one in tests.
    program: String,
    uri: String,
    name: String,
    /// The instance's id, for messages.
    instance: String,
}

impl Domain {
    /// The domain that `spec` names.
    pub fn new(spec: &LibvirtSpec, instance: &str) -> Self {
        Self {
            program: "virsh".into(),
            uri: spec.uri.clone().unwrap_or_else(|| URI.into()),
            name: spec.domain.clone(),
            instance: instance.to_owned(),
        }
    }

    /// The same, called by another program.
    #[cfg(test)]
    pub fn by(mut self, program: &str) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// As an error of an action on it.
    pub fn failed(&self, operation: &str, message: impl Into<String>) -> VolumeError {
        VolumeError::Host {
            operation: operation.into(),
            host: format!("{} (domain {})", self.instance, self.name),
            message: message.into(),
        }
    }

    /// Runs `virsh COMMAND --domain DOMAIN OPTIONS`; its messages in English, whatever the server's language is.
    pub fn call(
        &self,
        operation: &str,
        command: &str,
        options: &[&str],
    ) -> Result<Output, VolumeError> {
        let words = [
            "--quiet",
            "--connect",
            &self.uri,
            command,
            "--domain",
            &self.name,
        ];
        let mut argv = vec![self.program.clone()];
        argv.extend(words.map(str::to_owned));
        argv.extend(options.iter().map(ToString::to_string));
        let variables = [("LC_ALL", "C".to_owned())];
        run_program(&argv, &variables, TIMEOUT).map_err(|cause| match cause {
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

    /// Runs it; it has to succeed. Returns what it printed.
    pub fn run(
        &self,
        operation: &str,
        command: &str,
        options: &[&str],
    ) -> Result<String, VolumeError> {
        let output = self.call(operation, command, options)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.failed(
            operation,
            format!("virsh {command}: {}", output.complaint()),
        ))
    }

    /// Its state in `virsh`'s words.
    pub fn state(&self, operation: &str) -> Result<String, VolumeError> {
        self.run(operation, "domstate", &[])
            .map(|state| state.trim().to_owned())
    }

    /// Whether no process has its disks open: it is off, or not defined any more.
    pub fn is_off_or_gone(&self, operation: &str) -> Result<bool, VolumeError> {
        let output = self.call(operation, "domstate", &[])?;
        if output.status.success() {
            return Ok(is_off(output.stdout.trim()));
        }
        if output.stderr.contains("failed to get domain") {
            return Ok(true);
        }
        Err(self.failed(operation, format!("virsh domstate: {}", output.complaint())))
    }
}

/// Whether its guest runs, so that it can be asked for something.
pub fn is_awake(state: &str) -> bool {
    matches!(state, "running" | "idle" | "in shutdown")
}

/// States of `virsh domstate` in which no process has the disks open.
pub fn is_off(state: &str) -> bool {
    matches!(state, "shut off" | "crashed" | "no state")
}
