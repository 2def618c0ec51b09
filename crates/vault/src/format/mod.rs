//! The repository format: restic repository version 2, byte by byte.
//!
//! Pure functions and types without any I/O. Whatever reads bytes of a repository here never panics, whatever the bytes are,
//! and bounds what it allocates by named limits or by the length of its input.
//! Format as described in restic's `doc/design.rst`, checked against stock restic.
//!
//! From the outside in: [`KeyFile`] opens with a password and gives the [`MasterKey`], which opens everything else;
//! [`ConfigFile`] names the repository; [`unpacked`] is the envelope of index, snapshot and lock files; [`pack`] holds blobs, and
//! [`Tree`] is the blob of a directory.

mod compress;
mod config;
mod crypto;
mod error;
mod index_file;
mod key_file;
mod lock_file;
pub mod pack;
mod quote;
mod quote_table;
pub mod robust;
mod snapshot_file;
mod time;
mod tree;
mod tree_encode;
pub mod unpacked;

pub use compress::{Compressor, DEFAULT_LEVEL, Decompressor};
pub use config::ConfigFile;
pub use crypto::{MasterKey, OVERHEAD_BYTES};
pub use error::FormatError;
pub use index_file::{IndexFile, IndexPack};
pub use key_file::{KdfParams, KeyFile};
pub use lock_file::LockFile;
pub use pack::{BlobKind, PackBuilder, PackEntry};
pub use snapshot_file::{SnapshotFile, SnapshotSummary};
pub use time::Time;
pub use tree::{ExtendedAttribute, Mode, Node, NodeKind, Tree};
