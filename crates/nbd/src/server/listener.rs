//! Starting a server, its connections, and its end.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustls::ServerConfig;

use super::export::Export;
use super::listening::Listening;
use super::{handshake, transmission};
use crate::error::NbdError;
use crate::tls;
use crate::transport::Socket;
use crate::uri::Uri;

/// How long requests that are under way may take when the server ends.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Pause after an accept that failed, as when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenOn {
    /// A UNIX socket that only the same user may connect to.
    Unix(PathBuf),
    /// A TCP address; without TLS only of the loopback interface.
    Tcp(SocketAddr),
}

/// Files for TLS, all in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The server's certificate, with those up to an authority behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of clients: who has no certificate of one of them is refused.
    pub client_authorities: Option<PathBuf>,
}

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where it listens.
    pub listen_on: ListenOn,
    /// With it, nothing is shown to who does not use TLS.
    pub tls: Option<ServerTls>,
    /// The names of exports are secrets: they are not listed, and there is no default export.
    pub has_secret_names: bool,
    /// Connections at one time; more are closed at once. Each takes up to four threads and about 4 MiB.
    pub max_connections: usize,
}

impl ServerOptions {
    /// Without TLS, 32 connections.
    pub fn new(listen_on: ListenOn) -> Self {
        Self {
            listen_on,
            tls: None,
            has_secret_names: false,
            max_connections: 32,
        }
    }
}

/// An export with its name.
#[derive(Clone)]
pub struct NamedExport {
    /// What clients ask for. The first one of a server is also the default.
    pub name: String,
    /// For people.
    pub description: String,
    /// The disk.
    pub export: Arc<dyn Export>,
}

impl fmt::Debug for NamedExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedExport")
            .field("name", &self.name)
            .field("size_bytes", &self.export.size_bytes())
            .finish_non_exhaustive()
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub exports: Vec<NamedExport>,
    pub tls: Option<Arc<ServerConfig>>,
    pub has_secret_names: bool,
    max_connections: usize,
    is_ending: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, (Arc<Socket>, Option<JoinHandle<()>>)>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The export of this name.
    pub(super) fn export(&self, name: &str) -> Option<&NamedExport> {
        if name.is_empty() && !self.has_secret_names {
            return self.exports.first();
        }
        self.exports
            .iter()
            .find(|export| export.name == name && !name.is_empty())
    }
}

