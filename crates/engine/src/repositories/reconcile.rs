//! Brings the catalogue in line with what is in a repository.
//!
//! The repository is right: a snapshot that is listed there and unknown is read and noted, one that is noted and no longer
//! there is forgotten. Snapshots that failed are in no repository and stay. This is how snapshots come back on an empty server, how
//! those of other servers appear, and how a crash between "stored" and "noted" is healed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use snapkeep_vault::storage::FileKind;
use snapkeep_vault::{Repository, SnapshotFile, VaultError};

use super::OpenVault;
use crate::catalogue::{PointRow, SnapshotRow};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{MANIFEST_FILE, Manifest, ManifestError};
use crate::model::{SnapshotInfo, SnapshotState};
use crate::policies::import_locks;
use crate::snapshots::milliseconds;
use crate::volumes::import_names;

/// Largest manifest that is read, bytes: some 100,000 shards.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// Tag that every snapshot of Snapkeep has.
pub(crate) const TAG: &str = "snapkeep";
/// Tag with the name; only used when the manifest cannot be read.
pub(crate) const NAME_TAG: &str = "snapkeep:name=";

/// Tag with the volume or instance that a point is of; only used when the manifest cannot be read.
pub(crate) const RESOURCE_TAG: &str = "snapkeep:resource=";

/// A snapshot found in a repository and not in the catalogue.
struct Found {
    row: SnapshotRow,
    manifest: Option<Manifest>,
    /// The point that it is, where there is no manifest to tell.
    unreadable_point: Option<PointRow>,
}

/// Compares the vault with the catalogue.
pub(crate) async fn reconcile(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
) -> Result<(), EngineError> {
    // Before the listing: a snapshot that is stored after it must not look as if it had been removed.
    let known = inner.catalogue.snapshots(&vault.id).await?;
    let (found, listed, moved) = {
        let vault = Arc::clone(vault);
        let known = known.clone();
        inner
            .blocking(move |inner| compare(inner, &vault, &known))
            .await?
    };
    let mut write = inner.catalogue.write().await?;
    // Deleted since it was listed? Deletions write to the repository first and wait for their turn here then.
    let found = still_there(inner, vault, found).await?;
    for (uuid, restic_id) in moved {
        write.set_restic_id(&vault.id, &uuid, &restic_id).await?;
    }
    let gone = known.iter().filter(|row| {
        row.tree_id
            .as_ref()
            .is_some_and(|tree| !listed.contains(tree))
    });
    for row in gone {
        tracing::info!(
            snapshot = row.info.name,
            "a snapshot is no longer in its repository"
        );
        write
            .remove_snapshot(&vault.id, &row.info.uuid, inner.config.clock.now_ms())
            .await?;
    }
    // Names must be unique; of two snapshots with one name the later found gets the id as a suffix.
    let points: Vec<String> = found
        .iter()
        .filter(|new| new.manifest.as_ref().is_some_and(|it| it.point.is_some()))
        .map(|new| new.row.info.uuid.clone())
        .collect();
    let mut names: HashSet<String> = known.iter().map(|row| row.info.name.clone()).collect();
    for Found {
        mut row,
        manifest,
        unreadable_point,
    } in found
    {
        if let Some(failed) = known.iter().find(|known| known.info.uuid == row.info.uuid) {
            names.remove(&failed.info.name);
        }
        if !names.insert(row.info.name.clone()) {
            let id = row.info.restic_id.clone().unwrap_or_default();
            row.info.name = format!("{}-{}", row.info.name, &id[..id.len().min(8)]);
            names.insert(row.info.name.clone());
        }
        write.put_snapshot(&row, manifest.as_ref()).await?;
        if let Some(point) = unreadable_point {
            write.put_point(&point).await?;
        }
    }
    write.commit().await?;
    import_names(inner, vault, points).await?;
    import_locks(inner, vault).await
}

/// Those that have not been deleted meanwhile.
async fn still_there(
    inner: &Arc<Inner>,
    vault: &Arc<OpenVault>,
    mut found: Vec<Found>,
) -> Result<Vec<Found>, EngineError> {
    if found.is_empty() {
        return Ok(found);
    }
    let vault = Arc::clone(vault);
    inner
        .blocking(move |_| {
            let ids = snapshot_files(&vault)?;
            found.retain(|new| {
                new.row
                    .info
                    .restic_id
                    .as_ref()
                    .is_none_or(|id| ids.contains(id))
            });
            Ok(found)
        })
        .await
}

