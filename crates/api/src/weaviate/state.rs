//! What every handler needs.

use std::sync::Arc;

use snapkeep_engine::Engine;
use snapkeep_store::Store;

use super::errors::WvError;

/// Largest request body, and largest gRPC message, as `GET /v1/meta` tells clients. Bytes.
pub const MAX_MESSAGE_BYTES: usize = 104_858_000;

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
            auto_schema: true,
        }
    }
}

/// Engine, store and configuration of a listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WeaviateState {
    /// Repositories, snapshots, restores.
    pub engine: Engine,
    /// Collections and objects.
    pub store: Store,
    /// Identity and limits of this dialect.
    pub config: Arc<WeaviateConfig>,
}

impl WeaviateState {
    /// The parts together.
    pub fn new(engine: Engine, store: Store, config: WeaviateConfig) -> Self {
        Self {
            engine,
            store,
            config: Arc::new(config),
        }
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
