//! The latest recovery of each index.

use super::pool::{Catalogue, failed, unreadable};
use crate::error::EngineError;
use crate::model::ShardRecovery;

impl Catalogue {
    /// All, by index and shard.
    pub(crate) async fn recoveries(&self) -> Result<Vec<ShardRecovery>, EngineError> {
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT shards FROM recoveries ORDER BY index_name")
                .fetch_all(self.read())
                .await
                .map_err(failed("read recoveries"))?;
        let mut recoveries = Vec::new();
        for text in texts {
            let shards: Vec<ShardRecovery> =
                serde_json::from_str(&text).map_err(unreadable("a recovery"))?;
            recoveries.extend(shards);
        }
        Ok(recoveries)
    }

    /// Notes the recovery of some indices, given as the shards of each.
    pub(crate) async fn put_recoveries(
        &self,
        indices: &[Vec<ShardRecovery>],
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        for shards in indices {
            let Some(first) = shards.first() else {
                continue;
            };
            let text = serde_json::to_string(shards).map_err(unreadable("a recovery"))?;
            sqlx::query(
                "INSERT INTO recoveries (index_name, restore_uuid, shards) VALUES ($1, $2, $3) \
                 ON CONFLICT (index_name) DO UPDATE SET restore_uuid = excluded.restore_uuid, shards = excluded.shards",
            )
            .bind(first.index.clone())
            .bind(first.source.restore_uuid.clone())
            .bind(text)
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("note a recovery"))?;
        }
        write.commit().await
    }

    /// Ends the recoveries that an earlier process left unfinished.
    pub(crate) async fn fail_unfinished_recoveries(
        &self,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), EngineError> {
        let mut by_index: Vec<Vec<ShardRecovery>> = Vec::new();
        for mut shard in self.recoveries().await? {
            if shard.is_active() {
                shard.stop_ms = Some(now_ms);
                shard.failure = Some(reason.to_owned());
            }
            match by_index.last_mut() {
                Some(shards) if shards[0].index == shard.index => shards.push(shard),
                _ => by_index.push(vec![shard]),
            }
        }
        self.put_recoveries(&by_index).await
    }
}
