//! `snapkeep volume serve`.

mod disk;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString};
use serde_json::json;
use snapkeep_engine::StoredDisk;
use snapkeep_nbd::{
    Export, ListenOn, NamedExport, NbdError, Overlay, Server, ServerOptions, ServerTls,
};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use super::source::Source;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::bytes;
use disk::SnapshotDisk;

const MIB: u64 = 1 << 20;
/// Letters and digits of a name that nobody guesses: 190 bits.
const SECRET_LENGTH: usize = 32;

pub(super) const EXAMPLES: &str = "\
The disk can be used at once, whatever its size: what is read comes from the repository and is checked
against its hashes. Nothing is restored, and the snapshot never changes. With --writable, what is written
goes to a scratch file: a virtual machine can boot from the snapshot. It is served until Ctrl-C, and the
repository is locked against the removal of data for as long.

A UNIX socket is for its user only. At a TCP port the export has a name that cannot be guessed, unless one is
given; other hosts than this one need TLS.

Examples:
  snapkeep volume serve ss-abc1234 --socket /run/disk.sock
  snapkeep volume serve ss-abc1234 --volume vol-abc1234 --writable
  snapkeep volume serve ss-abc1234 --overlay /var/tmp/test.overlay        Kept: serve it again to go on
  snapkeep volume serve ss-abc1234 --listen 127.0.0.1:10809 --export-name disk
  snapkeep volume serve ss-abc1234 --listen 0.0.0.0:10809 --tls-certificate cert.pem --tls-key key.pem";

/// Arguments of `snapkeep volume serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The snapshot, such as ss-abc1234.
    snapshot: String,

    /// Which disk of an instance.
    #[arg(long, value_name = "VOLUME")]
    volume: Option<String>,

    /// Repository of the snapshot [default: the one that the server knows it in].
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,

    /// Let clients write. What they write is gone at the end, unless --overlay is given.
    #[arg(long)]
    writable: bool,

    /// Keep what clients write in this file, and go on with it if it exists. It fits this disk of this snapshot only.
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,

    /// Serve at this UNIX socket [default: one in a new private folder].
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,

    /// Serve at this TCP address; the usual port is 10809, 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// File with the certificate chain, PEM; with it only clients with TLS are served.
    #[arg(
        long,
        visible_alias = "tls-cert",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_certificate: Option<PathBuf>,

    /// File with the certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Serve only clients with a certificate of one of the authorities in this file, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,

    /// Name of the export [default: the volume's; at a TCP port without --tls-client-ca one that cannot be guessed].
    #[arg(long, value_name = "NAME", value_parser = export_name)]
    export_name: Option<String>,

    /// Memory for what was read a moment ago, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    cache: u64,
}

fn export_name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=256 => Ok(text.to_owned()),
        _ => Err("a name of 1 to 256 bytes is wanted".to_owned()),
    }
}

/// A server with what has to live as long.
struct Serving {
    server: Server,
    export: String,
    volume: String,
    size_bytes: u64,
    overlay: Option<Arc<Overlay>>,
    /// Of the socket that nobody named.
    _folder: Option<TempDir>,
}

/// Serves until it is interrupted.
pub(super) async fn run(arguments: ServeArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    // Asked first, so that a signal while the repository is being opened is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let repository = arguments.repository.as_deref();
    let source = Source::find(&arguments.snapshot, repository, connect).await?;
    crate::serve::logging::install(crate::config::LogFormat::Text, "warn")?;
    let output = connect.output();
    let runtime = tokio::runtime::Handle::current();
    let started = tokio::task::spawn_blocking(move || {
        let volume = arguments.volume.as_deref();
        let disk = source.open(volume, arguments.cache * MIB, runtime)?;
        start(&arguments, Arc::new(disk)).map(|serving| (serving, arguments))
    });
    let (serving, arguments) = started.await.map_err(Failure::failed)??;
    output.show(&described(&serving, &arguments), |_| {
        told(&serving, &arguments)
    })?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let ended = tokio::task::spawn_blocking(move || end(serving));
    ended.await.map_err(Failure::failed)??;
    Ok(Exit::Ok)
}

