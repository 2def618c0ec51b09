//! Sockets that wait for clients.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};

use super::listener::ListenOn;
use crate::error::NbdError;
use crate::transport::Socket;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A bound socket.
#[derive(Debug)]
pub(super) enum Listening {
    Unix {
        listener: UnixListener,
        path: PathBuf,
        /// Device and inode, to remove the file only while it is this one.
        file: (u64, u64),
    },
    Tcp(TcpListener),
}

fn setup(object: impl ToString, cause: impl ToString) -> NbdError {
    NbdError::Setup {
        operation: "cannot listen on",
        object: object.to_string(),
        cause: cause.to_string(),
    }
}

impl Listening {
    pub(super) fn open(on: &ListenOn) -> Result<Self, NbdError> {
        match on {
            ListenOn::Tcp(address) => {
                let listener = TcpListener::bind(address).map_err(|cause| setup(address, cause))?;
                listener
                    .set_nonblocking(true)
                    .map_err(|cause| setup(address, cause))?;
                Ok(Self::Tcp(listener))
            }
            ListenOn::Unix(path) => open_unix(path),
        }
    }

    /// The address with the port that the system chose.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// The next client, or nothing if there is none now.
    pub(super) fn accept(&self) -> io::Result<Option<Socket>> {
        let accepted = match self {
            Self::Unix { listener, .. } => {
                listener.accept().map(|(stream, _)| Socket::Unix(stream))
            }
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
        };
        let socket = match accepted {
            Ok(socket) => socket,
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(cause) => return Err(cause),
        };
        match &socket {
            Socket::Unix(stream) => stream.set_nonblocking(false)?,
            Socket::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                // A host that vanished does not keep its connection for ever.
                sockopt::set_socket_keepalive(stream, true)?;
            }
        }
        Ok(Some(socket))
    }

    /// Removes the file of the socket, if it still is this socket's.
    pub(super) fn remove(&self) {
        let Self::Unix { path, file, .. } = self else {
            return;
        };
        let is_ours =
            std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == *file);
        if is_ours && let Err(cause) = std::fs::remove_file(path) {
            tracing::debug!(%cause, socket = %path.display(), "cannot remove the socket");
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix { listener, .. } => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

fn open_unix(path: &Path) -> Result<Listening, NbdError> {
    make_way(path)?;
    let opened = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The file gets the mode that the socket has when it is bound: there is no moment at which others could connect.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok::<_, rustix::io::Errno>(socket)
    };
    let listener = opened().map_err(|cause| match cause {
        rustix::io::Errno::NAMETOOLONG => setup(
            path.display(),
            "the path is too long for a socket (107 bytes); use a shorter one",
        ),
        cause => setup(path.display(), io::Error::from(cause)),
    })?;
    let file = std::fs::symlink_metadata(path).map_err(|cause| setup(path.display(), cause))?;
    Ok(Listening::Unix {
        listener: UnixListener::from(listener),
        path: path.to_owned(),
        file: (file.dev(), file.ino()),
    })
}

/// Removes a socket that a server left which is gone.
fn make_way(path: &Path) -> Result<(), NbdError> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(setup(
            path.display(),
            "there is a file of this name already; choose another name",
        ));
    }
    match UnixStream::connect(path) {
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|cause| setup(path.display(), cause))
        }
        _ => Err(setup(
            path.display(),
            "it is in use by another server; choose another name",
        )),
    }
}
