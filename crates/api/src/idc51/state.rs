//! What every call needs.

use std::sync::Arc;

use snapkeep_engine::Engine;
use tokio_util::sync::CancellationToken;

use super::config::Idc51Config;

/// Engine and configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Idc51State {
    pub(super) engine: Engine,
    pub(super) config: Arc<Idc51Config>,
    /// Ends the streams of events, which would otherwise hold up a shutdown.
    pub(super) shutdown: CancellationToken,
}

impl Idc51State {
    /// The parts together.
    pub fn new(engine: Engine, config: Idc51Config, shutdown: CancellationToken) -> Self {
        Self {
            engine,
            config: Arc::new(config),
            shutdown,
        }
    }
}
