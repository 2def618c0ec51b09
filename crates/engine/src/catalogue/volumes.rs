//! Volumes and instances that were added, and the ids of the others.

use super::pool::{Catalogue, failed};
use crate::error::EngineError;

/// A volume or an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceRow {
    pub(crate) id: String,
    /// `volume` or `instance`.
    pub(crate) kind: String,
    /// `found`, `added` or `configured`.
    pub(crate) origin: String,
    /// What the id belongs to: the name of a file, or the configured or given name.
    pub(crate) name: String,
    /// JSON: how it was added.
    pub(crate) spec: Option<String>,
}

impl Catalogue {
    /// All of them.
    pub(crate) async fn resources(&self) -> Result<Vec<ResourceRow>, EngineError> {
        let rows: Vec<(String, String, String, String, Option<String>)> =
            sqlx::query_as("SELECT id, kind, origin, name, spec FROM volume_resources ORDER BY id")
                .fetch_all(self.read())
                .await
                .map_err(failed("read volumes"))?;
        let resource = |(id, kind, origin, name, spec)| ResourceRow {
            id,
            kind,
            origin,
            name,
            spec,
        };
        Ok(rows.into_iter().map(resource).collect())
    }

    /// Adds one, or replaces the one of this id.
    pub(crate) async fn put_resource(&self, row: &ResourceRow) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO volume_resources (id, kind, origin, name, spec) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, origin = excluded.origin, name = excluded.name, \
             spec = excluded.spec",
        )
        .bind(row.id.clone())
        .bind(row.kind.clone())
        .bind(row.origin.clone())
        .bind(row.name.clone())
        .bind(row.spec.clone())
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("note a volume"))?;
        write.commit().await
    }

    /// Forgets one.
    pub(crate) async fn remove_resource(&self, id: &str) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM volume_resources WHERE id = $1")
            .bind(id.to_owned())
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("forget a volume"))?;
        write.commit().await
    }
}
