//! What every handler needs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use snapkeep_engine::Engine;
use snapkeep_store::Store;
use snapkeep_store::collections::CollectionMeta;

use super::backups::Backends;
use super::errors::WvError;

/// Largest request body, and largest gRPC message, as `GET /v1/meta` tells clients. Bytes.
pub const MAX_MESSAGE_BYTES: usize = 104_858_000;

/// Objects in a list that says no limit (`QUERY_DEFAULTS_LIMIT`).
pub const DEFAULT_RESULTS: i64 = 10;

/// Most objects that one list, search or delete by filter looks up (`QUERY_MAXIMUM_RESULTS`).
pub const MAX_RESULTS: usize = 10_000;

/// Identity and limits of this dialect.
#[derive(Clone, Debug)]
pub struct WeaviateConfig {
    /// Version that clients are told; they look at it to know what is offered.
    pub version: String,
    /// Name of the only node.
    pub node_name: String,
    /// Where clients are told this node is: `http://host:port`.
    pub hostname: String,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Where backups of the `filesystem` backend are said to lie.
    pub backups_path: String,
    /// Which repositories the backends of backups stand for.
    pub backends: Backends,
    /// An unknown class or property of a written object is added to the schema.
    pub auto_schema: bool,
}

impl Default for WeaviateConfig {
    fn default() -> Self {
        Self {
            version: "1.39.0".to_owned(),
            node_name: "snapkeep".to_owned(),
            hostname: "http://127.0.0.1:9200".to_owned(),
            max_body_bytes: MAX_MESSAGE_BYTES,
            backups_path: String::new(),
            backends: Backends::default(),
            auto_schema: true,
        }
    }
}

/// Keeps others out across points where a handler waits.
type Gate = Arc<tokio::sync::Mutex<()>>;

/// Engine, store and configuration of a listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WeaviateState {
    /// Repositories, snapshots, restores.
    pub engine: Engine,
    /// Collections and objects.
    pub store: Store,
    /// Identity and limits of this dialect.
    pub config: Arc<WeaviateConfig>,
    /// Held while users or roles are read, changed and written.
    pub(super) access: Gate,
    /// Held while a backup is accepted: one at a time is created.
    pub(super) backup_gate: Gate,
    /// Held while a restore is accepted.
    pub(super) restore_gate: Gate,
    /// Held while a class is read, changed and written.
    schema: Arc<Mutex<()>>,
    /// Shards that were set to READONLY by hand, as (UUID of the collection, shard). Not kept over a restart.
    read_only: Arc<RwLock<HashSet<(String, String)>>>,
}

impl WeaviateState {
    /// The parts together.
    pub fn new(engine: Engine, store: Store, config: WeaviateConfig) -> Self {
        Self {
            engine,
            store,
            config: Arc::new(config),
            access: Gate::default(),
            backup_gate: Gate::default(),
            restore_gate: Gate::default(),
            schema: Arc::default(),
            read_only: Arc::default(),
        }
    }

    /// Keeps other changes of classes away until it is dropped.
    pub fn lock_schema(&self) -> MutexGuard<'_, ()> {
        // What it guards is in the store, so a panic of another holder leaves nothing half-done here.
        self.schema.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a shard was set to READONLY.
    pub fn is_read_only(&self, collection: &CollectionMeta, shard: &str) -> bool {
        let marked = self
            .read_only
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        !marked.is_empty() && marked.contains(&(collection.uuid.clone(), shard.to_owned()))
    }

    /// Sets a shard to READONLY or READY.
    pub fn set_read_only(&self, collection: &CollectionMeta, shard: &str, read_only: bool) {
        let key = (collection.uuid.clone(), shard.to_owned());
        let mut marked = self
            .read_only
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if read_only {
            marked.insert(key);
        } else {
            marked.remove(&key);
        }
    }

    /// Refuses a write to a shard that was set to READONLY.
    ///
    /// # Errors
    /// 500, as a real server answers.
    pub fn check_writable(&self, collection: &CollectionMeta, shard: &str) -> Result<(), WvError> {
        if !self.is_read_only(collection, shard) {
            return Ok(());
        }
        Err(WvError::internal(format!(
            "put object: import into index {}: put local object: shard={shard:?}: store is read-only due to: manually \
             set by user",
            collection.name.to_lowercase()
        )))
    }
}

/// Runs a blocking call (the store's are) away from the runtime's threads.
///
/// # Errors
/// Those of `work`; 500 if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WvError> + Send + 'static,
) -> Result<T, WvError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failure) => {
            tracing::error!(error = %failure, "a blocking call ended abnormally");
            Err(WvError::internal("internal error; see the server's log"))
        }
    }
}
