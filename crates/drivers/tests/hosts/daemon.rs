//! Programs that serve QMP, as the tests use them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snapkeep_drivers::volume::host::{HostContext, HostControl, HostSpec, QmpSpec};
use snapkeep_drivers::volume::{DiskSource, VolumeFormat};

const PATIENCE: Duration = Duration::from_secs(60);
pub const MIB: u64 = 1 << 20;

/// Whether the programs are there; says which is not.
pub fn has(programs: &[&str]) -> bool {
    for program in programs {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            eprintln!(
                "not tested: {program} is not installed (packages qemu-utils, qemu-system-common, qemu-system-x86)"
            );
            return false;
        }
    }
    true
}

/// Runs a program that has to succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A running program with a QMP socket, and the folder of its disks.
pub struct Daemon {
    pub folder: PathBuf,
    child: Child,
    is_whole: bool,
}

impl Daemon {
    /// qemu-storage-daemon with the disks `d0`, `d1`, … of `folder`, each exported for writing as `live0`, `live1`, ….
    pub fn storage(folder: &Path, disks: &[&str]) -> Self {
        let mut command = Command::new("qemu-storage-daemon");
        command.args(["--nbd-server", "addr.type=unix,addr.path=live.sock"]);
        for (position, disk) in disks.iter().enumerate() {
            let path = folder.join(disk).display().to_string();
            let format = format_of(disk);
            command.args([
                "--blockdev",
                &format!("driver=file,node-name=f{position},filename={path}"),
                "--blockdev",
                &format!("driver={format},node-name=d{position},file=f{position}"),
                "--export",
                &format!(
                    "nbd,id=live{position},node-name=d{position},name=live{position},writable=on"
                ),
            ]);
        }
        command.args([
            "--chardev",
            "socket,path=qmp.sock,server=on,wait=off,id=c",
            "--monitor",
            "chardev=c",
        ]);
        Self::spawn(command, folder, false)
    }

    /// A whole QEMU without a guest, with the disks as virtio devices.
    pub fn machine(folder: &Path, disks: &[&str]) -> Self {
        let mut arguments = Vec::new();
        for (position, disk) in disks.iter().enumerate() {
            let path = folder.join(disk).display().to_string();
            let format = format_of(disk);
            arguments.extend([
                "-blockdev".to_owned(),
                format!("driver=file,node-name=f{position},filename={path}"),
                "-blockdev".to_owned(),
                format!("driver={format},node-name=d{position},file=f{position}"),
                "-device".to_owned(),
                format!("virtio-blk-pci,drive=d{position},id=vd{position}"),
            ]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::machine_with(folder, &arguments)
    }

    /// A whole QEMU without a guest, with these arguments beside.
    pub fn machine_with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-machine",
            "q35,accel=tcg",
            "-m",
            "32",
            "-display",
            "none",
            "-nodefaults",
        ]);
        command.args(arguments);
        command.args(["-qmp", "unix:qmp.sock,server=on,wait=off"]);
        Self::spawn(command, folder, true)
    }

    fn spawn(mut command: Command, folder: &Path, is_whole: bool) -> Self {
        let _ = fs::remove_file(folder.join("qmp.sock"));
        let log = File::create(folder.join("daemon.log")).unwrap();
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self {
            folder: folder.to_owned(),
            child,
            is_whole,
        };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(folder.join("qmp.sock")).is_err() {
            let log = fs::read_to_string(folder.join("daemon.log")).unwrap();
            assert!(Instant::now() < deadline, "it does not answer: {log}");
            thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// Writes as the guest does: `qemu-io`'s command on a disk.
    pub fn io(&self, disk: usize, line: &str) -> String {
        if self.is_whole {
            return self.io_on(
                &format!("/machine/peripheral/vd{disk}/virtio-backend"),
                line,
            );
        }
        let uri = format!(
            "nbd+unix:///live{disk}?socket={}",
            self.folder.join("live.sock").display()
        );
        run("qemu-io", &["-f", "raw", "-c", line, &uri])
    }

    /// The same on a device of a whole QEMU, by its QOM path or id.
    pub fn io_on(&self, device: &str, line: &str) -> String {
        let log = self.folder.join("daemon.log");
        let before = fs::read_to_string(&log).unwrap().len();
        self.qmp(
            "human-monitor-command",
            json!({"command-line": format!("qemu-io -d {device} \"{line}\"")}),
        );
        // What the command says goes to the program's own output.
        fs::read_to_string(&log).unwrap().split_off(before)
    }

    /// Runs a QMP command.
    pub fn qmp(&self, command: &str, arguments: Value) -> Value {
        let stream = UnixStream::connect(self.folder.join("qmp.sock")).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut answer = |id: u64| loop {
            let value: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if value.get("QMP").is_some() || value["id"] == id {
                return value;
            }
        };
        answer(0);
        for (id, command, arguments) in
            [(1, "qmp_capabilities", json!({})), (2, command, arguments)]
        {
            let request = json!({"execute": command, "arguments": arguments, "id": id});
            writeln!(&stream, "{request}").unwrap();
            let value = answer(id);
            assert!(value.get("error").is_none(), "{command}: {value}");
            if id == 2 {
                return value["return"].clone();
            }
        }
        unreachable!()
    }

    /// Names of all block nodes, and of the bitmaps of one.
    pub fn nodes(&self) -> Vec<String> {
        let nodes = self.qmp("query-named-block-nodes", json!({"flat": true}));
        let mut names: Vec<String> = nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["node-name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    pub fn bitmaps(&self, node: &str) -> Vec<Value> {
        let nodes = self.qmp("query-named-block-nodes", json!({"flat": true}));
        let node = nodes
            .as_array()
            .unwrap()
            .iter()
            .find(|found| found["node-name"] == node)
            .unwrap()
            .clone();
        node["dirty-bitmaps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|bitmap| bitmap.get("name").is_some())
            .cloned()
            .collect()
    }

    /// A description of it as a host.
    pub fn spec(&self) -> QmpSpec {
        QmpSpec {
            socket: self.folder.join("qmp.sock"),
            nbd_socket: (!self.is_whole).then(|| self.folder.join("live.sock")),
            ..QmpSpec::default()
        }
    }

    /// The control of it as a host.
    pub fn host(&self) -> Box<dyn HostControl> {
        HostSpec::Qmp(self.spec()).control(HostContext {
            instance: "i-abc1234".into(),
            ..HostContext::default()
        })
    }

    /// Whether the process is still there.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// As a power cut does it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn format_of(disk: &str) -> &str {
    disk.rsplit_once('.').unwrap().1
}

/// A disk of `mib` MiB, of the format that its name ends with.
pub fn create(folder: &Path, disk: &str, mib: u64) {
    let path = folder.join(disk).display().to_string();
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            format_of(disk),
            &path,
            &format!("{mib}M"),
        ],
    );
}

pub fn source(folder: &Path, disk: &str) -> DiskSource {
    DiskSource {
        volume: format!("vol-{}", disk.split('.').next().unwrap()),
        format: match format_of(disk) {
            "qcow2" => VolumeFormat::Qcow2,
            _ => VolumeFormat::Raw,
        },
        location: folder.join(disk).display().to_string(),
    }
}
