//! What every call needs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use snapkeep_engine::{Engine, PolicyKey, PolicyOrigin};
use snapkeep_store::Store;

use super::config::HuaweiConfig;
use super::errors::{CssError, Fault};
use super::ids;
use super::period::Frequency;

/// Engine, store and identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HuaweiState {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) config: Arc<HuaweiConfig>,
    /// Held from asking whether the cluster is busy until the operation has begun, so that two do not both find it idle, and while
    /// the settings are read, changed and kept.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// Uuids of snapshots that are being deleted.
    deleting: Arc<Mutex<BTreeSet<String>>>,
}

impl HuaweiState {
    /// The parts together.
    pub fn new(engine: Engine, store: Store, config: HuaweiConfig) -> Self {
        Self {
            engine,
            store,
            config: Arc::new(config),
            turn: Arc::default(),
            deleting: Arc::default(),
        }
    }

    /// The id of the embedded cluster: the first one configured, or one made of the store's own.
    pub(super) fn cluster_id(&self) -> String {
        let configured = self.config.clusters.first().cloned();
        configured.unwrap_or_else(|| ids::uuid_of(self.store.uuid()))
    }

    /// The project of the cluster: the first one configured, or one made of the store's id.
    pub(super) fn project_id(&self) -> String {
        let configured = self.config.projects.first().cloned();
        configured.unwrap_or_else(|| ids::project_of(self.store.uuid()))
    }

    /// The automatic snapshots of a frequency. Each frequency is a policy of its own: retention touches only what was taken with
    /// the one that holds.
    pub(super) fn policy_key(&self, frequency: Frequency) -> PolicyKey {
        let origin = PolicyOrigin::HuaweiCss {
            cluster: ids::uuid_of(self.store.uuid()),
        };
        PolicyKey::new(origin, frequency.word().to_ascii_lowercase())
    }

    fn deletions(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a snapshot is being deleted.
    pub(super) fn is_being_deleted(&self, uuid: &str) -> bool {
        self.deletions().contains(uuid)
    }

    /// Notes that a snapshot is being deleted; none when it is already. The note goes with what is returned.
    pub(super) fn begin_deletion(&self, uuid: &str) -> Option<Deletion> {
        self.deletions().insert(uuid.to_owned()).then(|| Deletion {
            state: self.clone(),
            uuid: uuid.to_owned(),
        })
    }
}

/// A note that a snapshot is being deleted.
#[derive(Debug)]
pub(super) struct Deletion {
    state: HuaweiState,
    uuid: String,
}

impl Drop for Deletion {
    fn drop(&mut self) {
        self.state.deletions().remove(&self.uuid);
    }
}

/// Runs a call of the store, which blocks, away from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CssError> {
    tokio::task::spawn_blocking(work).await.map_err(|failure| {
        tracing::error!(error = %failure, "a blocking call ended abnormally");
        Fault::Internal.because("see the server's log")
    })
}
