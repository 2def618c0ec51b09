//! Registered repositories.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client sends to register a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositorySpec {
    /// Type of storage; `fs` is the one known type.
    pub kind: String,
    /// Settings as the client sent them. Values of known settings may be strings, numbers, booleans or null (null = not given);
    /// unknown settings are kept and given back.
    pub settings: Map<String, Value>,
}

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryInfo {
    /// Name under which it is registered.
    pub name: String,
    /// Type of storage.
    pub kind: String,
    /// Settings exactly as given at registration.
    pub settings: Map<String, Value>,
    /// Id of the restic repository behind it (64 hex digits), once it has been opened.
    pub uuid: Option<String>,
    /// True when the `readonly` setting is on.
    pub readonly: bool,
    /// Limit on writing to the storage in bytes per second; none = unlimited.
    pub snapshot_bytes_per_sec: Option<u64>,
    /// Limit on reading from the storage in bytes per second; none = unlimited.
    pub restore_bytes_per_sec: Option<u64>,
    /// Why the repository could not be opened when it was last tried; none = no trouble known.
    pub trouble: Option<String>,
}

/// The outcome of a successful verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Where the repository is, for people.
    pub location: String,
    /// Bytes written to and read back from the storage; 0 for a read-only repository.
    pub probe_bytes: u64,
}

/// What a cleanup removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupResult {
    /// Bytes by which the repository shrank.
    pub deleted_bytes: u64,
    /// Files (packs) that were removed.
    pub deleted_blobs: u64,
}

/// A password (restic calls it key) of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDescription {
    /// Id of the key file, 64 hex digits.
    pub id: String,
    /// User name noted in the key file.
    pub username: String,
    /// Host name noted in the key file.
    pub hostname: String,
    /// When it was added, as noted in the key file (RFC 3339).
    pub created: String,
    /// True for the key this server uses.
    pub current: bool,
}

/// What stock restic needs to use a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryEnvironment {
    /// Value of `RESTIC_REPOSITORY`.
    pub repository: String,
    /// Value of `RESTIC_PASSWORD`.
    pub password: String,
}