fn start(arguments: &ServeArgs, disk: Arc<StoredDisk>) -> Result<Serving, Failure> {
    let volume = disk.shape().volume.clone();
    let size_bytes = disk.shape().size_bytes;
    let belongs_to = format!(
        "{volume} of snapshot {}, {size_bytes} bytes, content {}",
        arguments.snapshot,
        disk.content_id()
    );
    let disk: Arc<dyn Export> = Arc::new(SnapshotDisk::new(disk));
    let overlay = match (&arguments.overlay, arguments.writable) {
        (Some(file), _) => Some(Overlay::kept(Arc::clone(&disk), file, &belongs_to)),
        (None, true) => Some(Overlay::temporary(Arc::clone(&disk), &scratch_folder())),
        (None, false) => None,
    };
    let overlay = overlay.transpose().map_err(refused)?.map(Arc::new);
    let export: Arc<dyn Export> = match &overlay {
        Some(overlay) => Arc::clone(overlay) as Arc<dyn Export>,
        None => disk,
    };
    let (listen_on, folder) = place(arguments)?;
    let has_secret_names = has_secret_name(arguments);
    let name = match &arguments.export_name {
        Some(name) => name.clone(),
        None if has_secret_names => Alphanumeric.sample_string(&mut rand::rng(), SECRET_LENGTH),
        None => volume.clone(),
    };
    let options = ServerOptions {
        tls: tls(arguments),
        has_secret_names,
        ..ServerOptions::new(listen_on)
    };
    let named = NamedExport {
        name: name.clone(),
        description: format!("{volume} of snapshot {}", arguments.snapshot),
        export,
    };
    Ok(Serving {
        server: Server::start(options, vec![named]).map_err(refused)?,
        export: name,
        volume,
        size_bytes,
        overlay,
        _folder: folder,
    })
}

/// Nothing was done: another file, socket, address or certificate is needed.
fn refused(error: NbdError) -> Failure {
    Failure::new(Exit::Usage, "cannot_serve", error)
}

/// At a TCP port every user of the host, or of the network, can knock.
fn has_secret_name(arguments: &ServeArgs) -> bool {
    match arguments.listen {
        Some(address) if arguments.tls_client_ca.is_none() => {
            arguments.export_name.is_none() || !address.ip().is_loopback()
        }
        _ => false,
    }
}

fn tls(arguments: &ServeArgs) -> Option<ServerTls> {
    Some(ServerTls {
        certificate: arguments.tls_certificate.clone()?,
        key: arguments.tls_key.clone()?,
        client_authorities: arguments.tls_client_ca.clone(),
    })
}

