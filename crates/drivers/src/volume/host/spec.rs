//! How a host is described in the configuration and in what is kept of it.
//!
//! A description is internally tagged by `driver`, so that it can stand beside an instance's own keys. One example of each, as it
//! stands in `instances/i-….toml` (each is parsed by a test of this file):
//!
//! No control: the disks are captured as they are, and nothing is stopped for a rollback.
//!
//! ```toml
//! name = "scratch"
//! volumes = ["vol-abc1234"]
//! driver = "none"
//! ```
//!
//! Hooks: programs of the operator's own. `argv` is handed to the system as it stands, there is no shell; the timeout is in seconds,
//! 60 unless told. `freeze` needs `thaw`, `stop` needs `start`, and all are optional. `status` says running with exit status 0,
//! stopped with 1 or 3 (as `pgrep` and `systemctl is-active` do).
//!
//! ```toml
//! name = "db1"
//! volumes = ["vol-abc1234", "vol-def5678"]
//! driver = "hooks"
//! freeze = { argv = ["/usr/local/sbin/db1", "freeze"], timeout_s = 10 }
//! thaw = { argv = ["/usr/local/sbin/db1", "thaw"], timeout_s = 10 }
//! stop = { argv = ["/usr/bin/systemctl", "stop", "vm@db1"], timeout_s = 120 }
//! start = { argv = ["/usr/bin/systemctl", "start", "vm@db1"] }
//! status = { argv = ["/usr/bin/systemctl", "is-active", "--quiet", "vm@db1"] }
//! ```
//!
//! QEMU or qemu-storage-daemon by its QMP socket: live captures by copy-before-write, with changes from dirty bitmaps.
//!
//! ```toml
//! name = "web1"
//! volumes = ["vol-abc1234"]
//! driver = "qmp"
//! socket = "/run/vm/web1/qmp.sock"
//! guest_agent = "/run/vm/web1/qga.sock"
//! start = { argv = ["/usr/bin/systemctl", "start", "vm@web1"] }
//!
//! [nodes.vol-abc1234]
//! node = "disk0"
//! device = "/machine/peripheral/vd0"
//! ```
//!
//! libvirt, through `virsh`: stopped, started, frozen; live captures by libvirt's backup jobs, with changes from its checkpoints (of
//! qcow2 disks). `scratch` has to be a folder that the user of libvirt's domains can enter and write; without one that can, the disks
//! are cloned while the domain is frozen.
//!
//! ```toml
//! name = "mail1"
//! volumes = ["vol-abc1234"]
//! driver = "libvirt"
//! domain = "mail1"
//! uri = "qemu:///system"
//! scratch = "/var/lib/libvirt/snapkeep"
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hooks::HooksHost;
use super::libvirt::LibvirtHost;
use super::none::NoHost;
use super::qmp::QmpHost;
use super::{HostContext, HostControl};
use crate::volume::VolumeError;

/// Longest run of a hook that does not say: 60 s.
const HOOK_TIMEOUT_S: u64 = 60;
/// The longest timeout that a description may ask for: a day, in seconds.
const LONGEST_TIMEOUT_S: u64 = 86_400;
/// Most words of a hook, and most bytes of one of them.
const MOST_WORDS: usize = 256;
const LONGEST_WORD_BYTES: usize = 32 * 1024;

/// How the machine that uses an instance's disks is stopped, started and frozen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "driver", rename_all = "snake_case")]
pub enum HostSpec {
    /// Not controlled.
    #[default]
    None,
    /// By programs of the operator's.
    Hooks(HookSpec),
    /// By the QMP socket of a QEMU or qemu-storage-daemon.
    Qmp(QmpSpec),
    /// By libvirt, through `virsh`.
    Libvirt(LibvirtSpec),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The program's absolute path and its arguments, handed over as they are.
    pub argv: Vec<String>,
    /// Seconds after which it and all it started are killed, and the action has failed; 60 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
}

/// Programs for the actions of a host; what has none is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    /// Makes the disks consistent and holds writes until `thaw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Hook>,
    /// Lets writes go on. It must do no harm where nothing is frozen: after a failed freeze, or a crash, it is called again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thaw: Option<Hook>,
    /// Stops the machine; returns when its disks are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Hook>,
    /// Starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Hook>,
    /// Exit status 0: running; 1 or 3: stopped; any other: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Hook>,
}

