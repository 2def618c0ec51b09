//! Reading from a repository: single blobs, trees, many blobs at once, whole folders.
//!
//! No byte leaves this module before the SHA-256 of its blob was checked.

mod blobs;
mod fetch;
mod files;
mod plan;
mod random;
mod restore;
mod restore_files;
mod trees;

pub use blobs::{ReadOptions, ReadStats, VisitError};
pub use random::{BlobCache, FileReader};
pub use restore::{RestoreOptions, RestoreStats};

pub(crate) use trees::TreeReader;
