//! The latest restore of each snapshot.

use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::model::{RestoreRun, RestoreState};

fn parse(text: Option<String>) -> Result<Option<RestoreRun>, EngineError> {
    text.map(|text| serde_json::from_str(&text).map_err(unreadable("a restore")))
        .transpose()
}

impl Catalogue {
    /// That of one snapshot.
    pub(crate) async fn restore_of(
        &self,
        vault: &str,
        snapshot_uuid: &str,
    ) -> Result<Option<RestoreRun>, EngineError> {
        let text =
            sqlx::query_scalar("SELECT run FROM restores WHERE vault = $1 AND snapshot_uuid = $2")
                .bind(vault.to_owned())
                .bind(snapshot_uuid.to_owned())
                .fetch_optional(self.read())
                .await
                .map_err(failed("read a restore"))?;
        parse(text)
    }

    /// Those of all snapshots of a vault, each with the uuid of the snapshot.
    pub(crate) async fn restores_of(
        &self,
        vault: &str,
    ) -> Result<Vec<(String, RestoreRun)>, EngineError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT snapshot_uuid, run FROM restores WHERE vault = $1")
                .bind(vault.to_owned())
                .fetch_all(self.read())
                .await
                .map_err(failed("read restores"))?;
        let parsed = rows.into_iter().map(|(uuid, run)| {
            let run = serde_json::from_str(&run).map_err(unreadable("a restore"))?;
            Ok((uuid, run))
        });
        parsed.collect()
    }

    /// One by its uuid.
    pub(crate) async fn restore_run(&self, uuid: &str) -> Result<Option<RestoreRun>, EngineError> {
        let text = sqlx::query_scalar("SELECT run FROM restores WHERE uuid = $1")
            .bind(uuid.to_owned())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a restore"))?;
        parse(text)
    }

    /// Ends the restores that an earlier process left unfinished.
    pub(crate) async fn fail_unfinished_restores(
        &self,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT vault, snapshot_uuid, run FROM restores")
                .fetch_all(&mut *write.transaction)
                .await
                .map_err(failed("read restores"))?;
        for (vault, snapshot_uuid, run) in rows {
            let mut run: RestoreRun =
                serde_json::from_str(&run).map_err(unreadable("a restore"))?;
            if run.state.is_running() {
                run.state = RestoreState::Failed;
                run.error = Some(reason.to_owned());
                run.end_ms = Some(now_ms);
                write.put_restore(&vault, &snapshot_uuid, &run).await?;
            }
        }
        write.commit().await
    }
}

impl WriteTransaction<'_> {
    /// Notes a restore as the latest of its snapshot.
    pub(crate) async fn put_restore(
        &mut self,
        vault: &str,
        snapshot_uuid: &str,
        run: &RestoreRun,
    ) -> Result<(), EngineError> {
        let text = serde_json::to_string(run).map_err(unreadable("a restore"))?;
        sqlx::query(
            "INSERT INTO restores (vault, snapshot_uuid, uuid, run) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (vault, snapshot_uuid) DO UPDATE SET uuid = excluded.uuid, run = excluded.run",
        )
        .bind(vault.to_owned())
        .bind(snapshot_uuid.to_owned())
        .bind(run.uuid.clone())
        .bind(text)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a restore"))?;
        Ok(())
    }

    /// Notes how a restore ended, if it still is the latest of its snapshot.
    pub(crate) async fn update_restore(&mut self, run: &RestoreRun) -> Result<(), EngineError> {
        let text = serde_json::to_string(run).map_err(unreadable("a restore"))?;
        sqlx::query("UPDATE restores SET run = $1 WHERE uuid = $2")
            .bind(text)
            .bind(run.uuid.clone())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("note a restore"))?;
        Ok(())
    }
}
