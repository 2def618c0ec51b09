//! An open repository: keys, locks, snapshots, and the index of blobs all jobs share.
//!
//! Two orders hold everywhere. Writing: packs durable, then the index durable, then the snapshot durable; a crash between two of
//! them leaves files nobody refers to, which prune removes. Reading: snapshots first, then the index; the other way round
//! a snapshot could be seen whose blobs the index does not know yet.

mod handle;
mod keys;
mod load;
mod locks;
mod open;
mod options;
mod progress;
mod retry;
mod snapshots;
mod writers;

pub use handle::{Repository, Warning};
pub use keys::KeyInfo;
pub use locks::{LockInfo, RepositoryLock};
pub(crate) use options::step_back;
pub use options::{DEFAULT_MEMORY_LIMIT_BYTES, DEFAULT_UPLOADS, RepositoryOptions};
pub use progress::BackupProgress;
pub use writers::{WriterInfo, Writers};

pub(crate) use retry::{retry, retry_unless};
pub(crate) use writers::RunningWriter;
