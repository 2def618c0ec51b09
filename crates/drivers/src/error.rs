//! What can go wrong in a driver.

/// A failure of a driver, with what the engine branches on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// No such resource.
    #[error("no such index [{0}]")]
    ResourceMissing(String),
    /// No such collection.
    #[error("no such collection [{0}]")]
    CollectionMissing(String),
    /// A collection of the target name exists.
    #[error(
        "collection [{0}] already exists; delete it, rename on restore, or ask for it to be overwritten"
    )]
    CollectionExists(String),
    /// A target of restore is open.
    #[error("index [{0}] is open; close or delete it, or rename on restore")]
    ResourceOpen(String),
    /// A name that the driver's side does not accept.
    #[error("invalid name [{name}]: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// What it breaks.
        reason: String,
    },
    /// The target refuses a setting or name that the caller asked for; the text says which.
    #[error("{0}")]
    Refused(String),
    /// What was loaded is not what the snapshot holds; nothing was made visible.
    #[error("{0}")]
    ProofMismatch(String),
    /// A description in the snapshot cannot be used.
    #[error("unusable description of [{resource}]: {reason}")]
    BadDescription {
        /// The resource.
        resource: String,
        /// What is wrong.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
}
