//! One prune at a time in a repository, whoever runs it: two would rewrite the same index files.

use super::marks::process_token;
use crate::error::VaultError;
use crate::format::Time;
use crate::repository::Repository;
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::Path;

const NAME: &str = "prune-lease";

/// A lease older than this is of a process that died; a prune that takes longer renews it.
const STALE_AFTER_S: i64 = 30 * 60;

/// How often the holder renews its lease.
const RENEW_AFTER_S: i64 = 5 * 60;

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    time: Time,
    hostname: String,
    pid: u32,
    /// Tells the holder from a later process of the same number, as containers have them.
    #[serde(default)]
    token: String,
}

/// The right to prune; given back when dropped.
pub(super) struct PruneLease<'a> {
    repository: &'a Repository,
    renewed_s: i64,
}

impl<'a> PruneLease<'a> {
    /// Takes the lease, or says who has it.
    pub(super) fn take(repository: &'a Repository) -> Result<Self, VaultError> {
        let storage = repository.storage();
        if let Err(error) = put(repository, PutMode::Create) {
            let already_there =
                matches!(&error, VaultError::Storage(cause) if cause.is_already_exists());
            if !already_there {
                return Err(error);
            }
            if let Some(holder) = holder(repository)? {
                return Err(VaultError::Locked {
                    by: format!("a prune of process {} on {}", holder.pid, holder.hostname),
                    since: holder.time.to_string(),
                });
            }
            // Of several that find a stale lease, the creation below lets only one go on.
            storage.delete(FileKind::Side, NAME)?;
            put(repository, PutMode::Create)?;
        }
        Ok(Self {
            repository,
            renewed_s: Time::now().unix_seconds(),
        })
    }

    /// Called between steps: keeps the lease from looking stale.
    pub(super) fn renew(&mut self) -> Result<(), VaultError> {
        let now_s = Time::now().unix_seconds();
        if now_s - self.renewed_s > RENEW_AFTER_S {
            put(self.repository, PutMode::Overwrite)?;
            self.renewed_s = now_s;
        }
        Ok(())
    }
}

impl Drop for PruneLease<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.repository.storage().delete(FileKind::Side, NAME) {
            tracing::warn!(%error, "the prune lease could not be given back; it ends by itself after 30 minutes");
        }
    }
}

/// Whoever has the lease now; `None` if it is stale, damaged or was just given back.
fn holder(repository: &Repository) -> Result<Option<Content>, VaultError> {
    let bytes = match repository.storage().get(FileKind::Side, NAME) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Ok(content) = serde_json::from_slice::<Content>(&bytes) else {
        return Ok(None);
    };
    let age_s = Time::now().unix_seconds() - content.time.unix_seconds();
    let same_host = content.hostname == repository.options().hostname;
    let is_own_number = content.pid == std::process::id();
    let is_running = Path::new("/proc").join(content.pid.to_string()).exists();
    let is_gone = same_host && (!is_running || (is_own_number && content.token != process_token()));
    Ok((age_s < STALE_AFTER_S && !is_gone).then_some(content))
}

fn put(repository: &Repository, mode: PutMode) -> Result<(), VaultError> {
    let content = Content {
        time: Time::now(),
        hostname: repository.options().hostname.clone(),
        pid: std::process::id(),
        token: process_token().to_owned(),
    };
    let json = serde_json::to_vec(&content).map_err(|error| {
        VaultError::Internal(format!("the prune lease cannot be encoded: {error}"))
    })?;
    Ok(repository
        .storage()
        .put(FileKind::Side, NAME, Bytes::from(json), mode)?)
}
