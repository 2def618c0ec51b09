//! What errors say more closely.

use crate::bytesize::ByteSizeError;
use crate::model::SnapshotState;

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreationFailure {
    /// `location` is not given.
    #[error("missing location")]
    MissingLocation,
    /// `location` is outside of the allowed roots, climbs with `..` or leaves through a symbolic link.
    #[error(
        "location [{location}] doesn't match any of the locations specified by path.repo{}",
        if *.roots_empty { " because this setting is empty" } else { "" }
    )]
    LocationOutsideRoots {
        /// As given.
        location: String,
        /// True when no root is configured at all.
        roots_empty: bool,
    },
    /// A size or rate cannot be understood.
    #[error(
        "failed to parse setting [{setting}] with value [{value}] as a size in bytes: {problem}"
    )]
    ByteSize {
        /// Name of the setting.
        setting: String,
        /// As given.
        value: String,
        /// What is wrong.
        problem: ByteSizeError,
    },
    /// `chunk_size` is below 5 bytes.
    #[error("failed to parse value [{value}] for setting [{setting}], must be >= [5b]")]
    SizeTooSmall {
        /// Name of the setting.
        setting: String,
        /// As given.
        value: String,
    },
    /// A boolean is neither `true` nor `false`.
    #[error("Failed to parse value [{value}] as only [true] or [false] are allowed.")]
    Boolean {
        /// Name of the setting.
        setting: String,
        /// As given.
        value: String,
    },
    /// A number cannot be understood or is out of its range.
    #[error("Failed to parse value [{value}] for setting [{setting}] {reason}")]
    Number {
        /// Name of the setting.
        setting: String,
        /// As given.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// A restic repository is there that our password does not open.
    #[error(
        "a restic repository exists at [{location}] and the password of this server does not open it; \
             put its password into repository.key of the data directory, or add the server's to it with `restic key add`"
    )]
    ForeignPassword {
        /// Where it is.
        location: String,
    },
    /// Something else is there or wrong.
    #[error("{0}")]
    Other(String),
}

/// What a read-only repository refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadonlyOperation {
    /// Taking or cloning a snapshot.
    CreateSnapshot,
    /// Deleting one.
    DeleteSnapshot,
    /// Cleaning up or pruning.
    Cleanup,
    /// Changing its passwords.
    ChangeKeys,
}

impl std::fmt::Display for ReadonlyOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CreateSnapshot => "create snapshot",
            Self::DeleteSnapshot => "delete snapshot",
            Self::Cleanup => "clean up",
            Self::ChangeKeys => "change keys",
        })
    }
}

/// What uses a repository or snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// A snapshot is being taken.
    Snapshot,
    /// A snapshot is being restored.
    Restore,
    /// A snapshot is being cloned.
    Clone,
    /// A snapshot is being deleted.
    Delete,
    /// The repository is being checked or pruned.
    Maintenance,
}

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Snapshot => "snapshot is in progress",
            Self::Restore => "snapshot restore is in progress",
            Self::Clone => "snapshot clone is in progress",
            Self::Delete => "snapshot deletion is in progress",
            Self::Maintenance => "check or prune is in progress",
        })
    }
}

/// Why a snapshot cannot be restored as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreProblem {
    /// There is none, or it is still being taken.
    #[error("snapshot does not exist")]
    SnapshotMissing,
    /// It failed or cannot be read.
    #[error("unsupported snapshot state [{}]", .0.as_str())]
    UnsupportedState(SnapshotState),
    /// An open index of the target name exists.
    #[error(
        "cannot restore index [{index}] because an open index with same name already exists in the cluster. Either close \
         or delete the existing index or restore the index under a different name by providing a rename pattern and \
         replacement name"
    )]
    OpenIndexExists {
        /// Target.
        index: String,
    },
    /// The closed target has another number of shards.
    #[error(
        "cannot restore index [{index}] with [{index_shards}] shards from a snapshot of index [{source_index}] with [{source_shards}] shards"
    )]
    ShardCountDiffers {
        /// Target.
        index: String,
        /// Shards of the target.
        index_shards: u32,
        /// Index in the snapshot.
        source_index: String,
        /// Shards in the snapshot.
        source_shards: u32,
    },
    /// Two indices get the same name.
    #[error("indices [{first}] and [{second}] are renamed into the same index [{target}]")]
    RenamedIntoSame {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// The name both get.
        target: String,
    },
    /// Two collections get the same name.
    #[error("collections [{first}] and [{second}] are renamed into the same collection [{target}]")]
    CollectionsRenamedIntoSame {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// The name both get.
        target: String,
    },
    /// The collection misses shards and `partial` was not given.
    #[error("collection [{collection}] wasn't fully snapshotted - cannot restore")]
    CollectionNotFullySnapshotted {
        /// Collection in the snapshot.
        collection: String,
    },
    /// The index misses shards and `partial` was not given.
    #[error("index [{index}] wasn't fully snapshotted - cannot restore")]
    NotFullySnapshotted {
        /// Index in the snapshot.
        index: String,
    },
    /// A setting that `ignore_index_settings` may not name.
    #[error("cannot remove setting [{setting}] on restore")]
    CannotRemoveSetting {
        /// Full name of the setting.
        setting: String,
    },
    /// A setting that `index_settings` may not change.
    #[error("cannot modify setting [{setting}] on restore")]
    CannotModifySetting {
        /// Full name of the setting.
        setting: String,
    },
    /// The global state was asked for and is not in the snapshot.
    #[error("cannot restore global state since the snapshot was created without global state")]
    NoGlobalState,
}
