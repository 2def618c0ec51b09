//! The data folder: used by one process at a time, and how others find the server that uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

const LOCK_FILE: &str = "snapkeep.lock";
const SERVER_FILE: &str = "server.json";

/// What a running server writes into its data folder, for commands that look for it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServerInfo {
    /// Base address, such as `http://127.0.0.1:9250`.
    pub url: String,
    /// The certificate it shows, when it speaks TLS: commands on this machine trust it.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// All addresses it listens on.
    pub listen: Vec<std::net::SocketAddr>,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
}

/// Exclusive use of a data folder, until dropped. The operating system ends it with the process, so a crash leaves nothing to clear up.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Who uses a data folder.
#[derive(Debug)]
pub enum Use {
    /// The folder does not exist.
    Missing,
    /// Nobody; now this process.
    Ours(DataDir),
    /// A server that can be asked.
    Server(ServerInfo),
    /// A process that offers nothing to ask: an offline command, or a server that is starting or stopping.
    Busy,
}

impl DataDir {
    /// Creates the folder if missing (for its owner only) and takes it.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|cause| {
                Failure::failed(format!(
                    "cannot create the data folder {}: {cause}",
                    path.display()
                ))
                .hint("choose a folder that this user may write to: --data-dir DIR")
            })?;
        match look(path)? {
            Use::Ours(taken) => Ok(taken),
            Use::Server(server) => Err(Failure::new(
                Exit::Unreachable,
                "data_dir_in_use",
                format!(
                    "the data folder {} is used by the server at {} (process {})",
                    path.display(),
                    server.url,
                    server.pid
                ),
            )
            .hint("stop that server, or choose another --data-dir")),
            Use::Busy | Use::Missing => Err(busy(path)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells other processes where this server listens. Written under another name and renamed, so that nobody reads half of it.
    pub fn announce(&self, server: &ServerInfo) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(server).map_err(Failure::failed)?;
        let temporary = self.path.join("server.json.new");
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, self.path.join(SERVER_FILE))?;
        Ok(())
    }

    /// Takes the announcement back.
    pub fn withdraw(&self) {
        if let Err(cause) = std::fs::remove_file(self.path.join(SERVER_FILE))
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%cause, "cannot remove server.json; commands will notice that nobody holds the lock");
        }
    }
}

/// That another process works in `path` and cannot be asked.
pub fn busy(path: &Path) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "data_dir_in_use",
        format!(
            "another process works in the data folder {}",
            path.display()
        ),
    )
    .hint("wait until it has ended, or name its server with --server URL")
}

/// Finds out who uses the folder, and takes it when nobody does.
pub fn look(path: &Path) -> Result<Use, Failure> {
    if !path.is_dir() {
        return Ok(Use::Missing);
    }
    let lock_path = path.join(LOCK_FILE);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|cause| {
            Failure::failed(format!("cannot open {}: {cause}", lock_path.display()))
                .hint("run as the user who owns the data folder")
        })?;
    match lock.try_lock() {
        Ok(()) => Ok(Use::Ours(DataDir {
            path: path.to_owned(),
            _lock: lock,
        })),
        Err(TryLockError::WouldBlock) => match std::fs::read(path.join(SERVER_FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text).map_or(Use::Busy, Use::Server)),
            Err(_) => Ok(Use::Busy),
        },
        Err(TryLockError::Error(cause)) => Err(Failure::failed(format!(
            "cannot lock {}: {cause}",
            lock_path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_a_server_can_be_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        assert!(matches!(look(&path).unwrap(), Use::Missing));
        let taken = DataDir::take(&path).unwrap();
        assert!(matches!(look(&path).unwrap(), Use::Busy));
        let server = ServerInfo {
            url: "http://127.0.0.1:1".into(),
            certificate: None,
            listen: vec![],
            pid: 1,
            version: "0".into(),
        };
        taken.announce(&server).unwrap();
        assert!(matches!(look(&path).unwrap(), Use::Server(found) if found == server));
        assert_eq!(DataDir::take(&path).unwrap_err().exit, Exit::Unreachable);
        taken.withdraw();
        drop(taken);
        assert!(matches!(look(&path).unwrap(), Use::Ours(_)));
    }
}
