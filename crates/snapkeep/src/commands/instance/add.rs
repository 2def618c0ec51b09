//! `snapkeep instance add`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use snapkeep_api::native::volumes::types::{AddInstance, Instance};

use super::super::Session;
use crate::exit::{Exit, Failure};

pub(super) const EXAMPLES: &str = "\
Drivers:
  none      nothing is stopped or frozen [default]
  hooks     programs of yours: --stop with --start, --freeze with --thaw, --status
  qmp       a QEMU by its QMP socket: consistent snapshots while it runs, changes by bitmaps
  libvirt   a domain, through virsh: the same

A hook is a program with an absolute path and its arguments, separated by spaces, or a JSON array
of words; there is no shell.

Examples:
  snapkeep instance add web vol-abc1234
  snapkeep instance add db vol-abc1234 vol-def5678 --stop '/usr/bin/systemctl stop db' \\
                           --start '/usr/bin/systemctl start db'
  snapkeep instance add live disk --qmp-socket /run/live.qmp --guest-agent /run/live.qga
  snapkeep instance add mail vol-abc1234 --domain mail1";

/// Arguments of `snapkeep instance add`.
#[derive(Debug, Default, clap::Args)]
pub struct AddArgs {
    /// Its name.
    name: String,

    /// Its volumes in order, by id or name; the first is the boot disk.
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,

    /// Its id, `i-` and seven letters and digits [default: a new one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Description.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,

    /// How its host is controlled [default: told by the options given].
    #[arg(long, value_name = "DRIVER", value_parser = ["none", "hooks", "qmp", "libvirt"])]
    driver: Option<String>,

    /// Hook that stops the host.
    #[arg(long, value_name = "ARGV", help_heading = "Hooks")]
    stop: Option<String>,

    /// Hook that starts the host; also for driver qmp, which cannot start a process by itself.
    #[arg(long, value_name = "ARGV", help_heading = "Hooks")]
    start: Option<String>,

    /// Hook that makes the disks consistent and holds writes until the thaw.
    #[arg(long, value_name = "ARGV", help_heading = "Hooks")]
    freeze: Option<String>,

    /// Hook that lets writes go on; also called when nothing is frozen.
    #[arg(long, value_name = "ARGV", help_heading = "Hooks")]
    thaw: Option<String>,

    /// Hook that tells whether the host runs: exit status 0 running, 1 or 3 stopped.
    #[arg(long, value_name = "ARGV", help_heading = "Hooks")]
    status: Option<String>,

    /// Longest run of a hook, seconds [default: 60].
    #[arg(long, value_name = "SECONDS", help_heading = "Hooks")]
    hook_timeout: Option<u64>,

    /// Socket of QEMU's machine protocol.
    #[arg(long, value_name = "PATH", help_heading = "QEMU")]
    qmp_socket: Option<PathBuf>,

    /// Socket of the guest agent, through which file systems of the guest are frozen.
    #[arg(
        long,
        value_name = "PATH",
        requires = "qmp_socket",
        help_heading = "QEMU"
    )]
    guest_agent: Option<PathBuf>,

    /// Block node of a volume that is not found by its file. Repeatable.
    #[arg(long = "node", value_name = "VOLUME=NODE", value_parser = parse_node, requires = "qmp_socket", help_heading = "QEMU")]
    nodes: Vec<(String, String)>,

    /// Socket of the NBD server that the process of --qmp-socket runs already; else one is started for each snapshot.
    #[arg(
        long,
        value_name = "PATH",
        requires = "qmp_socket",
        help_heading = "QEMU"
    )]
    nbd_socket: Option<PathBuf>,

    /// Name or UUID of the libvirt domain.
    #[arg(long, value_name = "NAME", help_heading = "libvirt")]
    domain: Option<String>,

    /// Connection of libvirt [default: qemu:///system].
    #[arg(
        long,
        value_name = "URI",
        requires = "domain",
        help_heading = "libvirt"
    )]
    uri: Option<String>,

    /// Folder for what the guest of --qmp-socket or --domain overwrites while it is snapshotted; its user has to be able to write there
    /// [default: below the data folder].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Seconds that a guest is given to shut down before it is ended [default: 60].
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u64>,
}

fn parse_node(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((volume, node)) if !volume.is_empty() && !node.is_empty() => {
            Ok((volume.to_owned(), node.to_owned()))
        }
        _ => Err("write VOLUME=NODE".to_owned()),
    }
}

/// Adds an instance.
pub(super) async fn add(arguments: AddArgs, session: &Session) -> Result<Exit, Failure> {
    let host = host(&arguments)?;
    let wanted = AddInstance {
        name: arguments.name,
        description: arguments.description,
        id: arguments.id,
        volumes: arguments.volumes,
        host: Some(host),
    };
    let added: Instance = session.client.post(&["instances"], &wanted).await?;
    session.output.show(&added, |added| {
        format!(
            "instance {} ({}) has {}\nsnapshot it: snapkeep instance snapshot {0}",
            added.id,
            added.name,
            added.volumes.join(", ")
        )
    })?;
    Ok(Exit::Ok)
}

