//! Cancelling a snapshot that is being taken.

use std::time::Duration;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::jobs::CANCELLED_ON_REQUEST;
use crate::model::SnapshotInfo;

/// How long a cancellation is waited for.
const CANCEL_WAIT: Duration = Duration::from_secs(2);

impl Engine {
    /// Cancels a snapshot that is being taken and waits for its end, two seconds at most; it is then FAILED with
    /// [`SnapshotInfo::cancelled`], nothing of it is in the repository, and its name may be used again. One that has ended stays as
    /// it is: the state in the answer tells.
    pub async fn cancel_snapshot(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<SnapshotInfo, EngineError> {
        let missing = || EngineError::SnapshotMissing {
            repository: repository.to_owned(),
            snapshot: name.to_owned(),
        };
        let vault = self.inner.vault_id(repository).await?.ok_or_else(missing)?;
        let key = (vault, name.to_owned());
        let running = self.inner.activity().snapshots.get(&key).cloned();
        if let Some(running) = running {
            running.job.cancel(CANCELLED_ON_REQUEST);
            if tokio::time::timeout(CANCEL_WAIT, running.job.wait())
                .await
                .is_err()
            {
                tracing::warn!(
                    repository,
                    snapshot = name,
                    "a cancelled snapshot takes its time to end"
                );
            }
            if let Some(result) = running.result() {
                return Ok(result);
            }
        }
        self.snapshot(repository, name).await
    }
}
