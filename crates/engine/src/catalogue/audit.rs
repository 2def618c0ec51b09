//! The table of who did what.

use super::pool::{Catalogue, failed, unreadable};
use crate::audit::{AuditQuery, AuditRecord};
use crate::error::EngineError;

impl Catalogue {
    /// Adds records, numbered upwards from the greatest number there is, and removes the oldest beyond `most`.
    pub(crate) async fn add_audit(
        &self,
        records: &[AuditRecord],
        most: i64,
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM audit")
            .fetch_one(&mut *write.transaction)
            .await
            .map_err(failed("read the audit log"))?;
        let mut id = last.unwrap_or(0);
        for record in records {
            id += 1;
            let text = serde_json::to_string(record).map_err(unreadable("an audit record"))?;
            sqlx::query("INSERT INTO audit (id, at_ms, principal, record) VALUES ($1, $2, $3, $4)")
                .bind(id)
                .bind(record.at_ms)
                .bind(record.principal.clone())
                .bind(text)
                .execute(&mut *write.transaction)
                .await
                .map_err(failed("note an audit record"))?;
        }
        sqlx::query("DELETE FROM audit WHERE id <= $1")
            .bind(id - most)
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("shorten the audit log"))?;
        write.commit().await
    }

    /// The latest records that a query asks for, newest first.
    pub(crate) async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, EngineError> {
        let texts: Vec<String> = sqlx::query_scalar(
            "SELECT record FROM audit WHERE ($1 = '' OR principal = $1) AND at_ms >= $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(query.principal.clone().unwrap_or_default())
        .bind(query.since_ms)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(self.read())
        .await
        .map_err(failed("read the audit log"))?;
        texts
            .iter()
            .map(|text| serde_json::from_str(text).map_err(unreadable("an audit record")))
            .collect()
    }
}
