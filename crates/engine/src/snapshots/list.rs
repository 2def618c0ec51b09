//! Listing snapshots: running ones from memory, all others from the catalogue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalogue::RepositoryRow;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::model::SnapshotInfo;
use crate::repositories::reconcile;

/// A list of snapshots is at most this much older than the repository.
const COMPARED_FOR: Duration = Duration::from_secs(5);

impl Inner {
    /// The vault id of a registration. A repository that others write to (read-only here) is listed anew; one that was never
    /// opened is opened. None when there is nothing yet.
    pub(crate) async fn vault_id(
        self: &Arc<Self>,
        repository: &str,
    ) -> Result<Option<String>, EngineError> {
        let row = self.registered(repository).await?;
        let settings = self.settings_of(&row)?;
        if settings.readonly {
            if !settings.location.join("config").exists() {
                return Ok(row.vault);
            }
            let vault = self.open_vault(&row).await?;
            reconcile(self, &vault).await?;
            return Ok(Some(vault.id.clone()));
        }
        let Some(known) = row.vault.clone() else {
            return Ok(Some(self.open_vault(&row).await?.id.clone()));
        };
        // Right after a start the catalogue may tell of snapshots that were deleted when the server was killed; later, of those that
        // others have deleted. Where the repository cannot be reached, what is known is still told.
        if let Err(error) = self.compare_if_old(&row).await {
            tracing::warn!(repository, %error, "the list of snapshots is told as it was last known");
        }
        Ok(Some(known))
    }
}

impl Inner {
    async fn compare_if_old(self: &Arc<Self>, row: &RepositoryRow) -> Result<(), EngineError> {
        let vault = self.open_vault(row).await?;
        let mut compared = vault.compared.lock().await;
        if compared.is_none_or(|at| at.elapsed() > COMPARED_FOR) {
            reconcile(self, &vault).await?;
            *compared = Some(Instant::now());
        }
        Ok(())
    }
}

impl Engine {
    /// All snapshots of a repository, running ones included, by start time, then name: one read of the catalogue, and every few
    /// seconds a look at what is in the repository.
    pub async fn snapshots(&self, repository: &str) -> Result<Vec<SnapshotInfo>, EngineError> {
        let inner = &self.inner;
        let Some(vault) = inner.vault_id(repository).await? else {
            return Ok(Vec::new());
        };
        // Memory first: one that ends meanwhile is then seen twice rather than not at all.
        let now_ms = inner.config.clock.now_ms();
        let running: Vec<SnapshotInfo> = {
            let activity = inner.activity();
            let of_vault = activity
                .snapshots
                .values()
                .filter(|running| running.vault.id == vault);
            of_vault.map(|running| running.info(now_ms)).collect()
        };
        let mut snapshots: Vec<SnapshotInfo> = inner
            .catalogue
            .snapshots(&vault)
            .await?
            .into_iter()
            .map(|row| row.info)
            .collect();
        for info in running {
            if !snapshots.iter().any(|known| known.uuid == info.uuid) {
                snapshots.push(info);
            }
        }
        for info in &mut snapshots {
            repository.clone_into(&mut info.repository);
        }
        snapshots.sort_by(|a, b| (a.start_ms, &a.name).cmp(&(b.start_ms, &b.name)));
        Ok(snapshots)
    }

    /// One snapshot, running or not.
    pub async fn snapshot(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<SnapshotInfo, EngineError> {
        let inner = &self.inner;
        let missing = || EngineError::SnapshotMissing {
            repository: repository.to_owned(),
            snapshot: name.to_owned(),
        };
        let vault = inner.vault_id(repository).await?.ok_or_else(missing)?;
        let key = (vault.clone(), name.to_owned());
        let running = inner.activity().snapshots.get(&key).cloned();
        let row = inner.catalogue.snapshot(&vault, name).await?;
        let mut info = match (row, running) {
            (Some(row), _) => row.info,
            (None, Some(running)) => running
                .result()
                .unwrap_or_else(|| running.info(inner.config.clock.now_ms())),
            (None, None) => return Err(missing()),
        };
        repository.clone_into(&mut info.repository);
        Ok(info)
    }
}
