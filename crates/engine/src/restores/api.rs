//! Restores as dialects see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RunningRestore;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{JobState, RestoreInfo, RestoreTicket, ShardRecovery};

impl Engine {
    /// Waits until a restore has ended; a failed one is no error but has failed shards and a text.
    pub async fn wait_restore(&self, ticket: &RestoreTicket) -> Result<RestoreInfo, EngineError> {
        let running = self.inner.activity().restores.get(&ticket.uuid).cloned();
        if let Some(running) = running {
            running.job.wait().await;
            return running
                .result()
                .ok_or_else(|| EngineError::Internal("a restore left no result".to_owned()));
        }
        let job = self.job(&ticket.job_id).await?;
        if job.state == JobState::Succeeded {
            return Ok(ticket.planned.clone());
        }
        Ok(RestoreInfo {
            shards_successful: 0,
            shards_failed: ticket.planned.shards_total,
            error: job.error,
            ..ticket.planned.clone()
        })
    }

    /// Recoveries of shards, running ones and the latest of each index, by index and shard.
    pub async fn recoveries(&self) -> Result<Vec<ShardRecovery>, EngineError> {
        let noted = self.inner.catalogue.recoveries().await?;
        let running: Vec<Arc<RunningRestore>> =
            self.inner.activity().restores.values().cloned().collect();
        let mut by_shard: BTreeMap<(String, u32), ShardRecovery> = noted
            .into_iter()
            .map(|shard| ((shard.index.clone(), shard.shard), shard))
            .collect();
        for shard in running
            .iter()
            .flat_map(|running| running.recoveries())
            .flatten()
        {
            by_shard.insert((shard.index.clone(), shard.shard), shard);
        }
        Ok(by_shard.into_values().collect())
    }

    /// Indices that are being restored, sorted.
    pub fn indices_in_restores(&self) -> Vec<String> {
        let activity = self.inner.activity();
        let mut names: Vec<String> = activity
            .restores
            .values()
            .flat_map(|running| running.planned.indices.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Cancels the restore that makes this index and waits until nothing of it is left; false when there is none.
    pub async fn cancel_restore_of(&self, index: &str) -> Result<bool, EngineError> {
        let running = {
            let activity = self.inner.activity();
            let makes_it = |running: &&Arc<RunningRestore>| {
                running.planned.indices.iter().any(|name| name == index)
            };
            activity.restores.values().find(makes_it).cloned()
        };
        let Some(running) = running else {
            return Ok(false);
        };
        running.job.cancel("the index was deleted");
        running.job.wait().await;
        Ok(true)
    }
}
