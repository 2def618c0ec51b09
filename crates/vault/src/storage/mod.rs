//! Where the files of a repository live.
//!
//! [`Storage`] is the one boundary between the engine and any place that keeps files: its doc is the contract, and
//! [`battery::run`] is the test of it, run by every implementation. Added behaviour is one decorator a file.

pub mod battery;
mod counting;
mod error;
mod faulty;
mod kind;
mod object;
mod recording;
mod throttled;

pub use counting::{Counting, OperationCounts};
pub use error::{StorageError, StorageErrorKind};
pub use faulty::{FaultPlan, Faulty};
pub use kind::FileKind;
pub use object::ObjectStorage;
pub use recording::{LoggedChange, PowerLoss, Recording};
pub use throttled::{Direction, RateLimits, Throttled};

use bytes::Bytes;
use std::fmt::Debug;

/// What [`Storage::put`] does when the file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Replace it. Readers see the old content or the new one, never a mixture.
    Overwrite,
    /// Refuse with [`StorageErrorKind::AlreadyExists`]. Of many writers at once exactly one succeeds.
    Create,
}

/// One file in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// The name below its kind: 64 digits, or a relative path for [`FileKind::Side`].
    pub name: String,
    /// Size as stored.
    pub size_bytes: u64,
}

/// A place that keeps whole files by kind and name.
///
/// Every method blocks and may be called from many threads at once, but not from within an async task.
/// No reader ever sees a file that is not complete.
pub trait Storage: Send + Sync + Debug {
    /// Writes a whole file. When it returns `Ok` the file survives a power cut.
    ///
    /// After an error the file may or may not be there, but if it is there it is complete.
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError>;

    /// Reads a whole file; [`StorageErrorKind::NotFound`] if there is none.
    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError>;

    /// Reads exactly `len` bytes from `offset`. A range that reaches beyond the end of the file is an error, an empty range
    /// within the file is not.
    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError>;

    /// All files of a kind, sorted by name. Files whose name the kind does not allow are left out, among
    /// them half-written ones. [`FileKind::Config`] gives one entry or none.
    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError>;

    /// The size of a file as stored; [`StorageErrorKind::NotFound`] if there is none.
    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError>;

    /// Removes a file. A file that is not there is removed already: `Ok`. The removal survives a power cut when this returns if
    /// [`FileKind::removal_lasts`] says so.
    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError>;

    /// The place in words for people, without secrets.
    fn location(&self) -> String;

    /// Whether there is such a file.
    fn exists(&self, kind: FileKind, name: &str) -> Result<bool, StorageError> {
        match self.size(kind, name) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
