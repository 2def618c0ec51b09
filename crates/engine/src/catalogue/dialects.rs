//! What dialects keep for themselves.

use serde_json::Value;
use sqlx::Row;

use super::pool::{Catalogue, failed, unreadable};
use crate::error::EngineError;

impl Catalogue {
    /// One setting of a dialect.
    pub(crate) async fn dialect_setting(
        &self,
        dialect: &str,
        name: &str,
    ) -> Result<Option<Value>, EngineError> {
        let row =
            sqlx::query("SELECT value FROM dialect_settings WHERE dialect = $1 AND name = $2")
                .bind(dialect.to_owned())
                .bind(name.to_owned())
                .fetch_optional(self.read())
                .await
                .map_err(failed("read a dialect's setting"))?;
        let Some(row) = row else { return Ok(None) };
        let value: String = row
            .try_get("value")
            .map_err(failed("read a dialect's setting"))?;
        serde_json::from_str(&value)
            .map(Some)
            .map_err(unreadable("a dialect's setting"))
    }

    /// Keeps or replaces one.
    pub(crate) async fn put_dialect_setting(
        &self,
        dialect: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO dialect_settings (dialect, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (dialect, name) DO UPDATE SET value = excluded.value",
        )
        .bind(dialect.to_owned())
        .bind(name.to_owned())
        .bind(value.to_string())
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("keep a dialect's setting"))?;
        write.commit().await
    }
}
