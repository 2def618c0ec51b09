//! Points of volumes and instances: what their manifests say, and what no manifest says.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Catalogue, WriteTransaction, failed, unreadable};
use crate::error::EngineError;
use crate::layout::{Manifest, PointRecord};
use crate::model::{PointDisk, PointKind, PointResource, PointStatus, SnapshotInfo};
use crate::volumes::IdKind;

/// What is known of a point beside its status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPoint {
    pub(crate) point: PointRecord,
    /// Its disks; of one that could not be made none.
    pub(crate) disks: Vec<PointDisk>,
    /// Bytes it added to the repository.
    pub(crate) stored_bytes: u64,
    /// Why it is ceased.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PointRow {
    /// Id of the restic repository.
    pub(crate) vault: String,
    /// Of the snapshot that it is.
    pub(crate) uuid: String,
    /// As it is named now.
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) status: PointStatus,
    pub(crate) status_ms: i64,
    pub(crate) stored: StoredPoint,
    /// Id of the root tree of the snapshot, while there is one.
    pub(crate) tree_id: Option<String>,
    pub(crate) locked_until_ms: Option<i64>,
}

impl PointRow {
    /// The point of a snapshot that is complete.
    pub(crate) fn of_manifest(vault: &str, manifest: &Manifest) -> Option<Self> {
        let point = manifest.point.clone()?;
        Some(Self {
            vault: vault.to_owned(),
            uuid: manifest.uuid.clone(),
            name: point.name.clone(),
            description: point.description.clone(),
            status: PointStatus::Available,
            status_ms: manifest.end_ms,
            stored: StoredPoint {
                point,
                disks: manifest.volumes.clone(),
                stored_bytes: manifest.stored_bytes,
                reason: None,
            },
            tree_id: None,
            locked_until_ms: None,
        })
    }

    /// A point of which only the tags of its snapshot can be read. Its chain is not known.
    pub(crate) fn suspended(vault: &str, info: &SnapshotInfo, resource: &str) -> Self {
        let kind = if IdKind::Instance.matches(resource) {
            PointKind::Instance
        } else {
            PointKind::Volume
        };
        let point = PointRecord {
            id: info.name.clone(),
            name: info.name.clone(),
            description: String::new(),
            resource: PointResource {
                id: resource.to_owned(),
                name: resource.to_owned(),
                kind,
            },
            ancestors: Vec::new(),
            create_ms: info.start_ms,
            snapshot_ms: info.start_ms,
            job_id: String::new(),
        };
        Self {
            vault: vault.to_owned(),
            uuid: info.uuid.clone(),
            name: point.name.clone(),
            description: String::new(),
            status: PointStatus::Suspended,
            status_ms: info.start_ms,
            stored: StoredPoint {
                point,
                disks: Vec::new(),
                stored_bytes: 0,
                reason: info.reason.clone(),
            },
            tree_id: None,
            locked_until_ms: None,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.stored.point.id
    }
}

/// The head of a resource as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) vault: String,
    pub(crate) resource: String,
    /// Of the snapshot.
    pub(crate) uuid: String,
    pub(crate) set_ms: i64,
}

const SELECT: &str = "SELECT p.vault, p.uuid, p.name, p.description, p.status, p.status_ms, p.record, s.tree_id, l.until_ms \
                      FROM points p \
                      LEFT JOIN snapshots s ON s.vault = p.vault AND s.uuid = p.uuid \
                      LEFT JOIN snapshot_locks l ON l.vault = p.vault AND l.uuid = p.uuid";

fn parse(row: &AnyRow) -> Result<PointRow, EngineError> {
    let text = |column: &'static str| {
        row.try_get::<String, _>(column)
            .map_err(failed("read points"))
    };
    let status = serde_json::Value::String(text("status")?);
    Ok(PointRow {
        vault: text("vault")?,
        uuid: text("uuid")?,
        name: text("name")?,
        description: text("description")?,
        status: serde_json::from_value(status).map_err(unreadable("the status of a point"))?,
        status_ms: row.try_get("status_ms").map_err(failed("read points"))?,
        stored: serde_json::from_str(&text("record")?).map_err(unreadable("a point"))?,
        tree_id: row.try_get("tree_id").map_err(failed("read points"))?,
        locked_until_ms: row.try_get("until_ms").map_err(failed("read points"))?,
    })
}

impl Catalogue {
    /// All points.
    pub(crate) async fn points(&self) -> Result<Vec<PointRow>, EngineError> {
        let rows = sqlx::query(SELECT)
            .fetch_all(self.read())
            .await
            .map_err(failed("read points"))?;
        rows.iter().map(parse).collect()
    }

