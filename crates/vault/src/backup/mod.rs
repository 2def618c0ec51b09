//! Writing into a repository: one [`Backup`] after another turns sources into blobs, packs, an index file and a snapshot.
//!
//! The workers share nothing: each claims a segment of any file and does everything with it, from reading it to appending the sealed
//! blobs to its own pack. Full packs go to a bounded set of uploads. Memory is bounded by
//! [`RepositoryOptions::memory_limit_bytes`](crate::RepositoryOptions::memory_limit_bytes), whatever the amount of data.

mod compression;
mod finish;
mod job;
mod known;
mod local_file;
mod packer;
mod segment;
mod session;
mod source;
mod store;
mod tree_backup;
mod tree_walk;
mod upload;
pub(crate) mod zeros;

pub use job::{Backup, BackupOptions, BackupSummary, FileContent};
pub use local_file::LocalFile;
pub use source::{
    BytesSource, Chunking, FileSource, MAX_BLOB_BYTES, SEGMENT_BYTES, SegmentSink, SinkClosed,
    SourceError,
};
pub use tree_backup::{TreeBackupOptions, TreeBackupResult};
pub use zeros::{ZERO_BLOB_BYTES, is_zero, zero_blob_id};
