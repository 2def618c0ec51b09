//! What every handler needs.

use std::sync::Arc;

use snapkeep_engine::Engine;
use snapkeep_store::Store;

use super::config::ElasticsearchConfig;
use super::errors::{ErrorKind, EsError};

/// Engine, store and configuration of a listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// Repositories, snapshots, restores.
    pub engine: Engine,
    /// Indices and documents.
    pub store: Store,
    /// Identity and limits of this dialect.
    pub config: Arc<ElasticsearchConfig>,
}

impl ApiState {
    /// The parts together.
    pub fn new(engine: Engine, store: Store, config: ElasticsearchConfig) -> Self {
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
    work: impl FnOnce() -> Result<T, EsError> + Send + 'static,
) -> Result<T, EsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failure) => {
            tracing::error!(error = %failure, "a blocking call ended abnormally");
            Err(ErrorKind::Exception.error("internal error; see the server's log"))
        }
    }
}
