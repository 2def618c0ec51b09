//! Rollbacks of volumes that were begun and are not done.

use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::volumes::RollbackRecord;

impl Catalogue {
    /// All, by volume.
    pub(crate) async fn rollbacks(&self) -> Result<Vec<RollbackRecord>, EngineError> {
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT record FROM volume_rollbacks ORDER BY volume")
                .fetch_all(self.read())
                .await
                .map_err(failed("read rollbacks"))?;
        texts
            .iter()
            .map(|text| serde_json::from_str(text).map_err(unreadable("a rollback")))
            .collect()
    }
}

impl WriteTransaction<'_> {
    /// Notes how far rollbacks are, each in place of what was noted of its volume.
    pub(crate) async fn put_rollbacks(
        &mut self,
        records: &[RollbackRecord],
    ) -> Result<(), EngineError> {
        for record in records {
            let text = serde_json::to_string(record).map_err(unreadable("a rollback"))?;
            sqlx::query(
                "INSERT INTO volume_rollbacks (volume, job, record) VALUES ($1, $2, $3) \
                 ON CONFLICT (volume) DO UPDATE SET job = excluded.job, record = excluded.record",
            )
            .bind(record.source.volume.clone())
            .bind(record.job.clone())
            .bind(text)
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("note a rollback"))?;
        }
        Ok(())
    }

    /// Forgets the rollbacks of volumes: they are done, or nothing was changed.
    pub(crate) async fn remove_rollbacks(
        &mut self,
        volumes: impl IntoIterator<Item = &str>,
    ) -> Result<(), EngineError> {
        for volume in volumes {
            sqlx::query("DELETE FROM volume_rollbacks WHERE volume = $1")
                .bind(volume.to_owned())
                .execute(&mut *self.transaction)
                .await
                .map_err(failed("forget a rollback"))?;
        }
        Ok(())
    }
}
