//! Hosts that are controlled by programs of the operator's.
//!
//! A hook finds in its environment: `SNAPKEEP_ACTION` (`freeze`, `thaw`, `stop`, `start`, `status`), `SNAPKEEP_INSTANCE` (id),
//! `SNAPKEEP_INSTANCE_NAME`, `SNAPKEEP_VOLUMES` (ids, separated by blanks) and `SNAPKEEP_DISKS` (JSON: an array of objects with
//! `volume`, `format` and `location`).

use super::process::{Output, run_program};
use super::{Hook, HookSpec, HostContext, HostControl, HostSpec, HostState};
use crate::volume::VolumeError;

/// Exit statuses of `status` that say stopped: `pgrep` and `systemctl is-active` for something that is not there, or not active.
const STOPPED: [i32; 2] = [1, 3];

/// A host controlled by hooks.
#[derive(Debug)]
pub struct HooksHost {
    spec: HookSpec,
    context: HostContext,
}

impl HooksHost {
    /// The control of a host by `spec`'s hooks.
    pub fn new(spec: HookSpec, context: HostContext) -> Self {
        Self { spec, context }
    }

    fn act(&self, action: &'static str, hook: Option<&Hook>) -> Result<(), VolumeError> {
        match hook {
            Some(hook) => run_hook(action, hook, &self.context),
            None => Ok(()),
        }
    }
}

/// Runs a hook that has to succeed.
pub fn run_hook(
    action: &'static str,
    hook: &Hook,
    context: &HostContext,
) -> Result<(), VolumeError> {
    let output = call_hook(action, hook, context)?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        action,
        context,
        format!(
            "hook {:?} failed with {}; see to it and try again",
            hook.argv,
            output.complaint()
        ),
    ))
}

fn call_hook(
    action: &'static str,
    hook: &Hook,
    context: &HostContext,
) -> Result<Output, VolumeError> {
    let volumes: Vec<&str> = context
        .disks
        .iter()
        .map(|disk| disk.volume.as_str())
        .collect();
    let disks = serde_json::to_string(&context.disks)
        .map_err(|cause| failed(action, context, cause.to_string()))?;
    let variables = [
        ("SNAPKEEP_ACTION", action.to_owned()),
        ("SNAPKEEP_INSTANCE", context.instance.clone()),
        ("SNAPKEEP_INSTANCE_NAME", context.name.clone()),
        ("SNAPKEEP_VOLUMES", volumes.join(" ")),
        ("SNAPKEEP_DISKS", disks),
    ];
    run_program(&hook.argv, &variables, hook.timeout()).map_err(|cause| match cause {
        VolumeError::Host { host, message, .. } => {
            failed(action, context, format!("hook [{host}]: {message}"))
        }
        other => other,
    })
}

fn failed(action: &'static str, context: &HostContext, message: String) -> VolumeError {
    VolumeError::Host {
        operation: match action {
            "status" => "ask for the state of".into(),
            action => action.into(),
        },
        host: context.instance.clone(),
        message,
    }
}

impl HostControl for HooksHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Hooks(self.spec.clone())
    }

    fn context(&self) -> &HostContext {
        &self.context
    }

    fn state(&self) -> Result<HostState, VolumeError> {
        let Some(hook) = &self.spec.status else {
            return Ok(HostState::Unknown);
        };
        let output = call_hook("status", hook, &self.context)?;
        match output.status.code() {
            Some(0) => Ok(HostState::Running),
            Some(code) if STOPPED.contains(&code) => Ok(HostState::Stopped),
            _ => Err(failed(
                "status",
                &self.context,
                format!(
                    "hook {:?} ended with {}; it must exit with 0 (running), 1 or 3 (stopped)",
                    hook.argv,
                    output.complaint()
                ),
            )),
        }
    }

    fn can_stop(&self) -> bool {
        self.spec.stop.is_some()
    }

    fn stop(&self) -> Result<(), VolumeError> {
        self.act("stop", self.spec.stop.as_ref())
    }

    fn start(&self) -> Result<(), VolumeError> {
        self.act("start", self.spec.start.as_ref())
    }

    fn can_freeze(&self) -> bool {
        self.spec.freeze.is_some()
    }

    fn freeze(&self) -> Result<(), VolumeError> {
        self.act("freeze", self.spec.freeze.as_ref())
    }

    fn thaw(&self) -> Result<(), VolumeError> {
        self.act("thaw", self.spec.thaw.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{DiskSource, VolumeFormat};

    fn host(status: &[&str], freeze: &[&str]) -> HooksHost {
        let hook = |argv: &[&str]| {
            (!argv.is_empty()).then(|| Hook {
                argv: argv.iter().map(ToString::to_string).collect(),
                timeout_s: Some(20),
            })
        };
        let spec = HookSpec {
            status: hook(status),
            freeze: hook(freeze),
            thaw: hook(&["/bin/true"]),
            ..HookSpec::default()
        };
        let disks = ["vol-a", "vol-b"].map(|volume| DiskSource {
            volume: volume.into(),
            format: VolumeFormat::Raw,
            location: format!("/disks/{volume} with blank.raw"),
        });
        HooksHost::new(
            spec,
            HostContext {
                instance: "i-abc1234".into(),
                name: "db".into(),
                disks: disks.to_vec(),
            },
        )
    }

    #[test]
    fn the_status_hook_tells_the_state() {
        let state = |code: &str| host(&["/bin/sh", "-c", code], &[]).state();
        assert_eq!(state("exit 0").unwrap(), HostState::Running);
        assert_eq!(state("exit 1").unwrap(), HostState::Stopped);
        assert_eq!(state("exit 3").unwrap(), HostState::Stopped);
        let text = state("echo no such unit >&2; exit 4")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("no such unit") && text.contains("i-abc1234"),
            "{text}"
        );
        assert_eq!(host(&[], &[]).state().unwrap(), HostState::Unknown);
    }

    #[test]
    fn a_hook_is_told_what_it_acts_on() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let script = format!(
            "printf '%s|' \"$SNAPKEEP_ACTION\" \"$SNAPKEEP_INSTANCE\" \"$SNAPKEEP_INSTANCE_NAME\" \
             \"$SNAPKEEP_VOLUMES\" \"$SNAPKEEP_DISKS\" > {}",
            seen.display()
        );
        let host = host(&[], &["/bin/sh", "-c", &script]);
        host.freeze().unwrap();
        let text = std::fs::read_to_string(seen).unwrap();
        let words: Vec<&str> = text.split('|').collect();
        assert_eq!(words[..4], ["freeze", "i-abc1234", "db", "vol-a vol-b"]);
        let disks: Vec<DiskSource> = serde_json::from_str(words[4]).unwrap();
        assert_eq!(disks, host.context.disks);
    }

    #[test]
    fn a_hook_that_fails_is_quoted() {
        let text = host(&[], &["/bin/sh", "-c", "echo journal is full >&2; exit 9"])
            .freeze()
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("cannot freeze host [i-abc1234]") && text.contains("journal is full"),
            "{text}"
        );
    }

    #[test]
    fn what_has_no_hook_is_not_done() {
        let host = host(&[], &[]);
        assert!(!host.can_freeze() && !host.can_stop());
        host.freeze().unwrap();
        host.stop().unwrap();
    }
}