/// The description of the host, as the API takes it.
fn host(given: &AddArgs) -> Result<Value, Failure> {
    let hooks = [
        ("freeze", &given.freeze),
        ("thaw", &given.thaw),
        ("stop", &given.stop),
        ("start", &given.start),
        ("status", &given.status),
    ];
    let is_given = |name: &str| {
        hooks
            .iter()
            .any(|(hook, argv)| *hook == name && argv.is_some())
    };
    let told = if given.domain.is_some() {
        "libvirt"
    } else if given.qmp_socket.is_some() {
        "qmp"
    } else if hooks.iter().any(|(_, argv)| argv.is_some()) {
        "hooks"
    } else {
        "none"
    };
    let driver = given.driver.as_deref().unwrap_or(told);
    let usable: &[&str] = match driver {
        "hooks" => &["freeze", "thaw", "stop", "start", "status"],
        "qmp" => &["start"],
        _ => &[],
    };
    let unusable = hooks
        .iter()
        .find(|(hook, _)| is_given(hook) && !usable.contains(hook));
    if let Some((hook, _)) = unusable {
        return Err(Failure::usage(format!(
            "--{hook} is nothing for driver {driver}"
        )));
    }
    if driver != told && !(driver == "hooks" && told == "none") && driver != "none" {
        return Err(Failure::usage(format!(
            "--driver {driver} does not go with what else is given"
        ))
        .hint("qmp needs --qmp-socket, libvirt needs --domain, hooks need a hook such as --stop"));
    }
    let mut host = Map::new();
    host.insert("driver".to_owned(), json!(driver));
    for (hook, argv) in hooks {
        if let Some(argv) = argv {
            let words = words(hook, argv)?;
            let mut described = json!({"argv": words});
            if let Some(seconds) = given.hook_timeout {
                described["timeout_s"] = json!(seconds);
            }
            host.insert(hook.to_owned(), described);
        }
    }
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            host.insert(key.to_owned(), value);
        }
    };
    set("socket", given.qmp_socket.as_ref().map(|path| json!(path)));
    set(
        "guest_agent",
        given.guest_agent.as_ref().map(|path| json!(path)),
    );
    if !given.nodes.is_empty() {
        let nodes = given.nodes.iter();
        let nodes: Map<String, Value> = nodes
            .map(|(volume, node)| (volume.clone(), json!({"node": node})))
            .collect();
        set("nodes", Some(Value::Object(nodes)));
    }
    set(
        "nbd_socket",
        given.nbd_socket.as_ref().map(|path| json!(path)),
    );
    set("scratch", given.scratch.as_ref().map(|path| json!(path)));
    set("domain", given.domain.as_ref().map(|name| json!(name)));
    set("uri", given.uri.as_ref().map(|uri| json!(uri)));
    set(
        "stop_timeout_s",
        given.stop_timeout.map(|seconds| json!(seconds)),
    );
    Ok(Value::Object(host))
}

/// A hook's program and arguments.
fn words(hook: &str, text: &str) -> Result<Vec<String>, Failure> {
    if !text.trim_start().starts_with('[') {
        return Ok(text.split_whitespace().map(str::to_owned).collect());
    }
    serde_json::from_str(text).map_err(|cause| {
        Failure::usage(format!("--{hook} is no JSON array of words: {cause}"))
            .hint(r#"write for example '["/usr/local/bin/stop-db", "with space"]'"#)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> AddArgs {
        AddArgs {
            name: "db".into(),
            volumes: vec!["vol-abc1234".into()],
            ..AddArgs::default()
        }
    }

    #[test]
    fn the_driver_is_told_by_what_is_given() {
        assert_eq!(host(&given()).unwrap(), json!({"driver": "none"}));
        let hooks = AddArgs {
            stop: Some("/bin/stop now".into()),
            start: Some(r#"["/bin/start", "with space"]"#.into()),
            hook_timeout: Some(5),
            ..given()
        };
        let expected = json!({
            "driver": "hooks",
            "stop": {"argv": ["/bin/stop", "now"], "timeout_s": 5},
            "start": {"argv": ["/bin/start", "with space"], "timeout_s": 5},
        });
        assert_eq!(host(&hooks).unwrap(), expected);
        let qmp = AddArgs {
            qmp_socket: Some("/run/q".into()),
            nodes: vec![("vol-abc1234".into(), "disk0".into())],
            ..given()
        };
        let expected = json!({"driver": "qmp", "socket": "/run/q", "nodes": {"vol-abc1234": {"node": "disk0"}}});
        assert_eq!(host(&qmp).unwrap(), expected);
        let libvirt = AddArgs {
            domain: Some("mail1".into()),
            ..given()
        };
        assert_eq!(
            host(&libvirt).unwrap(),
            json!({"driver": "libvirt", "domain": "mail1"})
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let of = |change: fn(&mut AddArgs)| {
            let mut arguments = given();
            change(&mut arguments);
            host(&arguments).unwrap_err().exit
        };
        assert_eq!(of(|it| it.driver = Some("qmp".into())), Exit::Usage);
        let freeze_with_domain = |it: &mut AddArgs| {
            it.domain = Some("mail1".into());
            it.freeze = Some("/bin/freeze".into());
        };
        assert_eq!(of(freeze_with_domain), Exit::Usage);
        assert_eq!(of(|it| it.stop = Some("[\"/bin/x\"".into())), Exit::Usage);
    }
}
