//! What can go wrong with a repository, told so that callers can branch on the kind and people know what to do.

use crate::format::FormatError;
use crate::ids::{BlobId, SnapshotId};
use crate::storage::StorageError;
use std::path::PathBuf;

/// A part of a repository that can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file `config`.
    Config,
    /// A key file.
    Key,
    /// A pack file, or its header.
    Pack,
    /// An index file.
    Index,
    /// A snapshot file.
    Snapshot,
    /// A lock file.
    Lock,
    /// A blob with content of a file.
    Data,
    /// A blob with a directory.
    Tree,
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Config => "config",
            Self::Key => "key file",
            Self::Pack => "pack",
            Self::Index => "index file",
            Self::Snapshot => "snapshot",
            Self::Lock => "lock file",
            Self::Data => "data blob",
            Self::Tree => "tree blob",
        })
    }
}

/// Any failure of the repository engine.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No key file opens with this password.
    #[error("no key of the repository in {location} opens with this password: check the password")]
    WrongPassword {
        /// Where the repository is.
        location: String,
    },
    /// There is no `config`.
    #[error(
        "there is no repository in {location}: check the place, or make a new repository there"
    )]
    NotARepository {
        /// The place that was looked at.
        location: String,
    },
    /// The place of an open repository holds another one by now.
    #[error(
        "{location} holds another repository than the one that was opened: bring the former one back, or open the new one"
    )]
    Replaced {
        /// The place that was looked at.
        location: String,
    },
    /// A repository is to be made where one is, or where other files are.
    #[error("{location} already holds a repository: open it, or choose an empty place")]
    AlreadyExists {
        /// Where the repository is.
        location: String,
    },
    /// A repository of another format version than 2.
    #[error(
        "the repository in {location} has format version {version}, only version 2 can be used: \
         upgrade it with `restic migrate upgrade_repo_v2`, or use a newer Snapkeep"
    )]
    UnsupportedVersion {
        /// Where the repository is.
        location: String,
        /// The version its `config` names.
        version: u64,
    },
    /// Stored bytes are not what was written.
    #[error(
        "{part} {id} is damaged ({detail}): run a check of the repository, then repair it or bring the file back from a copy"
    )]
    Damaged {
        /// What kind of thing is damaged.
        part: Part,
        /// Its id, empty for `config`.
        id: String,
        /// How the damage shows.
        detail: String,
    },
    /// Another program holds a lock that excludes the operation.
    #[error(
        "the repository is locked by {by} since {since}: wait until that has ended, or remove its lock with `restic unlock` \
         when it is gone for good"
    )]
    Locked {
        /// User, host and process that hold the lock.
        by: String,
        /// When the lock was taken, RFC 3339.
        since: String,
    },
    /// A blob that is needed is in no index.
    #[error(
        "{part} {id} is missing from the repository: run a check of the repository to see which snapshots need it"
    )]
    MissingBlob {
        /// [`Part::Data`] or [`Part::Tree`].
        part: Part,
        /// The blob.
        id: BlobId,
    },
    /// No such snapshot.
    #[error(
        "there is no snapshot {id} in the repository: it may have been deleted by someone else"
    )]
    MissingSnapshot {
        /// The snapshot.
        id: SnapshotId,
    },
    /// No such key.
    #[error("there is no key {id} in the repository: list the keys to see which there are")]
    MissingKey {
        /// The key as asked for.
        id: String,
    },
    /// The only key, or the one in use, is to be removed.
    #[error("key {id} cannot be removed, it is {reason}")]
    KeyInUse {
        /// The key.
        id: String,
        /// Which one it is, and what to do first.
        reason: &'static str,
    },
    /// Something is larger than the format or a named limit allows.
    #[error("{what} has {size} bytes, at most {limit} are possible: split it")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The largest size in bytes.
        limit: u64,
    },
    /// The caller used the engine in a way that it must not.
    #[error("{0}: this is a defect of Snapkeep, please report it")]
    Internal(String),
    /// What is to be saved could not be read.
    #[error(
        "{what} could not be read: {cause}; check that it exists and may be read, then run the backup again"
    )]
    Source {
        /// File or part of it.
        what: String,
        /// Why.
        cause: String,
    },
    /// A file outside the repository (cache, target of a restore) failed.
    #[error("{operation} {} failed: {source}; check permissions and free space there", path.display())]
    Local {
        /// For instance "writing".
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Whoever took the blobs did not want to go on.
    #[error("{0}")]
    Visitor(Box<dyn std::error::Error + Send + Sync>),
    /// The storage below failed.
    #[error(transparent)]
    Storage(StorageError),
    /// The caller's [`CancelFlag`](crate::CancelFlag) was raised.
    #[error("the operation was cancelled: start it again when wanted")]
    Cancelled,
}

impl VaultError {
    /// Damage told by a parser of [`format`](crate::format). An announced format version stays what it is.
    pub fn damaged(part: Part, id: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Damaged {
            part,
            id: id.to_string(),
            detail: cause.to_string(),
        }
    }

    /// A failure of a parser while reading `config` in `location`.
    pub fn from_config(location: &str, cause: FormatError) -> Self {
        match cause {
            FormatError::UnsupportedVersion(version) => Self::UnsupportedVersion {
                location: location.to_owned(),
                version,
            },
            cause => Self::damaged(Part::Config, "", cause),
        }
    }

    /// Whether the same call may succeed when simply made again later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_transient(),
            Self::Locked { .. } => true,
            _ => false,
        }
    }

    /// Whether the work ended because it was asked to.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Storage(error) => error.is_cancelled(),
            _ => false,
        }
    }

    /// Whether stored bytes are wrong or gone.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::MissingBlob { .. })
    }
}

impl From<StorageError> for VaultError {
    fn from(error: StorageError) -> Self {
        if error.is_cancelled() {
            Self::Cancelled
        } else {
            Self::Storage(error)
        }
    }
}