/// A running server. It ends when it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    listen_on: ListenOn,
    /// Writing to it ends the waiting for clients.
    wake: UnixStream,
    accepting: Option<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listen_on", &self.listen_on)
            .field("exports", &self.shared.exports)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Listens and serves, on threads of its own.
    ///
    /// # Errors
    /// [`NbdError::Setup`] when it cannot listen there, or should not: in the clear for other hosts. [`NbdError::Tls`] when the
    /// certificate cannot be used.
    pub fn start(options: ServerOptions, exports: Vec<NamedExport>) -> Result<Self, NbdError> {
        if let ListenOn::Tcp(address) = &options.listen_on
            && options.tls.is_none()
            && !address.ip().is_loopback()
        {
            return Err(NbdError::Setup {
                operation: "will not listen on",
                object: address.to_string(),
                cause: "other hosts could read the disk in the clear; use 127.0.0.1 or a UNIX socket, or give a TLS certificate and key"
                    .to_owned(),
            });
        }
        let config = options.tls.as_ref().map(tls::server_config).transpose()?;
        let listening = Listening::open(&options.listen_on)?;
        let listen_on = match listening.address() {
            Some(address) => ListenOn::Tcp(address),
            None => options.listen_on.clone(),
        };
        let pipe = UnixStream::pair();
        let (wake, woken) = pipe.map_err(NbdError::io("setting up a server"))?;
        let shared = Arc::new(Shared {
            exports,
            tls: config,
            has_secret_names: options.has_secret_names,
            max_connections: options.max_connections,
            is_ending: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("nbd-accept".to_owned())
                .spawn(move || accept(&shared, &listening, &woken))
                .map_err(NbdError::io("setting up a server"))?
        };
        Ok(Self {
            shared,
            listen_on,
            wake,
            accepting: Some(accepting),
        })
    }

    /// Where it listens, with the port that the system chose if none was given.
    pub fn listen_on(&self) -> &ListenOn {
        &self.listen_on
    }

    /// The URI of an export, as seen from this host.
    pub fn uri(&self, export: &str) -> Uri {
        let mut uri = match &self.listen_on {
            ListenOn::Unix(path) => Uri::unix(path, export),
            ListenOn::Tcp(address) => Uri::tcp(&address.ip().to_string(), address.port(), export),
        };
        uri.is_tls = self.shared.tls.is_some();
        uri
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.shared.open().connections.len()
    }

    /// Accepts nobody any more, lets requests that are under way be answered, closes all connections and flushes the exports.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        self.shared.is_ending.store(true, Ordering::SeqCst);
        // It fails only if the other end is gone, and with it the thread.
        let _ = self.wake.write_all(&[1]);
        join(accepting);
        let sockets: Vec<_> = self
            .shared
            .open()
            .connections
            .values()
            .map(|(socket, _)| Arc::clone(socket))
            .collect();
        sockets.iter().for_each(|socket| socket.stop_reading());
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline && self.connections() > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        sockets.iter().for_each(|socket| socket.shut_down());
        let left: Vec<_> = {
            let mut open = self.shared.open();
            open.connections
                .drain()
                .filter_map(|(_, (_, thread))| thread)
                .collect()
        };
        left.into_iter().for_each(join);
        for export in &self.shared.exports {
            if !export.export.is_read_only()
                && let Err(cause) = export.export.flush()
            {
                tracing::error!(%cause, export = export.name, "what was written could not be made durable");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the NBD server ended abnormally");
    }
}

fn accept(shared: &Arc<Shared>, listening: &Listening, woken: &UnixStream) {
    while !shared.is_ending.load(Ordering::SeqCst) {
        let mut waiting = [
            PollFd::new(listening, PollFlags::IN),
            PollFd::new(woken, PollFlags::IN),
        ];
        if let Err(cause) = poll(&mut waiting, None)
            && cause != rustix::io::Errno::INTR
        {
            tracing::error!(%cause, "cannot wait for NBD clients");
            break;
        }
        match listening.accept() {
            Ok(Some(socket)) => admit(shared, socket),
            Ok(None) => {}
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept an NBD client");
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
    listening.remove();
}

/// Starts the thread of a connection, unless there are too many.
fn admit(shared: &Arc<Shared>, socket: Socket) {
    let socket = Arc::new(socket);
    let mut open = shared.open();
    if open.connections.len() >= shared.max_connections {
        tracing::warn!(
            limit = shared.max_connections,
            "an NBD client was turned away: too many connections"
        );
        return;
    }
    let number = open.next;
    open.next += 1;
    let started = {
        let (shared, socket) = (Arc::clone(shared), Arc::clone(&socket));
        let leave = Leave(Arc::clone(&shared), number);
        std::thread::Builder::new()
            .name("nbd-connection".to_owned())
            .spawn(move || {
                let _leave = leave;
                serve(&shared, &socket);
            })
    };
    match started {
        // The thread cannot have left yet: leaving takes the lock that is held here.
        Ok(thread) => {
            open.connections.insert(number, (socket, Some(thread)));
        }
        Err(cause) => {
            drop(open);
            tracing::warn!(%cause, "no thread for an NBD client");
        }
    }
}

/// Takes a connection off the list when its thread ends, whatever the reason.
struct Leave(Arc<Shared>, u64);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.open().connections.remove(&self.1);
    }
}

fn serve(shared: &Shared, socket: &Arc<Socket>) {
    match handshake::agree(shared, socket) {
        Ok(Some(agreed)) => transmission::serve(&agreed),
        Ok(None) => {}
        Err(cause) => tracing::debug!(%cause, "an NBD client did not get through the handshake"),
    }
    socket.shut_down();
}
