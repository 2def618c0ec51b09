//! The client against the servers of others. Run by `./test nbd`, which sees to the programs; by hand:
//! `cargo test -p snapkeep-nbd --test peers -- --ignored` (packages qemu-utils and nbdkit).
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{MIB, pattern};
use snapkeep_nbd::protocol::BASE_ALLOCATION;
use snapkeep_nbd::{Client, NbdError, Options, Uri};

const BITMAP: &str = "qemu:dirty-bitmap:b0";

fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// A server of somebody else, in a folder of its own, killed at the end.
struct Peer {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Peer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            child: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server that listens at the socket `s`, and waits for it.
    fn start(&mut self, program: &str, arguments: &[&str]) {
        let socket = self.path("s");
        let option = if program == "qemu-nbd" { "-k" } else { "-U" };
        let child = Command::new(program)
            .arg(option)
            .arg(&socket)
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn uri(&self) -> Uri {
        Uri::unix(&self.path("s"), "")
    }

    fn connect(&self) -> Result<Client, NbdError> {
        Client::connect(
            &self.uri(),
            &Options::with_contexts([BASE_ALLOCATION, BITMAP]),
        )
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            run("kill", &["-TERM", &child.id().to_string()]);
            child.wait().unwrap();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read_all(client: &Client) -> Vec<u8> {
    let mut bytes = vec![0xee; client.size_bytes() as usize];
    std::thread::scope(|scope| {
        for (number, piece) in bytes.chunks_mut(700_000).enumerate() {
            scope.spawn(move || client.read_at(number as u64 * 700_000, piece).unwrap());
        }
    });
    bytes
}

#[test]
#[ignore = "needs qemu-nbd; run by ./test nbd"]
fn a_qcow2_file_with_a_bitmap_is_read_through_qemu() {
    let mut peer = Peer::new();
    let (raw, qcow2) = (peer.path("disk.raw"), peer.path("disk.qcow2"));
    let mut disk = pattern(8 * MIB);
    std::fs::write(&raw, &disk).unwrap();
    run(
        "qemu-img",
        &["convert", "-O", "qcow2", text(&raw), text(&qcow2)],
    );
    run("qemu-img", &["bitmap", "--add", text(&qcow2), "b0"]);
    run(
        "qemu-io",
        &[
            "-c",
            "write -P 7 3M 64k",
            "-c",
            "write -P 8 6M 1k",
            text(&qcow2),
        ],
    );
    disk[3 * MIB..3 * MIB + 65536].fill(7);
    disk[6 * MIB..6 * MIB + 1024].fill(8);
    peer.start(
        "qemu-nbd",
        &["-r", "-t", "-f", "qcow2", "-B", "b0", "-A", "disk.qcow2"],
    );
    let client = peer.connect().unwrap();
    assert!(client.is_read_only() && client.has_context(BITMAP));
    assert!(read_all(&client) == disk);
    let dirty: Vec<_> = client.block_status(BITMAP, 0..8 * MIB as u64).unwrap();
    let dirty: Vec<_> = dirty
        .into_iter()
        .filter(|part| part.is_dirty())
        .map(|part| part.range)
        .collect();
    let at = |mib: u64| mib << 20..(mib << 20) + 65536;
    assert_eq!(dirty, [at(3), at(6)]);
    let zero = client
        .block_status(BASE_ALLOCATION, 0..8 * MIB as u64)
        .unwrap();
    assert_eq!(zero.iter().filter(|part| part.is_zero()).count(), 64);
    for part in zero.iter().filter(|part| part.is_zero()) {
        let range = part.range.start as usize..part.range.end as usize;
        assert!(disk[range].iter().all(|byte| *byte == 0));
    }
    client.disconnect().unwrap();
}

#[test]
#[ignore = "needs qemu-nbd; run by ./test nbd"]
fn what_is_written_through_qemu_is_in_the_file() {
    let mut peer = Peer::new();
    let raw = peer.path("disk.raw");
    let mut disk = pattern(8 * MIB);
    std::fs::write(&raw, &disk).unwrap();
    peer.start(
        "qemu-nbd",
        &["-t", "-f", "raw", "--discard=unmap", "disk.raw"],
    );
    let client = peer.connect().unwrap();
    assert!(!client.is_read_only());
    let data = pattern(5 * MIB);
    client.write_at(1024, &data).unwrap();
    disk[1024..1024 + data.len()].copy_from_slice(&data);
    client
        .write_zeroes(7 * MIB as u64..8 * MIB as u64, true)
        .unwrap();
    client.write_zeroes(512..1536, false).unwrap();
    disk[7 * MIB..].fill(0);
    disk[512..1536].fill(0);
    client.trim(7 * MIB as u64..8 * MIB as u64).unwrap();
    client.flush().unwrap();
    assert!(read_all(&client) == disk);
    drop(client);
    peer.end();
    assert!(std::fs::read(raw).unwrap() == disk);
}

fn nbdkit(peer: &mut Peer, options: &[&str], plugin: &[&str]) {
    let mut arguments = vec!["-f"];
    arguments.extend(options);
    arguments.extend(plugin);
    peer.start("nbdkit", &arguments);
}

#[test]
#[ignore = "needs nbdkit; run by ./test nbd"]
fn a_server_of_whole_blocks_is_read_anywhere() {
    let mut peer = Peer::new();
    let disk = pattern(2 * MIB);
    std::fs::write(peer.path("disk.raw"), &disk).unwrap();
    let policy = [
        "blocksize-minimum=4096",
        "blocksize-preferred=65536",
        "blocksize-maximum=131072",
    ];
    let policy = [
        &["disk.raw"][..],
        &policy,
        &["blocksize-error-policy=error"],
    ]
    .concat();
    nbdkit(
        &mut peer,
        &["--filter=blocksize-policy"],
        &[&["file"][..], &policy].concat(),
    );
    let client = peer.connect().unwrap();
    assert_eq!(client.block_sizes().minimum, 4096);
    let mut found = vec![0; MIB];
    client.read_at(12_345, &mut found).unwrap();
    assert!(found == disk[12_345..12_345 + MIB]);
    assert!(read_all(&client) == disk);
    let status = client.block_status(BASE_ALLOCATION, 5000..100_001).unwrap();
    assert_eq!(
        (status[0].range.start, status.last().unwrap().range.end),
        (5000, 100_001)
    );
    let uneven = client.write_at(1, b"x").unwrap_err();
    assert!(
        uneven.to_string().contains("whole blocks of 4096"),
        "{uneven}"
    );
    client.write_at(4096, &[5; 8192]).unwrap();
}

#[test]
#[ignore = "needs nbdkit; run by ./test nbd"]
fn a_server_without_structured_replies_is_read_without_contexts() {
    let mut peer = Peer::new();
    let disk = pattern(2 * MIB);
    std::fs::write(peer.path("disk.raw"), &disk).unwrap();
    nbdkit(&mut peer, &["--no-sr", "-r"], &["file", "disk.raw"]);
    let client = peer.connect().unwrap();
    assert!(!client.has_context(BASE_ALLOCATION));
    assert!(read_all(&client) == disk);
}

#[test]
#[ignore = "needs nbdkit; run by ./test nbd"]
fn servers_that_are_too_old_are_told_from_those_that_do_not_answer() {
    for option in ["-o", "--mask-handshake=0"] {
        let mut peer = Peer::new();
        nbdkit(&mut peer, &[option], &["memory", "1M"]);
        let error = peer.connect().unwrap_err().to_string();
        assert!(error.contains("too old"), "{option}: {error}");
    }
}

#[test]
#[ignore = "needs nbdkit; run by ./test nbd"]
fn errors_of_a_server_are_told_and_survived() {
    let mut peer = Peer::new();
    let options = ["--filter=error"];
    let plugin = [
        "memory",
        "1M",
        "error-pread=EIO",
        "error-pread-rate=100%",
        "error-pread-file=broken",
    ];
    std::fs::write(peer.path("broken"), "").unwrap();
    let broken = format!("error-pread-file={}", peer.path("broken").display());
    let plugin = [&plugin[..4], &[broken.as_str()]].concat();
    nbdkit(&mut peer, &options, &plugin);
    let client = peer.connect().unwrap();
    let error = client.read_at(0, &mut [0; 512]).unwrap_err();
    assert!(
        matches!(error, NbdError::Remote { .. }) && error.is_of_request(),
        "{error}"
    );
    std::fs::remove_file(peer.path("broken")).unwrap();
    client.read_at(0, &mut [0; 512]).unwrap();
    drop(peer);
    assert!(client.read_at(0, &mut [0; 512]).is_err());
}

#[test]
#[ignore = "needs nbdkit; run by ./test nbd"]
fn tls_of_others_is_spoken() {
    let mut peer = Peer::new();
    let disk = pattern(2 * MIB);
    std::fs::write(peer.path("disk.raw"), &disk).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let certificates = format!("--tls-certificates={}", folder.display());
    nbdkit(
        &mut peer,
        &["--tls=require", &certificates, "-r"],
        &["file", "disk.raw"],
    );
    assert!(peer.connect().unwrap_err().to_string().contains("TLS"));
    let mut uri = peer.uri();
    uri.is_tls = true;
    uri.tls_certificates = Some(folder);
    let client = Client::connect(&uri, &Options::with_contexts([BASE_ALLOCATION])).unwrap();
    assert!(read_all(&client) == disk);
    client.disconnect().unwrap();
}
