//! Why a disk of a point cannot be read.

use snapkeep_vault::{BlobId, VaultError};

/// Why a disk in a repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The snapshot has no such volume, or none at all.
    #[error("the snapshot has no volume [{volume}]; it has: {}", listed(.has))]
    NoVolume {
        /// The volume asked for.
        volume: String,
        /// Those that it has.
        has: Vec<String>,
    },
    /// Several volumes, and none was chosen.
    #[error("the snapshot has several volumes, choose one of: {}", listed(.has))]
    SeveralVolumes {
        /// Those that it has.
        has: Vec<String>,
    },
    /// What is stored is no disk as this version writes it.
    #[error(
        "disk [{disk}] cannot be read: {problem}; run a check of the repository, or upgrade Snapkeep"
    )]
    Layout {
        /// Volume and piece.
        disk: String,
        /// What is wrong.
        problem: String,
    },
    /// A blob is in no pack.
    #[error("disk [{disk}] cannot be read: blob {blob} is missing; run a check of the repository")]
    BlobMissing {
        /// Volume and piece.
        disk: String,
        /// The blob.
        blob: BlobId,
    },
    /// A read beyond the end.
    #[error("disk [{disk}] has {size_bytes} bytes; {length} bytes at {offset} are not in it")]
    OutOfRange {
        /// Volume.
        disk: String,
        /// Size of the disk.
        size_bytes: u64,
        /// First byte asked for.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The repository could not be read.
    #[error("disk [{disk}] cannot be read: {cause}")]
    Vault {
        /// Volume and piece.
        disk: String,
        /// The cause.
        #[source]
        cause: VaultError,
    },
}

impl ReadError {
    /// Whether somebody stopped it.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Vault {
                cause: VaultError::Cancelled,
                ..
            }
        )
    }

    pub(super) fn vault(disk: &str) -> impl Fn(VaultError) -> Self {
        move |cause| Self::Vault {
            disk: disk.to_owned(),
            cause,
        }
    }
}

fn listed(volumes: &[String]) -> String {
    if volumes.is_empty() {
        "none".to_owned()
    } else {
        volumes.join(", ")
    }
}