/// Names of the snapshot files in a vault. Blocks.
fn snapshot_files(vault: &OpenVault) -> Result<HashSet<String>, EngineError> {
    let listed = vault.files.list(FileKind::Snapshot);
    let listed = listed.map_err(|error| EngineError::RepositoryUnavailable {
        repository: vault.location.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(listed.into_iter().map(|entry| entry.name).collect())
}

type Comparison = (Vec<Found>, HashSet<String>, Vec<(String, String)>);

/// What is new, all trees that are listed, and which known snapshots have another restic id. Blocks.
fn compare(
    inner: &Inner,
    vault: &OpenVault,
    known: &[SnapshotRow],
) -> Result<Comparison, EngineError> {
    let unavailable = |reason: String| EngineError::RepositoryUnavailable {
        repository: vault.location.display().to_string(),
        reason,
    };
    // A folder that is not mounted any more must not look like a repository without snapshots.
    if let Err(error) = vault.repository.check_identity() {
        if matches!(error, VaultError::Replaced { .. }) {
            // The next use opens what is there now.
            inner.vaults.close(&vault.location);
        }
        return Err(unavailable(error.to_string()));
    }
    let files = snapshot_files(vault)?;
    // Snapshots first, then the index: the other way round a snapshot could be seen whose blobs are not.
    let snapshots = vault
        .repository
        .list_snapshots()
        .map_err(|error| unavailable(error.to_string()))?;
    let by_tree: HashMap<&str, &SnapshotRow> = known
        .iter()
        .filter_map(|row| Some((row.tree_id.as_deref()?, row)))
        .collect();
    // One whose file cannot be read is still there: its tree is known and can be restored.
    let is_file = |row: &&SnapshotRow| {
        row.info
            .restic_id
            .as_ref()
            .is_some_and(|id| files.contains(id))
    };
    let mut listed: HashSet<String> = known
        .iter()
        .filter(is_file)
        .filter_map(|row| row.tree_id.clone())
        .collect();
    let mut read_trees = HashSet::new();
    let mut found = Vec::new();
    let mut ids_of_known: HashMap<&str, Vec<String>> = HashMap::new();
    let mut refreshed = false;
    for (id, snapshot) in &snapshots {
        let tree = snapshot.tree.to_string();
        listed.insert(tree.clone());
        let first_of_tree = read_trees.insert(tree.clone());
        if let Some(row) = by_tree.get(tree.as_str()) {
            ids_of_known
                .entry(&row.info.uuid)
                .or_default()
                .push(id.to_string());
            continue;
        }
        if !first_of_tree || !snapshot.tags.iter().any(|tag| tag == TAG) {
            continue;
        }
        if !refreshed {
            vault
                .repository
                .refresh()
                .map_err(|error| unavailable(error.to_string()))?;
            refreshed = true;
        }
        if let Some(new) = read(&vault.repository, &vault.id, &id.to_string(), snapshot) {
            found.push(new);
        }
    }
    let moved = known
        .iter()
        .filter_map(|row| {
            let ids = ids_of_known.get(row.info.uuid.as_str())?;
            let current = row.info.restic_id.as_ref()?;
            (!ids.contains(current)).then(|| (row.info.uuid.clone(), ids[0].clone()))
        })
        .collect();
    Ok((found, listed, moved))
}

/// Reads the description of a snapshot; none when it has none.
fn read(
    repository: &Repository,
    vault: &str,
    restic_id: &str,
    snapshot: &SnapshotFile,
) -> Option<Found> {
    let node = match repository.find(snapshot.tree, MANIFEST_FILE) {
        Ok(node) => node?,
        Err(error) => {
            tracing::warn!(snapshot = restic_id, %error, "a snapshot cannot be read");
            return None;
        }
    };
    let parsed = repository
        .read_file(node.content.as_deref().unwrap_or_default(), MAX_MANIFEST_BYTES)
        .map_err(|error| error.to_string())
        .and_then(|json| match Manifest::parse(&json) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(newer @ ManifestError::Newer(_)) => {
                tracing::warn!(snapshot = restic_id, %newer, "a snapshot is listed as INCOMPATIBLE");
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        });
    let manifest = match parsed {
        Ok(manifest) => manifest,
        Err(error) => {
            tracing::warn!(
                snapshot = restic_id,
                error,
                "the description of a snapshot cannot be read"
            );
            return None;
        }
    };
    let manifest = manifest.map(|mut manifest| {
        // As when it was taken: the last packs were written after the description.
        let ended = snapshot
            .summary
            .as_ref()
            .map(|summary| milliseconds(summary.backup_end));
        manifest.end_ms = manifest.end_ms.max(ended.unwrap_or_default());
        manifest
    });
    let info = match &manifest {
        Some(manifest) => manifest.to_info("", Some(restic_id.to_owned())),
        None => incompatible(restic_id, snapshot),
    };
    let row = SnapshotRow {
        vault: vault.to_owned(),
        tree_id: Some(snapshot.tree.to_string()),
        info,
    };
    let unreadable_point = match &manifest {
        Some(_) => None,
        None => suspended_point(vault, &row.info, snapshot),
    };
    Some(Found {
        row,
        manifest,
        unreadable_point,
    })
}

/// The point that a snapshot is which this version cannot read, by its tags.
fn suspended_point(vault: &str, info: &SnapshotInfo, snapshot: &SnapshotFile) -> Option<PointRow> {
    let mut tags = snapshot.tags.iter();
    let resource = tags.find_map(|tag| tag.strip_prefix(RESOURCE_TAG))?;
    Some(PointRow::suspended(vault, info, resource))
}

fn incompatible(restic_id: &str, snapshot: &SnapshotFile) -> SnapshotInfo {
    let name = snapshot
        .tags
        .iter()
        .find_map(|tag| tag.strip_prefix(NAME_TAG))
        .unwrap_or(restic_id);
    let start_ms = snapshot.time.unix_seconds() * 1000;
    SnapshotInfo {
        repository: String::new(),
        name: name.to_owned(),
        uuid: restic_id.to_owned(),
        state: SnapshotState::Incompatible,
        reason: Some(
            "written by a later version of Snapkeep; upgrade this one to use it".to_owned(),
        ),
        indices: Vec::new(),
        include_global_state: false,
        partial: false,
        metadata: None,
        start_ms,
        end_ms: Some(start_ms),
        failures: Vec::new(),
        shards_total: 0,
        shards_successful: 0,
        shards_failed: 0,
        written_by: String::new(),
        restic_id: Some(restic_id.to_owned()),
        ..SnapshotInfo::default()
    }
}
