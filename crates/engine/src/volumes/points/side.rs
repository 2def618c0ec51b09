//! What changes of a point after it was made: its name and description, and which point is the head of a resource.
//!
//! Snapshots are never rewritten, so these are small files beside them, `snapkeep/points/<uuid of the snapshot>` and
//! `snapkeep/heads/<resource>`, which restic leaves alone. The catalogue has a copy; a lost one is made anew from them.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use snapkeep_vault::storage::{FileKind, PutMode};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::repositories::OpenVault;

/// Folder of the names among our files.
const NAMES: &str = "points/";
/// Folder of the heads.
const HEADS: &str = "heads/";
/// Version of both files.
const FORMAT: u32 = 1;

/// The name that a point was given later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameFile {
    /// [`FORMAT`].
    format: u32,
    /// Uuid of the snapshot.
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) description: String,
}

/// The point that the next increment of a resource hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadFile {
    /// [`FORMAT`].
    format: u32,
    pub(super) resource: String,
    /// Uuid of the snapshot; none when all points are gone.
    pub(super) uuid: Option<String>,
    pub(super) set_ms: i64,
}

fn unavailable(vault: &OpenVault, reason: impl std::fmt::Display) -> EngineError {
    EngineError::RepositoryUnavailable {
        repository: vault.location.display().to_string(),
        reason: reason.to_string(),
    }
}

async fn put(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    file: String,
    content: &impl Serialize,
) -> Result<(), EngineError> {
    let json =
        serde_json::to_vec(content).map_err(|error| EngineError::Internal(error.to_string()))?;
    let vault = Arc::clone(vault);
    inner
        .blocking(move |_| {
            vault
                .files
                .put(FileKind::Side, &file, Bytes::from(json), PutMode::Overwrite)
                .map_err(|error| unavailable(&vault, error))
        })
        .await
}

/// Names a point: in the repository first, so that a crash leaves a name that is not listed yet and not one that gets lost.
pub(super) async fn name_point(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    uuid: &str,
    name: &str,
    description: &str,
) -> Result<(), EngineError> {
    let content = NameFile {
        format: FORMAT,
        uuid: uuid.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
    };
    put(inner, vault, format!("{NAMES}{uuid}"), &content).await?;
    let mut write = inner.catalogue.write().await?;
    write.name_point(&vault.id, uuid, name, description).await?;
    write.commit().await
}

/// Sets the head of a resource to the point that is this snapshot.
pub(super) async fn set_head(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    resource: &str,
    uuid: Option<&str>,
) -> Result<(), EngineError> {
    let set_ms = inner.config.clock.now_ms();
    let content = HeadFile {
        format: FORMAT,
        resource: resource.to_owned(),
        uuid: uuid.map(ToOwned::to_owned),
        set_ms,
    };
    put(inner, vault, format!("{HEADS}{resource}"), &content).await?;
    let mut write = inner.catalogue.write().await?;
    let head = uuid.map(|uuid| (uuid, set_ms));
    write.set_head(&vault.id, resource, head).await?;
    write.commit().await
}

/// Writes beside the snapshots which point is the head, when the catalogue knows it already. Without it a lost catalogue costs that the
/// youngest point is taken for the head.
pub(crate) async fn record_head(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    resource: &str,
    uuid: &str,
) {
    if let Err(error) = set_head(inner, vault, resource, Some(uuid)).await {
        tracing::warn!(resource, %error, "the head of a chain is noted in the catalogue only");
    }
}

/// Removes the names of points that are gone. What stays behind is harmless.
pub(super) async fn remove_names(inner: &Arc<Inner>, vault: &Arc<OpenVault>, uuids: Vec<String>) {
    let vault = Arc::clone(vault);
    let removed = inner
        .blocking(move |_| {
            for uuid in &uuids {
                let file = format!("{NAMES}{uuid}");
                let there = vault.files.size(FileKind::Side, &file).is_ok();
                if there && let Err(error) = vault.files.delete(FileKind::Side, &file) {
                    tracing::warn!(uuid, %error, "the name of a deleted point stays behind");
                }
            }
            Ok(())
        })
        .await;
    if let Err(error) = removed {
        tracing::warn!(%error, "names of deleted points stay behind");
    }
}

/// Names and heads that go with points that were found in a repository and were not known, by the uuids of their snapshots.
pub(crate) async fn import_names(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    found: Vec<String>,
) -> Result<(), EngineError> {
    if found.is_empty() {
        return Ok(());
    }
    let (names, heads) = {
        let vault = Arc::clone(vault);
        inner
            .blocking(move |_| {
                let files = vault
                    .files
                    .list(FileKind::Side)
                    .map_err(|error| unavailable(&vault, error))?;
                let (mut names, mut heads) = (Vec::new(), Vec::new());
                for file in files {
                    if let Some(uuid) = file.name.strip_prefix(NAMES) {
                        if found.iter().any(|found| found == uuid) {
                            names.extend(read::<NameFile>(&vault, &file.name));
                        }
                    } else if file.name.starts_with(HEADS) {
                        heads.extend(read::<HeadFile>(&vault, &file.name));
                    }
                }
                Ok((names, heads))
            })
            .await?
    };
    let known = inner.catalogue.heads().await?;
    let mut write = inner.catalogue.write().await?;
    for name in names {
        write
            .name_point(&vault.id, &name.uuid, &name.name, &name.description)
            .await?;
    }
    for head in heads {
        let is_known = known
            .iter()
            .any(|known| known.vault == vault.id && known.resource == head.resource);
        if !is_known && let Some(uuid) = &head.uuid {
            write
                .set_head(&vault.id, &head.resource, Some((uuid, head.set_ms)))
                .await?;
        }
    }
    write.commit().await
}

/// One that cannot be read only costs a name. Blocks.
fn read<T: DeserializeOwned>(vault: &OpenVault, file: &str) -> Option<T> {
    let read = vault
        .files
        .get(FileKind::Side, file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match read {
        Ok(content) => Some(content),
        Err(error) => {
            tracing::warn!(file, error, "the name of a point cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first release with points writes them.
    #[test]
    fn the_first_formats_stay_readable() {
        let name: NameFile = serde_json::from_str(
            r#"{"format":1,"uuid":"AAAA","name":"before the upgrade","description":""}"#,
        )
        .unwrap();
        assert_eq!(name.name, "before the upgrade");
        let head: HeadFile = serde_json::from_str(
            r#"{"format":1,"resource":"vol-abc1234","uuid":"AAAA","set_ms":17}"#,
        )
        .unwrap();
        assert_eq!(head.set_ms, 17);
    }
}
