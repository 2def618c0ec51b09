//! Registered repositories.

use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Catalogue, failed, unreadable};
use crate::error::EngineError;

/// One registration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RepositoryRow {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) settings: Map<String, Value>,
    /// Id of the restic repository.
    pub(crate) vault: Option<String>,
}

fn parse(row: &AnyRow) -> Result<RepositoryRow, EngineError> {
    let settings: String = row
        .try_get("settings")
        .map_err(failed("read repositories"))?;
    Ok(RepositoryRow {
        name: row.try_get("name").map_err(failed("read repositories"))?,
        kind: row.try_get("kind").map_err(failed("read repositories"))?,
        settings: serde_json::from_str(&settings)
            .map_err(unreadable("settings of a repository"))?,
        vault: row.try_get("vault").map_err(failed("read repositories"))?,
    })
}

impl Catalogue {
    /// All, sorted by name.
    pub(crate) async fn repositories(&self) -> Result<Vec<RepositoryRow>, EngineError> {
        let rows =
            sqlx::query("SELECT name, kind, settings, vault FROM repositories ORDER BY name")
                .fetch_all(self.read())
                .await
                .map_err(failed("read repositories"))?;
        rows.iter().map(parse).collect()
    }

    /// One by name.
    pub(crate) async fn repository(
        &self,
        name: &str,
    ) -> Result<Option<RepositoryRow>, EngineError> {
        let row =
            sqlx::query("SELECT name, kind, settings, vault FROM repositories WHERE name = $1")
                .bind(name.to_owned())
                .fetch_optional(self.read())
                .await
                .map_err(failed("read a repository"))?;
        row.as_ref().map(parse).transpose()
    }

    /// Registers or replaces one.
    pub(crate) async fn put_repository(&self, row: &RepositoryRow) -> Result<(), EngineError> {
        let settings =
            serde_json::to_string(&row.settings).map_err(unreadable("settings of a repository"))?;
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO repositories (name, kind, settings, vault) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, settings = excluded.settings, vault = excluded.vault",
        )
        .bind(row.name.clone())
        .bind(row.kind.clone())
        .bind(settings)
        .bind(row.vault.clone())
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("register a repository"))?;
        write.commit().await
    }

    /// Notes which restic repository is behind a registration.
    pub(crate) async fn set_repository_vault(
        &self,
        name: &str,
        vault: &str,
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE repositories SET vault = $1 WHERE name = $2")
            .bind(vault.to_owned())
            .bind(name.to_owned())
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("note the id of a repository"))?;
        write.commit().await
    }

    /// Forgets one.
    pub(crate) async fn remove_repository(&self, name: &str) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM repositories WHERE name = $1")
            .bind(name.to_owned())
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("forget a repository"))?;
        write.commit().await
    }
}