/// Where a QEMU is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QmpSpec {
    /// Absolute path of the QMP socket. Nobody else may hold it: QEMU answers one client at a time.
    pub socket: PathBuf,
    /// Absolute path of the guest agent's socket; with it file systems of the guest are frozen around a capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_agent: Option<PathBuf>,
    /// Starts the process, which QMP cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Hook>,
    /// Seconds that the guest is given to power down before the process is told to quit; 60 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout_s: Option<u64>,
    /// Absolute path of the socket of the process's NBD server, where it runs one already; else one is started for each capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbd_socket: Option<PathBuf>,
    /// Folder for what the guest overwrites during a capture, writable by us and by QEMU; below the data folder unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<PathBuf>,
    /// The block nodes of volumes that are not found by their file's path, by the volume's id or path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, QmpNode>,
}

/// Which node of QEMU's block graph a volume is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QmpNode {
    /// Name of the node of the disk's format (for instance the `qcow2` node).
    pub node: String,
    /// QOM path of the device that uses it; found by the node unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Which domain of which libvirt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibvirtSpec {
    /// Name or UUID of the domain.
    pub domain: String,
    /// Connection URI; `qemu:///system` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Seconds that the guest is given to shut down before it is destroyed; 60 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout_s: Option<u64>,
    /// Folder for what the guest overwrites during a capture, writable by us and by the user that libvirt runs domains as; below the
    /// data folder unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<PathBuf>,
}

impl HostSpec {
    /// The driver's name, as the configuration has it.
    pub fn driver(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hooks(_) => "hooks",
            Self::Qmp(_) => "qmp",
            Self::Libvirt(_) => "libvirt",
        }
    }

    /// Says what is wrong with a description before anything relies on it.
    pub fn check(&self) -> Result<(), VolumeError> {
        match self {
            Self::None => Ok(()),
            Self::Hooks(hooks) => hooks.check(),
            Self::Qmp(qmp) => qmp.check(),
            Self::Libvirt(libvirt) => libvirt.check(),
        }
    }

    /// The control of a host of this description. Nothing is contacted yet.
    pub fn control(&self, context: HostContext) -> Box<dyn HostControl> {
        match self {
            Self::None => Box::new(NoHost::new(context)),
            Self::Hooks(hooks) => Box::new(HooksHost::new(hooks.clone(), context)),
            Self::Qmp(qmp) => Box::new(QmpHost::new(qmp.clone(), context)),
            Self::Libvirt(libvirt) => Box::new(LibvirtHost::new(libvirt.clone(), context)),
        }
    }
}

impl Hook {
    /// How long it may run.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.unwrap_or(HOOK_TIMEOUT_S))
    }

    fn check(&self, action: &str) -> Result<(), VolumeError> {
        let refuse = |what: String| Err(refusal(format!("hook `{action}`: {what}")));
        let Some(program) = self.argv.first() else {
            return refuse("`argv` is empty; give the program's path and its arguments".into());
        };
        if !program.starts_with('/') {
            return refuse(format!(
                "[{program}] is not an absolute path; there is no shell and no search in PATH"
            ));
        }
        if self.argv.len() > MOST_WORDS {
            return refuse(format!("more than {MOST_WORDS} words"));
        }
        if self
            .argv
            .iter()
            .any(|word| word.len() > LONGEST_WORD_BYTES || word.contains('\0'))
        {
            return refuse(format!(
                "a word is longer than {LONGEST_WORD_BYTES} bytes or has a NUL in it"
            ));
        }
        check_timeout(&format!("hook `{action}`"), self.timeout_s)
    }
}

impl HookSpec {
    fn check(&self) -> Result<(), VolumeError> {
        for (action, hook) in [
            ("freeze", &self.freeze),
            ("thaw", &self.thaw),
            ("stop", &self.stop),
            ("start", &self.start),
            ("status", &self.status),
        ] {
            if let Some(hook) = hook {
                hook.check(action)?;
            }
        }
        for (one, other, first, second) in [
            (&self.freeze, &self.thaw, "freeze", "thaw"),
            (&self.stop, &self.start, "stop", "start"),
        ] {
            if one.is_some() != other.is_some() {
                return Err(refusal(format!(
                    "hooks `{first}` and `{second}` go together; give both or neither"
                )));
            }
        }
        Ok(())
    }
}

