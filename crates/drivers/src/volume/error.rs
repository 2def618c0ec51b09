//! What can go wrong with a disk.

use std::path::{Path, PathBuf};

use super::model::DiskUser;

/// A failure of the volume drivers: the operation, the disk, the cause, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// There is nothing at the disk's location.
    #[error("{location} does not exist; correct the volume's location or bring the disk back")]
    Missing {
        /// Path or NBD URI.
        location: String,
    },
    /// Somebody writes to the disk and no consistent view of it can be had.
    #[error(
        "volume [{volume}] is in use by {}{}; stop the host, give its instance a driver that can freeze or \
         capture it, or allow an inconsistent snapshot",
        list(users),
        reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    InUse {
        /// The volume.
        volume: String,
        /// Who uses it; never empty.
        users: Vec<DiskUser>,
        /// Why no consistent view was possible all the same.
        reason: Option<String>,
    },
    /// The disk changed while it was read although nobody was to write to it.
    #[error(
        "volume [{volume}] is not consistent: {reason}; stop its host and take the snapshot again"
    )]
    Inconsistent {
        /// The volume.
        volume: String,
        /// What was seen.
        reason: String,
    },
    /// The image or the machine cannot do it.
    #[error("{what}; {hint}")]
    Unsupported {
        /// What is not supported, and of which disk.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// An external program is not installed.
    #[error("the program [{tool}] is needed but not installed; install the package {package}")]
    ToolMissing {
        /// The program.
        tool: String,
        /// The package that brings it.
        package: String,
    },
    /// An external program failed.
    #[error("{tool} failed on {location}: {message}")]
    Tool {
        /// The program.
        tool: String,
        /// What it worked on.
        location: String,
        /// What it said, at most a few lines.
        message: String,
    },
    /// A system call failed.
    #[error("cannot {operation} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "read at 4096".
        operation: String,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: std::io::Error,
    },
    /// The file system is full, a quota is used up, or files may not become that large.
    #[error(
        "cannot {operation} {}: {cause}; make room there (a rollback by swap needs a second copy of the disk where the \
         file system cannot clone; one in place does not), then try again",
        path.display()
    )]
    NoSpace {
        /// What was tried, as a verb.
        operation: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The host of the disk could not be asked, stopped, frozen, thawed or started.
    #[error("cannot {operation} host [{host}]: {message}")]
    Host {
        /// What was tried, as a verb.
        operation: String,
        /// The host: a socket, a domain, a hook's program.
        host: String,
        /// What went wrong and what to do.
        message: String,
    },
    /// The NBD server or the connection to it failed.
    #[error("NBD {location}: {message}")]
    Nbd {
        /// The URI.
        location: String,
        /// What went wrong.
        message: String,
    },
    /// What the disk shall become cannot be read from where it is kept.
    #[error("{cause}")]
    Content {
        /// Why, and what to do.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
}

impl VolumeError {
    /// For `map_err`: a failed system call on `path`.
    pub fn io<E: Into<std::io::Error>>(
        operation: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        let operation = operation.into();
        let path = path.as_ref().to_path_buf();
        move |cause| Self::Io {
            operation,
            path,
            cause: cause.into(),
        }
    }

    /// Whether the caller gave up, as opposed to a failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the disk is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Users in a row; long rows are cut so that the text stays readable.
fn list(users: &[DiskUser]) -> String {
    const SHOWN: usize = 4;
    let mut text = users
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if users.len() > SHOWN {
        text.push_str(&format!(" and {} more", users.len() - SHOWN));
    }
    text
}
