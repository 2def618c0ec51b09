//! Restores as things that can be looked up and cancelled, over restarts too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::RunningRestore;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::RestoreRun;

/// How long a cancellation is waited for.
const CANCEL_WAIT: Duration = Duration::from_secs(2);

impl Engine {
    /// The latest restore of a snapshot, running or ended; none when it was never restored. One that a restart cut off is
    /// [`RestoreState::Failed`](crate::RestoreState::Failed) with that reason.
    pub async fn latest_restore(
        &self,
        repository: &str,
        snapshot: &str,
    ) -> Result<Option<RestoreRun>, EngineError> {
        let inner = &self.inner;
        let Some(vault) = inner.vault_id(repository).await? else {
            return Ok(None);
        };
        let Some(row) = inner.catalogue.snapshot(&vault, snapshot).await? else {
            return Ok(None);
        };
        // Memory first: one that ends meanwhile is in the catalogue before it leaves.
        let running = self.running_restores_where(|running| {
            running.vault.id == vault && running.snapshot_uuid == row.info.uuid
        });
        let noted = inner.catalogue.restore_of(&vault, &row.info.uuid).await?;
        Ok(running.into_iter().next_back().or(noted))
    }

    /// The latest restores of all snapshots of a repository that were ever restored, by the uuid of the snapshot: for lists.
    pub async fn latest_restores(
        &self,
        repository: &str,
    ) -> Result<BTreeMap<String, RestoreRun>, EngineError> {
        let inner = &self.inner;
        let Some(vault) = inner.vault_id(repository).await? else {
            return Ok(BTreeMap::new());
        };
        // Memory first: one that ends meanwhile is in the catalogue before it leaves.
        let running: Vec<Arc<RunningRestore>> = {
            let activity = inner.activity();
            let restores = activity.restores.values();
            restores
                .filter(|running| running.vault.id == vault)
                .cloned()
                .collect()
        };
        let noted = inner.catalogue.restores_of(&vault).await?;
        let mut latest: BTreeMap<String, RestoreRun> = noted.into_iter().collect();
        for restore in running {
            let run = restore.run();
            let later = latest
                .get(&restore.snapshot_uuid)
                .is_none_or(|noted| noted.start_ms <= run.start_ms);
            if later {
                latest.insert(restore.snapshot_uuid.clone(), run);
            }
        }
        Ok(latest)
    }

    /// Restores that run now, of one repository or all, by start.
    pub async fn running_restores(&self, repository: Option<&str>) -> Vec<RestoreRun> {
        let mut runs = self.running_restores_where(|_| true);
        runs.retain(|run| {
            run.state.is_running() && repository.is_none_or(|name| run.repository == name)
        });
        runs
    }

    fn running_restores_where(&self, wanted: impl Fn(&RunningRestore) -> bool) -> Vec<RestoreRun> {
        let running: Vec<Arc<RunningRestore>> = {
            let activity = self.inner.activity();
            let restores = activity.restores.values();
            restores
                .filter(|running| wanted(running))
                .cloned()
                .collect()
        };
        let mut runs: Vec<RestoreRun> = running.iter().map(|running| running.run()).collect();
        runs.sort_by(|a, b| (a.start_ms, &a.uuid).cmp(&(b.start_ms, &b.uuid)));
        runs
    }

    /// Cancels a restore and waits until nothing of it is left, two seconds at most. One that has ended stays as it is. One that is
    /// making its result visible is [`EngineError::RestoreFinalizing`].
    pub async fn cancel_restore(&self, uuid: &str) -> Result<RestoreRun, EngineError> {
        let running = self.inner.activity().restores.get(uuid).cloned();
        let Some(running) = running else {
            let noted = self.inner.catalogue.restore_run(uuid).await?;
            return noted.ok_or_else(|| EngineError::RestoreMissing {
                uuid: uuid.to_owned(),
            });
        };
        if !running.request_cancel() {
            return Err(EngineError::RestoreFinalizing {
                uuid: uuid.to_owned(),
            });
        }
        if tokio::time::timeout(CANCEL_WAIT, running.job.wait())
            .await
            .is_err()
        {
            tracing::warn!(uuid, "a cancelled restore takes its time to end");
        }
        Ok(running.run())
    }
}