impl QmpSpec {
    fn check(&self) -> Result<(), VolumeError> {
        for (key, path) in [
            ("socket", Some(&self.socket)),
            ("guest_agent", self.guest_agent.as_ref()),
            ("nbd_socket", self.nbd_socket.as_ref()),
            ("scratch", self.scratch.as_ref()),
        ] {
            if let Some(path) = path
                && !path.is_absolute()
            {
                return Err(refusal(format!(
                    "`{key}` of driver `qmp` must be an absolute path, not [{}]",
                    path.display()
                )));
            }
        }
        if let Some(start) = &self.start {
            start.check("start")?;
        }
        check_timeout("driver `qmp`", self.stop_timeout_s)
    }
}

impl LibvirtSpec {
    fn check(&self) -> Result<(), VolumeError> {
        // virsh would take a leading dash for an option.
        if self.domain.is_empty() || self.domain.starts_with('-') {
            return Err(refusal(
                "`domain` of driver `libvirt` must be a domain's name or UUID".into(),
            ));
        }
        if let Some(scratch) = &self.scratch
            && !scratch.is_absolute()
        {
            return Err(refusal(format!(
                "`scratch` of driver `libvirt` must be an absolute path, not [{}]",
                scratch.display()
            )));
        }
        check_timeout("driver `libvirt`", self.stop_timeout_s)
    }
}

fn check_timeout(owner: &str, seconds: Option<u64>) -> Result<(), VolumeError> {
    match seconds {
        Some(seconds) if seconds == 0 || seconds > LONGEST_TIMEOUT_S => Err(refusal(format!(
            "{owner}: a timeout must be 1 to {LONGEST_TIMEOUT_S} seconds, not {seconds}"
        ))),
        _ => Ok(()),
    }
}

fn refusal(what: String) -> VolumeError {
    VolumeError::Unsupported {
        what,
        hint: "correct the instance's description".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance's file, as the engine reads it: its own keys beside the description's.
    #[derive(Debug, Serialize, Deserialize)]
    struct InstanceFile {
        name: String,
        volumes: Vec<String>,
        #[serde(flatten)]
        host: HostSpec,
    }

    /// The examples of this module's documentation, in order.
    fn documented() -> Vec<InstanceFile> {
        let documentation: Vec<&str> = include_str!("spec.rs")
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        documentation
            .join("\n")
            .split("```toml\n")
            .skip(1)
            .map(|part| toml::from_str(part.split("```").next().unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn the_documented_examples_are_accepted() {
        let examples = documented();
        let drivers: Vec<_> = examples.iter().map(|file| file.host.driver()).collect();
        assert_eq!(drivers, ["none", "hooks", "qmp", "libvirt"]);
        for file in &examples {
            file.host.check().unwrap();
        }
        let HostSpec::Hooks(hooks) = &examples[1].host else {
            panic!("not hooks");
        };
        assert_eq!(
            hooks.stop.as_ref().unwrap().timeout(),
            Duration::from_secs(120)
        );
        assert_eq!(
            hooks.start.as_ref().unwrap().timeout(),
            Duration::from_secs(60)
        );
        let HostSpec::Qmp(qmp) = &examples[2].host else {
            panic!("not qmp");
        };
        assert_eq!(qmp.nodes["vol-abc1234"].node, "disk0");
    }

    #[test]
    fn a_description_survives_being_kept_as_json() {
        for file in documented() {
            let kept = serde_json::to_string(&file.host).unwrap();
            assert_eq!(serde_json::from_str::<HostSpec>(&kept).unwrap(), file.host);
        }
    }

    #[test]
    fn a_freeze_without_thaw_and_a_shell_line_are_refused() {
        let hook = |argv: &[&str]| {
            Some(Hook {
                argv: argv.iter().map(ToString::to_string).collect(),
                timeout_s: None,
            })
        };
        let lonely = HostSpec::Hooks(HookSpec {
            freeze: hook(&["/bin/true"]),
            ..HookSpec::default()
        });
        let text = lonely.check().unwrap_err().to_string();
        assert!(text.contains("`freeze` and `thaw` go together"), "{text}");
        let shell = HostSpec::Hooks(HookSpec {
            status: hook(&["pgrep qemu"]),
            ..HookSpec::default()
        });
        let text = shell.check().unwrap_err().to_string();
        assert!(text.contains("absolute path"), "{text}");
    }

    #[test]
    fn a_timeout_of_nothing_or_of_ages_is_refused() {
        for seconds in [0, LONGEST_TIMEOUT_S + 1] {
            let spec = HostSpec::Libvirt(LibvirtSpec {
                domain: "a".into(),
                stop_timeout_s: Some(seconds),
                ..LibvirtSpec::default()
            });
            assert!(spec.check().is_err());
        }
    }
}