fn place(arguments: &ServeArgs) -> Result<(ListenOn, Option<TempDir>), Failure> {
    match (&arguments.listen, &arguments.socket) {
        (Some(address), _) => Ok((ListenOn::Tcp(*address), None)),
        (None, Some(socket)) => Ok((ListenOn::Unix(std::path::absolute(socket)?), None)),
        (None, None) => {
            let folder = tempfile::Builder::new()
                .prefix("snapkeep-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()?;
            let socket = folder
                .path()
                .join(format!("{}.sock", file_name(&arguments.snapshot)));
            Ok((ListenOn::Unix(socket), Some(folder)))
        }
    }
}

/// A name of a snapshot as part of the name of a file.
fn file_name(snapshot: &str) -> String {
    let safe = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    snapshot.chars().take(40).map(safe).collect()
}

/// Where much may be written: `/tmp` is often memory.
fn scratch_folder() -> PathBuf {
    let usual = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if usual.is_dir() => usual.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// Lets requests that are under way be answered, and makes durable what was written.
fn end(serving: Serving) -> Result<(), Failure> {
    let Serving {
        server, overlay, ..
    } = serving;
    server.stop();
    let Some(overlay) = overlay else {
        return Ok(());
    };
    overlay.flush().map_err(|cause| {
        Failure::failed(format!("what was written is not durable: {cause}"))
            .hint("make room where the overlay is, and check what was written last")
    })
}

/// Commands to try, fitting what is served.
fn commands(serving: &Serving) -> Vec<String> {
    let uri = serving.server.uri(&serving.export);
    let uri = match uri.is_tls {
        // Where the authority's certificate is, only the operator knows.
        true => format!("'{uri}?tls-certificates=FOLDER'"),
        false => format!("'{uri}'"),
    };
    let mut commands = vec![
        format!("nbdinfo --map {uri}"),
        format!("nbdcopy {uri} disk.raw"),
    ];
    if !serving.server.uri("").is_tls {
        let drive = if serving.overlay.is_some() {
            ""
        } else {
            ",snapshot=on"
        };
        commands.push(format!(
            "qemu-system-x86_64 -m 2048 -drive file={uri},format=raw,if=virtio{drive}"
        ));
    }
    commands
}

fn described(serving: &Serving, arguments: &ServeArgs) -> serde_json::Value {
    json!({
        "uri": serving.server.uri(&serving.export).to_string(),
        "export": serving.export,
        "snapshot": arguments.snapshot,
        "volume": serving.volume,
        "size_bytes": serving.size_bytes,
        "writable": serving.overlay.is_some(),
        "overlay": arguments.overlay,
        "commands": commands(serving),
    })
}

fn told(serving: &Serving, arguments: &ServeArgs) -> String {
    let how = match (&serving.overlay, &arguments.overlay) {
        (None, _) => "read-only".to_owned(),
        (Some(_), None) => "writable; what is written is gone at the end".to_owned(),
        (Some(overlay), Some(file)) => format!(
            "writable; what is written is kept in {} ({} so far)",
            file.display(),
            bytes(overlay.written_bytes())
        ),
    };
    let mut text = format!(
        "serving {} of snapshot {} ({}), {how}\n\n  {}\n\nTry:\n",
        serving.volume,
        arguments.snapshot,
        bytes(serving.size_bytes),
        serving.server.uri(&serving.export)
    );
    for command in commands(serving) {
        text += &format!("  {command}\n");
    }
    text + "\nend it with Ctrl-C"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: ServeArgs,
    }

    fn parsed(line: &str) -> Result<ServeArgs, clap::Error> {
        let words = format!("serve ss-abc1234 {line}");
        Line::try_parse_from(words.split_whitespace()).map(|line| line.arguments)
    }

    #[test]
    fn whoever_can_knock_without_a_certificate_needs_a_secret_name() {
        let is_secret = |line: &str| has_secret_name(&parsed(line).unwrap());
        assert!(!is_secret(""));
        assert!(!is_secret("--socket /run/s"));
        assert!(is_secret("--listen 127.0.0.1:0"));
        assert!(!is_secret("--listen 127.0.0.1:0 --export-name disk"));
        let tls = "--tls-certificate c --tls-key k";
        assert!(is_secret(&format!(
            "--listen 0.0.0.0:0 {tls} --export-name disk"
        )));
        assert!(!is_secret(&format!(
            "--listen 0.0.0.0:0 {tls} --tls-client-ca a"
        )));
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for line in [
            "--socket s --listen 127.0.0.1:0",
            "--tls-certificate c",
            "--tls-key k",
            "--tls-client-ca a",
            "--listen here",
            "--cache 0",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert!(parsed("--tls-cert c --tls-key k --listen [::1]:0").is_ok());
    }

    #[test]
    fn a_socket_that_nobody_named_is_in_a_private_folder() {
        let (listen_on, folder) = place(&parsed("").unwrap()).unwrap();
        let folder = folder.unwrap();
        let mode = std::fs::metadata(folder.path())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        let socket = folder.path().join("ss-abc1234.sock");
        assert_eq!(listen_on, ListenOn::Unix(socket));
        assert_eq!(file_name("a/../b c"), "a----b-c");
    }
}