    /// The points of this id: more than one where a repository was copied.
    pub(crate) async fn points_named(&self, id: &str) -> Result<Vec<PointRow>, EngineError> {
        let query = format!("{SELECT} WHERE p.id = $1 ORDER BY p.vault, p.uuid");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(id.to_owned())
            .fetch_all(self.read())
            .await
            .map_err(failed("read a point"))?;
        rows.iter().map(parse).collect()
    }

    /// Vaults that have points.
    pub(crate) async fn vaults_with_points(&self) -> Result<Vec<String>, EngineError> {
        sqlx::query_scalar("SELECT DISTINCT vault FROM points")
            .fetch_all(self.read())
            .await
            .map_err(failed("read points"))
    }

    /// The heads that were set.
    pub(crate) async fn heads(&self) -> Result<Vec<HeadRow>, EngineError> {
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT vault, resource, uuid, set_ms FROM point_heads")
                .fetch_all(self.read())
                .await
                .map_err(failed("read heads"))?;
        let head = |(vault, resource, uuid, set_ms)| HeadRow {
            vault,
            resource,
            uuid,
            set_ms,
        };
        Ok(rows.into_iter().map(head).collect())
    }
}

impl WriteTransaction<'_> {
    /// Adds a point, or replaces what is known of the same (by uuid); a name that was changed stays.
    pub(crate) async fn put_point(&mut self, row: &PointRow) -> Result<(), EngineError> {
        let record = serde_json::to_string(&row.stored).map_err(unreadable("a point"))?;
        sqlx::query(
            "INSERT INTO points (vault, uuid, id, resource, name, description, status, status_ms, record) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (vault, uuid) DO UPDATE SET \
             status = excluded.status, status_ms = excluded.status_ms, record = excluded.record",
        )
        .bind(row.vault.clone())
        .bind(row.uuid.clone())
        .bind(row.id().to_owned())
        .bind(row.stored.point.resource.id.clone())
        .bind(row.name.clone())
        .bind(row.description.clone())
        .bind(row.status.as_str())
        .bind(row.status_ms)
        .bind(record)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note a point"))?;
        Ok(())
    }

    /// Notes name and description of a point.
    pub(crate) async fn name_point(
        &mut self,
        vault: &str,
        uuid: &str,
        name: &str,
        description: &str,
    ) -> Result<(), EngineError> {
        sqlx::query("UPDATE points SET name = $1, description = $2 WHERE vault = $3 AND uuid = $4")
            .bind(name.to_owned())
            .bind(description.to_owned())
            .bind(vault.to_owned())
            .bind(uuid.to_owned())
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("note the name of a point"))?;
        Ok(())
    }

    /// Notes that the snapshot of a point is gone; what is no point is not concerned. Points that were deleted before `forget_ms` are
    /// forgotten.
    pub(crate) async fn end_point(
        &mut self,
        vault: &str,
        uuid: &str,
        now_ms: i64,
        forget_ms: i64,
    ) -> Result<(), EngineError> {
        sqlx::query(
            "UPDATE points SET status = 'deleted', status_ms = $1 WHERE vault = $2 AND uuid = $3 AND status <> 'deleted'",
        )
        .bind(now_ms)
        .bind(vault.to_owned())
        .bind(uuid.to_owned())
        .execute(&mut *self.transaction)
        .await
        .map_err(failed("note that a point is gone"))?;
        sqlx::query("DELETE FROM points WHERE status = 'deleted' AND status_ms < $1")
            .bind(forget_ms)
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("forget points"))?;
        Ok(())
    }

    /// Sets the head of a resource, or forgets which it was.
    pub(crate) async fn set_head(
        &mut self,
        vault: &str,
        resource: &str,
        head: Option<(&str, i64)>,
    ) -> Result<(), EngineError> {
        let query = match head {
            None => sqlx::query("DELETE FROM point_heads WHERE vault = $1 AND resource = $2")
                .bind(vault.to_owned())
                .bind(resource.to_owned()),
            Some((uuid, set_ms)) => sqlx::query(
                "INSERT INTO point_heads (vault, resource, uuid, set_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (vault, resource) DO UPDATE SET uuid = excluded.uuid, set_ms = excluded.set_ms",
            )
            .bind(vault.to_owned())
            .bind(resource.to_owned())
            .bind(uuid.to_owned())
            .bind(set_ms),
        };
        query
            .execute(&mut *self.transaction)
            .await
            .map_err(failed("note a head"))?;
        Ok(())
    }
}
