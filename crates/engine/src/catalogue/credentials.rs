//! Credentials and tokens.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Catalogue, failed, unreadable};
use crate::credentials::{Credential, CredentialRow, TokenRow};
use crate::error::EngineError;

const READ: &str = "read credentials";

fn text(row: &AnyRow, column: &str) -> Result<String, EngineError> {
    row.try_get(column).map_err(failed(READ))
}

fn word<T: std::str::FromStr<Err = String>>(row: &AnyRow, column: &str) -> Result<T, EngineError> {
    text(row, column)?
        .parse()
        .map_err(|cause| EngineError::Catalogue {
            operation: READ.to_owned(),
            cause,
        })
}

fn parse(row: &AnyRow) -> Result<CredentialRow, EngineError> {
    let limits = serde_json::from_str(&text(row, "limits")?)
        .map_err(unreadable("limits of a credential"))?;
    Ok(CredentialRow {
        credential: Credential {
            name: text(row, "name")?,
            kind: word(row, "kind")?,
            key_id: text(row, "key_id")?,
            role: word(row, "role")?,
            limits,
            created_ms: row.try_get("created_ms").map_err(failed(READ))?,
            rotated_ms: row.try_get("rotated_ms").map_err(failed(READ))?,
        },
        secret: text(row, "secret")?,
    })
}

fn parse_token(row: &AnyRow) -> Result<TokenRow, EngineError> {
    Ok(TokenRow {
        hash: text(row, "hash")?,
        credential: text(row, "credential")?,
        project: row.try_get("project").map_err(failed("read tokens"))?,
        expires_ms: row.try_get("expires_ms").map_err(failed("read tokens"))?,
    })
}

impl Catalogue {
    /// All, with what is kept of their secrets.
    pub(crate) async fn credentials(&self) -> Result<Vec<CredentialRow>, EngineError> {
        let rows = sqlx::query("SELECT name, kind, key_id, secret, role, limits, created_ms, rotated_ms FROM credentials")
            .fetch_all(self.read())
            .await
            .map_err(failed(READ))?;
        rows.iter().map(parse).collect()
    }

    /// All, expired ones included.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenRow>, EngineError> {
        let rows = sqlx::query("SELECT hash, credential, project, expires_ms FROM tokens")
            .fetch_all(self.read())
            .await
            .map_err(failed("read tokens"))?;
        rows.iter().map(parse_token).collect()
    }

    /// Adds or replaces a credential; tokens that an earlier secret was good for go.
    pub(crate) async fn put_credential(&self, row: &CredentialRow) -> Result<(), EngineError> {
        let credential = &row.credential;
        let limits = serde_json::to_string(&credential.limits)
            .map_err(unreadable("limits of a credential"))?;
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO credentials (name, kind, key_id, secret, role, limits, created_ms, rotated_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, key_id = excluded.key_id, secret = excluded.secret, \
             role = excluded.role, limits = excluded.limits, rotated_ms = excluded.rotated_ms",
        )
        .bind(credential.name.clone())
        .bind(credential.kind.as_str())
        .bind(credential.key_id.clone())
        .bind(row.secret.clone())
        .bind(credential.role.as_str())
        .bind(limits)
        .bind(credential.created_ms)
        .bind(credential.rotated_ms)
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("keep a credential"))?;
        sqlx::query("DELETE FROM tokens WHERE credential = $1")
            .bind(credential.name.clone())
            .execute(&mut *write.transaction)
            .await
            .map_err(failed("remove tokens"))?;
        write.commit().await
    }

    /// Removes a credential and its tokens.
    pub(crate) async fn remove_credential(&self, name: &str) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        for statement in [
            "DELETE FROM credentials WHERE name = $1",
            "DELETE FROM tokens WHERE credential = $1",
        ] {
            sqlx::query(statement)
                .bind(name.to_owned())
                .execute(&mut *write.transaction)
                .await
                .map_err(failed("remove a credential"))?;
        }
        write.commit().await
    }

    /// Keeps a token and removes others, by their hashes.
    pub(crate) async fn put_token(
        &self,
        token: &TokenRow,
        shed: &[String],
    ) -> Result<(), EngineError> {
        let mut write = self.write().await?;
        for hash in shed {
            sqlx::query("DELETE FROM tokens WHERE hash = $1")
                .bind(hash.clone())
                .execute(&mut *write.transaction)
                .await
                .map_err(failed("remove a token"))?;
        }
        sqlx::query(
            "INSERT INTO tokens (hash, credential, project, expires_ms) VALUES ($1, $2, $3, $4)",
        )
        .bind(token.hash.clone())
        .bind(token.credential.clone())
        .bind(token.project.clone())
        .bind(token.expires_ms)
        .execute(&mut *write.transaction)
        .await
        .map_err(failed("keep a token"))?;
        write.commit().await
    }
}
