//! Cloning: a snapshot of some indices of another. Only directories and a description are written.

use std::sync::Arc;

use serde_json::json;
use snapkeep_vault::{Backup, BackupOptions, BlobId, Node, Repository, Time, Tree, VaultError};

use super::accept::VERSION;
use super::base::find_node;
use super::job::{describe, milliseconds};
use crate::catalogue::SnapshotRow;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, InUse, ReadonlyOperation};
use crate::ids::new_uuid;
use crate::jobs::{JobSpec, Outcome, RunningJob};
use crate::layout::{CLUSTER_FILE, FORMAT, MANIFEST_FILE, Manifest, ShardResult};
use crate::model::{JobKind, NameRules, SnapshotInfo, SnapshotState};
use crate::repositories::OpenVault;

impl Engine {
    /// Makes a snapshot of some indices of another (names already resolved), without its collections; returns when it is done.
    pub async fn clone_snapshot(
        &self,
        repository: &str,
        source: &str,
        target: &str,
        indices: &[String],
    ) -> Result<SnapshotInfo, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        let source = source.to_owned();
        let target = target.to_owned();
        let indices = indices.to_vec();
        self.detached(async move {
            engine
                .clone_snapshot_here(&repository, &source, &target, &indices)
                .await
        })
        .await
    }

    async fn clone_snapshot_here(
        &self,
        repository: &str,
        source: &str,
        target: &str,
        indices: &[String],
    ) -> Result<SnapshotInfo, EngineError> {
        let inner = &self.inner;
        let target = inner.snapshot_name(repository, target, NameRules::Elasticsearch)?;
        let vault = inner
            .writable_vault(repository, ReadonlyOperation::CreateSnapshot)
            .await?;
        let missing = || EngineError::SnapshotMissing {
            repository: repository.to_owned(),
            snapshot: source.to_owned(),
        };
        let row = inner
            .catalogue
            .snapshot(&vault.id, source)
            .await?
            .ok_or_else(missing)?;
        let uuid = row.info.uuid.clone();
        let manifest = inner
            .catalogue
            .manifest(&vault.id, &uuid)
            .await?
            .ok_or_else(missing)?;
        let manifest = cut_out(
            repository,
            &manifest,
            &target,
            indices,
            inner.config.clock.now_ms(),
        )?;
        inner
            .refuse_existing(repository, &vault.id, &target)
            .await?;
        let spec = JobSpec {
            kind: JobKind::Clone,
            repository,
            vault: &vault.id,
            subject: &target,
            resources: &[],
            input: json!({ "vault": vault.id, "source": uuid }),
        };
        let key = (vault.id.clone(), target.clone());
        let job = inner
            .begin_job(
                spec,
                |activity, _| {
                    inner.admit_operation(activity, repository, &vault.id, &target)?;
                    if activity
                        .deleting
                        .contains(&(vault.id.clone(), uuid.clone()))
                    {
                        return Err(missing());
                    }
                    activity.clone_targets.insert(key.clone());
                    activity
                        .readers
                        .push((vault.id.clone(), uuid.clone(), InUse::Clone));
                    Ok(())
                },
                |activity| {
                    activity.clone_targets.remove(&key);
                    activity.remove_reader(&vault.id, &uuid, InUse::Clone);
                },
            )
            .await?;
        let work = {
            let (inner, repository) = (Arc::clone(inner), repository.to_owned());
            inner.runtime.clone().spawn(async move {
                // Another of this name may have begun and ended since it was looked for.
                let result = match inner.claim_name(&repository, &vault.id, &target).await {
                    Ok(()) => run(&inner, &job, &vault, &repository, row, manifest).await,
                    Err(error) => Err(error),
                };
                let outcome = match &result {
                    Ok(_) => Outcome::success(None),
                    Err(error) => Outcome::failure(error.to_string()),
                };
                inner
                    .end_job(&job, outcome, |activity| {
                        activity.clone_targets.remove(&key);
                        activity.remove_reader(&vault.id, &uuid, InUse::Clone);
                    })
                    .await;
                result
            })
        };
        work.await
            .map_err(|error| EngineError::Internal(error.to_string()))?
    }
}

