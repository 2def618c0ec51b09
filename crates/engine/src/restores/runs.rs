//! Restores as things that can be looked up and cancelled, over restarts too.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::RestoreRun;

impl Engine {
    /// The latest restore of a snapshot, running or ended; none when it was never restored. One that a restart cut off is
    /// [`RestoreState::Failed`](crate::RestoreState::Failed) with that reason.
    pub async fn latest_restore(
        &self,
        repository: &str,
        snapshot: &str,
    ) -> Result<Option<RestoreRun>, EngineError> {
        let _ = (repository, snapshot);
        todo!()
    }

    /// Restores that run now, of one repository or all, by start.
    pub async fn running_restores(&self, repository: Option<&str>) -> Vec<RestoreRun> {
        let _ = repository;
        todo!()
    }

    /// Cancels a restore and waits until nothing of it is left, two seconds at most. One that has ended stays as it is. One that is
    /// making its result visible is [`EngineError::RestoreFinalizing`].
    pub async fn cancel_restore(&self, uuid: &str) -> Result<RestoreRun, EngineError> {
        let _ = uuid;
        todo!()
    }
}
