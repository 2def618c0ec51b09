//! What is known of snapshots.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::points::PointRow;
use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::layout::Manifest;
use crate::model::SnapshotInfo;

/// How long a deleted point is still known, milliseconds.
const DELETED_SHOWN_MS: i64 = 2 * 60 * 60 * 1000;

/// One snapshot without its manifest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SnapshotRow {
    /// Id of the restic repository.
    pub(crate) vault: String,
    /// Id of the root tree; none for a failed snapshot.
    pub(crate) tree_id: Option<String>,
    /// All that lists show. `repository` is filled in by the reader.
    pub(crate) info: SnapshotInfo,
}

/// Snapshots with their locks, which live longer than what is known of a snapshot.
const SELECT: &str = "SELECT s.vault, s.name, s.restic_id, s.tree_id, s.info, l.until_ms FROM snapshots s \
                      LEFT JOIN snapshot_locks l ON l.vault = s.vault AND l.uuid = s.uuid";

fn parse(row: &AnyRow) -> Result<SnapshotRow, EngineError> {
    let info: String = row.try_get("info").map_err(failed("read snapshots"))?;
    let mut info: SnapshotInfo = serde_json::from_str(&info).map_err(unreadable("a snapshot"))?;
    info.restic_id = row.try_get("restic_id").map_err(failed("read snapshots"))?;
    info.name = row.try_get("name").map_err(failed("read snapshots"))?;
    info.locked_until_ms = row.try_get("until_ms").map_err(failed("read snapshots"))?;
    Ok(SnapshotRow {
        vault: row.try_get("vault").map_err(failed("read snapshots"))?,
        tree_id: row.try_get("tree_id").map_err(failed("read snapshots"))?,
        info,
    })
}

impl Catalogue {
    /// All of a vault, by start and name.
    pub(crate) async fn snapshots(&self, vault: &str) -> Result<Vec<SnapshotRow>, EngineError> {
        let query = format!("{SELECT} WHERE s.vault = $1 ORDER BY s.start_ms, s.name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(vault.to_owned())
            .fetch_all(self.read())
            .await
            .map_err(failed("read snapshots"))?;
        rows.iter().map(parse).collect()
    }

    /// One by name.
    pub(crate) async fn snapshot(
        &self,
        vault: &str,
        name: &str,
    ) -> Result<Option<SnapshotRow>, EngineError> {
        let query = format!("{SELECT} WHERE s.vault = $1 AND s.name = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(vault.to_owned())
            .bind(name.to_owned())
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a snapshot"))?;
        row.as_ref().map(parse).transpose()
    }

    /// The manifest of a snapshot; none when it failed or is gone.
    pub(crate) async fn manifest(
        &self,
        vault: &str,
        uuid: &str,
    ) -> Result<Option<Manifest>, EngineError> {
        let text: Option<Option<String>> =
            sqlx::query_scalar("SELECT manifest FROM snapshots WHERE vault = $1 AND uuid = $2")
                .bind(vault.to_owned())
                .bind(uuid.to_owned())
                .fetch_optional(self.read())
                .await
                .map_err(failed("read a manifest"))?;
        text.flatten()
            .map(|text| serde_json::from_str(&text).map_err(unreadable("a manifest")))
            .transpose()
    }

    /// The youngest snapshots that increments can be based on, youngest first: tree id and uuid.
    pub(crate) async fn base_candidates(
        &self,
        vault: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>, EngineError> {
        sqlx::query_as(
            "SELECT tree_id, uuid FROM snapshots WHERE vault = $1 AND tree_id IS NOT NULL AND manifest IS NOT NULL \
             ORDER BY start_ms DESC, uuid LIMIT $2",
        )
        .bind(vault.to_owned())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(failed("look for a base"))
    }
}

impl WriteTransaction<'_> {
    /// Adds a snapshot, or replaces what is known of the same (by uuid); with it the point that it is.
    pub(crate) async fn put_snapshot(
        &mut self,
        row: &SnapshotRow,
        manifest: Option<&Manifest>,
    ) -> Result<(), EngineError> {
        if let Some(point) = manifest.and_then(|it| PointRow::of_manifest(&row.vault, it)) {
            self.put_point(&point).await?;
        }
        let info = serde_json::to_string(&row.info).map_err(unreadable("a snapshot"))?;
        let manifest = manifest
            .map(serde_json::to_string)
            .transpose()
            .map_err(unreadable("a manifest"))?;
        sqlx::query(
            "INSERT INTO snapshots (vault, uuid, name, restic_id, tree_id, start_ms, info, manifest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (vault, uuid) DO UPDATE SET \
             name = excluded.name, restic_id = excluded.restic_id, tree_id = excluded.tree_id, \
             start_ms = excluded.start_ms, info = excluded.info, manifest = excluded.manifest",
        )
        .bind(row.vault.clone())
        .bind(row.info.uuid.clone())
        .bind(row.info.name.clone())
        .bind(row.info.restic_id.clone())
        .bind(row.tree_id.clone())
        .bind(row.info.start_ms)
        .bind(info)
        .bind(manifest)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a snapshot"))?;
        Ok(())
    }

    /// Notes a new restic id for a snapshot (restic writes a new file when it changes tags).
    pub(crate) async fn set_restic_id(
        &mut self,
        vault: &str,
        uuid: &str,
        restic_id: &str,
    ) -> Result<(), EngineError> {
        sqlx::query("UPDATE snapshots SET restic_id = $1 WHERE vault = $2 AND uuid = $3")
            .bind(restic_id.to_owned())
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("note the id of a snapshot"))?;
        Ok(())
    }

    /// Forgets a snapshot. A point is shown as deleted for a while.
    pub(crate) async fn remove_snapshot(
        &mut self,
        vault: &str,
        uuid: &str,
        now_ms: i64,
    ) -> Result<(), EngineError> {
        self.end_point(vault, uuid, now_ms, now_ms - DELETED_SHOWN_MS)
            .await?;
        sqlx::query("DELETE FROM snapshots WHERE vault = $1 AND uuid = $2")
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget a snapshot"))?;
        sqlx::query("DELETE FROM restores WHERE vault = $1 AND snapshot_uuid = $2")
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget the restore of a snapshot"))?;
        Ok(())
    }
}
