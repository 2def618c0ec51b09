//! How a repository is opened and used.

use crate::format::KdfParams;
use std::path::PathBuf;

/// Memory that one backup may use beside the index of blobs, unless configured otherwise.
pub const DEFAULT_MEMORY_LIMIT_BYTES: u64 = 256 << 20;

/// Packs in flight to the storage at once, unless configured otherwise.
pub const DEFAULT_UPLOADS: usize = 2;

/// Settings of one open repository. `Default` suits a server on one machine.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Where the index of blobs is kept between runs, in a folder named after the repository. Without it the index is
    /// kept in memory and read anew at every open. It is a cache: losing it costs time only.
    pub cache_dir: Option<PathBuf>,
    /// Upper bound of the memory of one backup, without the index of blobs. Fewer workers run where it is small.
    pub memory_limit_bytes: u64,
    /// Threads that compress or decompress; 0 = one a core.
    pub workers: usize,
    /// How far the threads that read, compress and hash for a backup or a check step back behind others: 0 to 19, as `nice` counts.
    /// Such a thread may call the storage, whose own threads are then started with the same priority: where others use the runtime
    /// of that storage too, leave this at 0.
    pub niceness: u8,
    /// Packs that are uploaded at the same time.
    pub uploads: usize,
    /// Name of this machine in lock files. Locks of this name whose process is gone are removed at open.
    pub hostname: String,
    /// Name of the user in lock and key files.
    pub username: String,
    /// Cost of the key derivation of new repositories: see [`KdfParams`].
    pub kdf: KdfParams,
}

impl Default for RepositoryOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            memory_limit_bytes: DEFAULT_MEMORY_LIMIT_BYTES,
            workers: 0,
            niceness: 0,
            uploads: DEFAULT_UPLOADS,
            hostname: machine_name(),
            username: "snapkeep".to_owned(),
            kdf: KdfParams::machine(),
        }
    }
}

impl RepositoryOptions {
    /// The number of worker threads meant by [`workers`](Self::workers), at least one.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        }
    }
}

/// Lets the calling thread step back behind others. It stays like that, and so are threads that it starts.
pub(crate) fn step_back(niceness: u8) {
    if niceness > 0
        && let Err(error) = rustix::process::nice(i32::from(niceness))
    {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
}

fn machine_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
