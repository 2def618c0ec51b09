//! Failures of a storage.

use super::FileKind;

/// What kind of failure it was; callers branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// No such file.
    NotFound,
    /// The file that was to be created is there.
    AlreadyExists,
    /// The place refuses us.
    PermissionDenied,
    /// The place is full.
    NoSpace,
    /// The place did not answer in time or not at all; may be well later.
    Unavailable,
    /// The caller's [`CancelFlag`](crate::CancelFlag) was raised.
    Cancelled,
    /// Anything else.
    Other,
}

/// A failure of one operation on one file.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object} in {location} failed: {cause}; {}", self.advice())]
pub struct StorageError {
    /// What kind of failure it was.
    pub kind: StorageErrorKind,
    /// For instance "reading".
    pub operation: &'static str,
    /// The path of the file below the root, or the folder.
    pub object: String,
    /// The place, in words for people.
    pub location: String,
    /// Why.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

impl StorageError {
    /// A failure of `operation` on the file `name`.
    pub fn new(
        kind: StorageErrorKind,
        operation: &'static str,
        file: (FileKind, &str),
        location: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let (file_kind, name) = file;
        let object = file_kind
            .path(name)
            .unwrap_or_else(|| format!("{file_kind}/{name}"));
        Self {
            kind,
            operation,
            object,
            location: location.into(),
            cause: cause.into(),
        }
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        self.kind == StorageErrorKind::NotFound
    }

    /// Whether the file that was to be created is there.
    pub fn is_already_exists(&self) -> bool {
        self.kind == StorageErrorKind::AlreadyExists
    }

    /// Whether the same call may succeed when simply made again later.
    pub fn is_transient(&self) -> bool {
        self.kind == StorageErrorKind::Unavailable
    }

    /// Whether the work ended because it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.kind == StorageErrorKind::Cancelled
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            StorageErrorKind::NotFound => "check that nobody removed it",
            StorageErrorKind::AlreadyExists => "another writer was first",
            StorageErrorKind::PermissionDenied => "give Snapkeep the right to read and write there",
            StorageErrorKind::NoSpace => "free space there, then try again",
            StorageErrorKind::Unavailable => "try again when the storage answers",
            StorageErrorKind::Cancelled => "start it again when wanted",
            StorageErrorKind::Other => "check the storage, then try again",
        }
    }
}
