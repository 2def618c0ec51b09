//! Repository engine: reads and writes restic repositories of format version 2.
//!
//! From the bottom up: [`ids`](crate::BlobId) name things, [`mod@format`] knows the bytes, [`storage`] keeps files,
//! [`blob_index`] knows where every blob lies, [`repository`] puts them together, [`backup`] writes and [`read`] reads.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backup;
pub mod blob_index;
mod cancel;
mod error;
pub mod format;
mod ids;
pub mod maintenance;
mod password;
pub mod read;
pub mod repository;
pub mod storage;

pub use backup::{
    Backup, BackupOptions, BackupSummary, BytesSource, Chunking, FileContent, FileSource,
    LocalFile, SegmentSink, SinkClosed, SourceError, TreeBackupOptions, TreeBackupResult,
};
pub use cancel::CancelFlag;
pub use error::{Part, VaultError};
pub use format::{BlobKind, KdfParams, Node, NodeKind, SnapshotFile, Time, Tree};
pub use ids::{BlobId, IndexId, KeyId, LockId, PackId, ParseIdError, RepositoryId, SnapshotId};
pub use maintenance::{
    CheckOptions, CheckProgress, CheckReport, Loss, Problem, PruneOptions, PruneReport, ReadData,
    RepairOptions, RepairReport,
};
pub use password::Password;
pub use read::{
    BlobCache, FileReader, ReadOptions, ReadStats, RestoreOptions, RestoreStats, VisitError,
};
pub use repository::{BackupProgress, KeyInfo, Repository, RepositoryLock, RepositoryOptions};