/// The description of the clone.
fn cut_out(
    repository: &str,
    source: &Manifest,
    target: &str,
    indices: &[String],
    now_ms: i64,
) -> Result<Manifest, EngineError> {
    let mut manifest = source.clone();
    manifest
        .indices
        .retain(|index| indices.contains(&index.name));
    if manifest.indices.is_empty() {
        return Err(EngineError::CloneNothing {
            repository: repository.to_owned(),
            snapshot: source.name.clone(),
            uuid: source.uuid.clone(),
        });
    }
    if let Some(partial) = manifest.indices.iter().find(|index| index.is_partial()) {
        return Err(EngineError::ClonePartialIndex {
            repository: repository.to_owned(),
            snapshot: source.name.clone(),
            index: partial.name.clone(),
            index_uuid: partial.uuid.clone(),
        });
    }
    for shard in manifest
        .indices
        .iter_mut()
        .flat_map(|index| &mut index.shards)
    {
        if let ShardResult::Captured { incremental, .. } = &mut shard.result {
            *incremental = crate::model::FileStats::default();
        }
    }
    manifest.collections.clear();
    manifest.point = None;
    manifest.volumes.clear();
    manifest.policy = None;
    manifest.format = FORMAT;
    manifest.written_by = VERSION.to_owned();
    target.clone_into(&mut manifest.name);
    manifest.uuid = new_uuid();
    manifest.throttled_ns = 0;
    manifest.stored_bytes = 0;
    manifest.state = SnapshotState::Success;
    manifest.partial = false;
    manifest.start_ms = now_ms;
    manifest.end_ms = now_ms;
    Ok(manifest)
}

async fn run(
    inner: &Arc<Inner>,
    job: &Arc<RunningJob>,
    vault: &Arc<OpenVault>,
    repository: &str,
    source: SnapshotRow,
    mut manifest: Manifest,
) -> Result<SnapshotInfo, EngineError> {
    let (of_work, job) = (Arc::clone(vault), Arc::clone(job));
    let (manifest, restic_id, root) = inner
        .blocking(move |_| {
            let unavailable = |error: VaultError| EngineError::RepositoryUnavailable {
                repository: of_work.location.display().to_string(),
                reason: error.to_string(),
            };
            let options = BackupOptions {
                cancel: job.cancel.clone(),
                ..BackupOptions::default()
            };
            let backup = of_work.repository.backup(options).map_err(unavailable)?;
            let time = Time::from_unix(manifest.start_ms.div_euclid(1000), 0);
            let root = write(&of_work.repository, &backup, &source, &manifest, time)
                .map_err(unavailable)?;
            let finished = backup.finish(describe(&manifest, root, time));
            let (id, summary) = finished.map_err(unavailable)?;
            manifest.end_ms = manifest.end_ms.max(milliseconds(summary.ended));
            Ok((manifest, id.to_string(), root.to_string()))
        })
        .await?;
    let info = manifest.to_info(repository, Some(restic_id));
    let row = SnapshotRow {
        vault: vault.id.clone(),
        tree_id: Some(root),
        info: info.clone(),
    };
    let mut write = inner.catalogue.write().await?;
    write.put_snapshot(&row, Some(&manifest)).await?;
    write.commit().await?;
    Ok(info)
}

/// Writes the root of the clone.
fn write(
    repository: &Repository,
    backup: &Backup,
    source: &SnapshotRow,
    manifest: &Manifest,
    time: Time,
) -> Result<BlobId, VaultError> {
    let damaged = |what: &str| VaultError::Internal(format!("the source snapshot has no {what}"));
    let root: BlobId = source
        .tree_id
        .as_ref()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| damaged("tree"))?;
    let root = repository.read_tree(&root)?;
    let indices = find_node(&root, "indices")
        .and_then(|node| node.subtree)
        .ok_or_else(|| damaged("/indices"))?;
    let indices = repository.read_tree(&indices)?;
    let mut kept = Vec::new();
    for index in &manifest.indices {
        let node = find_node(&indices, &index.name).ok_or_else(|| damaged(&index.name))?;
        backup.adopt_tree(&node.subtree.ok_or_else(|| damaged(&index.name))?)?;
        kept.push(node);
    }
    let encoding = |error: &dyn std::fmt::Display| VaultError::Internal(error.to_string());
    let tree = Tree::new(kept).map_err(|error| encoding(&error))?;
    let mut nodes = vec![Node::dir("indices", time, backup.save_tree(&tree)?)];
    let json = serde_json::to_vec_pretty(manifest).map_err(|error| encoding(&error))?;
    let file = backup.store_bytes(&json)?;
    nodes.push(Node::file(
        MANIFEST_FILE,
        time,
        file.content,
        file.size_bytes,
    ));
    if let Some(global_state) =
        find_node(&root, CLUSTER_FILE).filter(|_| manifest.include_global_state)
    {
        backup.adopt(global_state.content.as_deref().unwrap_or_default())?;
        nodes.push(global_state);
    }
    let tree = Tree::new(nodes).map_err(|error| encoding(&error))?;
    backup.save_tree(&tree)
}
