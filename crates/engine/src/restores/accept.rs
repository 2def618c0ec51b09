//! Accepting a restore: everything that can be wrong with the request is told before the store is touched.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, json};
use snapkeep_drivers::{DriverError, ResourceInfo, ResourceKind, Restoration, RestoreIndex};
use snapkeep_vault::{BlobId, Repository, Tree};

use super::collections::{self, CollectionWork};
use super::job::{self, IndexWork, RestoreWork};
use super::running::{RecoveryFigures, RunningRestore};
use super::settings::transform;
use super::targets::{Target, TargetError, check_existing, targets};
use crate::catalogue::SnapshotRow;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, InUse, RestoreProblem};
use crate::ids::new_uuid;
use crate::jobs::JobSpec;
use crate::layout::{
    CLUSTER_FILE, GlobalState, INDEX_FILE, IndexDescription, Manifest, ShardResult,
};
use crate::model::{
    JobKind, RecoverySource, ResourceRef, RestoreInfo, RestoreRequest, RestoreRun, RestoreStage,
    RestoreState, RestoreTicket, SnapshotState,
};
use crate::names::IndexNameRule;
use crate::snapshots::base::{find_node, folder_of};

/// Largest description of an index or of the global state that is read, bytes.
const MAX_DESCRIPTION_BYTES: u64 = 256 << 20;

/// An index to restore, with what was read of it.
struct Prepared {
    target: Target,
    restore: RestoreIndex,
    work: IndexWork,
}

impl Engine {
    /// Accepts a restore. Everything that can be wrong with the request is told here, before the store is touched.
    pub async fn restore(
        &self,
        repository: &str,
        snapshot: &str,
        request: RestoreRequest,
    ) -> Result<RestoreTicket, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        let snapshot = snapshot.to_owned();
        self.detached(async move { engine.restore_here(&repository, &snapshot, request).await })
            .await
    }

    async fn restore_here(
        &self,
        repository: &str,
        snapshot: &str,
        request: RestoreRequest,
    ) -> Result<RestoreTicket, EngineError> {
        let inner = &self.inner;
        let registered = inner.registered(repository).await?;
        let vault = inner.open_vault(&registered).await?;
        let problem = |uuid: &str, problem| EngineError::Restore {
            repository: repository.to_owned(),
            snapshot: snapshot.to_owned(),
            uuid: uuid.to_owned(),
            problem,
        };
        let found = inner.catalogue.snapshot(&vault.id, snapshot).await?;
        let row = found.ok_or_else(|| problem("", RestoreProblem::SnapshotMissing))?;
        let uuid = row.info.uuid.clone();
        if !matches!(
            row.info.state,
            SnapshotState::Success | SnapshotState::Partial
        ) {
            return Err(problem(
                &uuid,
                RestoreProblem::UnsupportedState(row.info.state),
            ));
        }
        let manifest = inner.catalogue.manifest(&vault.id, &uuid).await?;
        let manifest = manifest.ok_or_else(|| problem(&uuid, RestoreProblem::SnapshotMissing))?;
        if request.include_global_state && !manifest.include_global_state {
            return Err(problem(&uuid, RestoreProblem::NoGlobalState));
        }
        // Noted before anything is read: from here on the snapshot cannot be deleted.
        let key = (vault.id.clone(), uuid.clone());
        {
            let mut activity = inner.activity();
            if activity.deleting.contains(&key) {
                return Err(problem(&uuid, RestoreProblem::SnapshotMissing));
            }
            activity
                .readers
                .push((key.0.clone(), key.1.clone(), InUse::Restore));
        }
        let accepted = self
            .accept(repository, &vault, row, manifest, request)
            .await;
        accepted.map_err(|error| {
            inner
                .activity()
                .remove_reader(&key.0, &key.1, InUse::Restore);
            match error {
                TargetError::Engine(error) => error,
                TargetError::Problem(cause) => problem(&uuid, cause),
            }
        })
    }

    async fn accept(
        &self,
        repository: &str,
        vault: &Arc<crate::repositories::OpenVault>,
        row: SnapshotRow,
        manifest: Manifest,
        request: RestoreRequest,
    ) -> Result<RestoreTicket, TargetError> {
        let inner = &self.inner;
        let engine = TargetError::Engine;
        let (of_read, read_row) = (Arc::clone(vault), row.clone());
        let on_conflict = request.on_conflict;
        let not_before = Instant::now() + request.cancel_window;
        let (prepared, collections, global_state) = inner
            .blocking(move |inner| {
                Ok(
                    prepare(inner, &of_read.repository, &read_row, &manifest, &request).map(
                        |(indices, collections)| {
                            (indices, collections, request.include_global_state)
                        },
                    ),
                )
            })
            .await
            .map_err(engine)??;
        let global_state = if global_state {
            Some(self.read_global_state(vault, &row).await.map_err(engine)?)
        } else {
            None
        };
        let restore_uuid = new_uuid();
        let now_ms = inner.config.clock.now_ms();
        let figures_of = |source: &str, target: &str, shards: u32| -> Vec<Arc<RecoveryFigures>> {
            let source = RecoverySource {
                repository: repository.to_owned(),
                snapshot: row.info.name.clone(),
                index: source.to_owned(),
                restore_uuid: restore_uuid.clone(),
                version: row.info.written_by.clone(),
            };
            (0..shards)
                .map(|shard| RecoveryFigures::new(target, shard, source.clone(), now_ms))
                .collect()
        };
        let figures: Vec<Vec<Arc<RecoveryFigures>>> = prepared
            .iter()
            .map(|index| {
                let Target { source, name } = &index.target;
                figures_of(source, name, index.restore.shards)
            })
            .collect();
        let collection_figures: Vec<Vec<Arc<RecoveryFigures>>> = collections
            .iter()
            .map(|work| figures_of(&work.source, &work.target.name, work.shards.len() as u32))
            .collect();
        let shards_total = figures
            .iter()
            .chain(&collection_figures)
            .map(Vec::len)
            .sum::<usize>();
        let shards_total = u32::try_from(shards_total).unwrap_or(u32::MAX);
        let planned = RestoreInfo {
            snapshot: row.info.name.clone(),
            indices: prepared
                .iter()
                .map(|index| index.target.name.clone())
                .collect(),
            collections: collections
                .iter()
                .map(|work| work.target.name.clone())
                .collect(),
            shards_total,
            shards_successful: shards_total,
            shards_failed: 0,
            error: None,
        };
        let (mut begun, mut restores) = (Vec::new(), Vec::new());
        for index in prepared {
            restores.push((index.target, index.restore));
            begun.push(index.work);
        }
        let restorations = inner
            .blocking(move |inner| Ok(begin(inner, restores)))
            .await
            .map_err(engine)??;
        let spec = JobSpec {
            kind: JobKind::Restore,
            repository,
            vault: &vault.id,
            subject: &row.info.name,
            resources: &[],
            input: json!({
                "vault": vault.id, "restore_uuid": restore_uuid, "indices": planned.indices,
                "collections": planned.collections,
            }),
        };
        let indices = planned.indices.iter().map(ResourceRef::index);
        let made = planned.collections.iter().map(ResourceRef::collection);
        let mut run = RestoreRun {
            uuid: restore_uuid.clone(),
            job_id: String::new(),
            repository: repository.to_owned(),
            snapshot: row.info.name.clone(),
            state: RestoreState::Running {
                stage: RestoreStage::Queued,
            },
            error: None,
            start_ms: now_ms,
            end_ms: None,
            resources: indices.chain(made).collect(),
            conflicts: Vec::new(),
            bytes_done: 0,
            bytes_total: 0,
        };
        let mut running = None;
        let job = inner
            .begin_job(
                spec,
                |activity, job| {
                    run.job_id = job.id();
                    let new = RunningRestore::new(
                        Arc::clone(job),
                        Arc::clone(vault),
                        row.info.uuid.clone(),
                        planned.clone(),
                        figures,
                        collection_figures,
                        run,
                    );
                    activity
                        .restores
                        .insert(restore_uuid.clone(), Arc::clone(&new));
                    running = Some(new);
                    Ok(())
                },
                |activity| {
                    activity.restores.remove(&restore_uuid);
                },
            )
            .await
            .map_err(engine)?;
        let running = running.ok_or_else(|| {
            engine(EngineError::Internal(
                "a job began without a restore".to_owned(),
            ))
        })?;
        let ticket = RestoreTicket {
            uuid: restore_uuid.clone(),
            job_id: job.id(),
            planned,
        };
        if let Err(error) = inner.catalogue.put_recoveries(&running.recoveries()).await {
            tracing::warn!(%error, "recoveries could not be noted");
        }
        if let Err(error) = note_run(inner, &running).await {
            tracing::warn!(%error, "a restore could not be noted");
        }
        let work = RestoreWork {
            restore_uuid,
            snapshot_uuid: row.info.uuid,
            indices: begun.into_iter().zip(restorations).collect(),
            collections,
            on_conflict,
            not_before,
            global_state,
        };
        job::spawn(inner, running, work);
        Ok(ticket)
    }

    async fn read_global_state(
        &self,
        vault: &Arc<crate::repositories::OpenVault>,
        row: &SnapshotRow,
    ) -> Result<GlobalState, EngineError> {
        let (vault, row) = (Arc::clone(vault), row.clone());
        self.inner
            .blocking(move |_| {
                let repository = &vault.repository;
                let unreadable = |reason: String| EngineError::RepositoryUnavailable {
                    repository: vault.location.display().to_string(),
                    reason,
                };
                let root = root_tree(repository, &row)?;
                read_json(repository, &root, CLUSTER_FILE).map_err(unreadable)
            })
            .await
    }
}

/// Notes a restore that begins, so that it is known after a restart.
async fn note_run(inner: &Inner, running: &RunningRestore) -> Result<(), EngineError> {
    let mut write = inner.catalogue.write().await?;
    write
        .put_restore(&running.vault.id, &running.snapshot_uuid, &running.run())
        .await?;
    write.commit().await
}

fn root_tree(repository: &Repository, row: &SnapshotRow) -> Result<Tree, EngineError> {
    let unreadable = |reason: String| EngineError::RepositoryUnavailable {
        repository: repository.storage().location(),
        reason,
    };
    let root: Option<BlobId> = row.tree_id.as_ref().and_then(|id| id.parse().ok());
    let root = root.ok_or_else(|| unreadable(format!("snapshot {} has no tree", row.info.name)))?;
    repository
        .read_tree(&root)
        .map_err(|error| unreadable(error.to_string()))
}

/// Reads a small JSON file of a directory.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    repository: &Repository,
    tree: &Tree,
    name: &str,
) -> Result<T, String> {
    let node = find_node(tree, name).ok_or_else(|| format!("{name} is missing in the snapshot"))?;
    let content = node.content.as_deref().unwrap_or_default();
    let json = repository
        .read_file(content, MAX_DESCRIPTION_BYTES)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&json)
        .map_err(|error| format!("{name} in the snapshot is damaged: {error}"))
}

/// Checks names, targets and settings, and reads the descriptions of the indices and collections. Blocks.
fn prepare(
    inner: &Inner,
    repository: &Repository,
    row: &SnapshotRow,
    manifest: &Manifest,
    request: &RestoreRequest,
) -> Result<(Vec<Prepared>, Vec<CollectionWork>), TargetError> {
    for name in &request.indices {
        let Some(index) = manifest.indices.iter().find(|index| index.name == *name) else {
            return Err(TargetError::Engine(EngineError::IndexMissing {
                index: name.clone(),
            }));
        };
        if index.is_partial() && !request.partial {
            return Err(TargetError::Problem(RestoreProblem::NotFullySnapshotted {
                index: name.clone(),
            }));
        }
    }
    let existing: Vec<ResourceInfo> = inner
        .driver
        .resources()
        .map_err(|error| TargetError::Engine(EngineError::Internal(error.to_string())))?
        .into_iter()
        .filter(|resource| resource.kind == ResourceKind::Index)
        .collect();
    let targets = targets(request, &existing)?;
    let root = root_tree(repository, row).map_err(TargetError::Engine)?;
    let unreadable = |reason: String| {
        TargetError::Engine(EngineError::RepositoryUnavailable {
            repository: repository.storage().location(),
            reason,
        })
    };
    let collections = collections::prepare(repository, &root, manifest, request)?;
    let mut prepared = Vec::new();
    if targets.is_empty() {
        return Ok((prepared, collections));
    }
    let folder = folder_of(ResourceKind::Index);
    let indices = subtree(repository, &root, folder).map_err(unreadable)?;
    let failed: HashSet<(&str, u32)> = manifest
        .indices
        .iter()
        .flat_map(|index| index.shards.iter().map(move |shard| (index, shard)))
        .filter(|(_, shard)| matches!(shard.result, ShardResult::Failed { .. }))
        .map(|(index, shard)| (index.name.as_str(), shard.shard))
        .collect();
    for target in targets {
        let tree = subtree(repository, &indices, &target.source).map_err(unreadable)?;
        let description: IndexDescription =
            read_json(repository, &tree, INDEX_FILE).map_err(unreadable)?;
        let resource = description.resource;
        let settings = transform(
            &resource.settings,
            &request.ignore_index_settings,
            &request.index_settings,
        )
        .map_err(TargetError::Problem)?;
        let replace_closed =
            check_existing(&target, resource.shards, &existing).map_err(TargetError::Problem)?;
        let aliases = match (request.include_aliases, replace_closed) {
            (true, _) => Some(resource.aliases),
            (false, true) => None,
            (false, false) => Some(Map::new()),
        };
        let mut shards = Vec::new();
        for shard in 0..resource.shards {
            let node = find_node(&tree, &shard.to_string()).filter(|node| node.subtree.is_some());
            // Only a shard that is told to have failed may be missing.
            if node.is_none() && !failed.contains(&(target.source.as_str(), shard)) {
                return Err(unreadable(format!(
                    "shard {shard} of index {} is missing in the snapshot",
                    target.source
                )));
            }
            shards.push(node);
        }
        prepared.push(Prepared {
            restore: RestoreIndex {
                name: target.name.clone(),
                shards: resource.shards,
                settings,
                mappings: resource.mappings,
                aliases,
                replace_closed,
            },
            target,
            work: IndexWork { shards },
        });
    }
    Ok((prepared, collections))
}

pub(super) fn subtree(repository: &Repository, tree: &Tree, name: &str) -> Result<Tree, String> {
    let id = find_node(tree, name)
        .and_then(|node| node.subtree)
        .ok_or_else(|| format!("the directory {name} is missing in the snapshot"))?;
    repository.read_tree(&id).map_err(|error| error.to_string())
}

/// Begins all targets in the driver, or none.
fn begin(
    inner: &Inner,
    restores: Vec<(Target, RestoreIndex)>,
) -> Result<Vec<Box<dyn Restoration>>, TargetError> {
    let mut begun = Vec::new();
    for (target, restore) in restores {
        let restoration = inner
            .driver
            .begin_restore(restore)
            .map_err(|error| match error {
                // It appeared since it was looked for.
                DriverError::ResourceOpen(index) => {
                    TargetError::Problem(RestoreProblem::OpenIndexExists { index })
                }
                DriverError::InvalidName { name, reason } if reason.contains("alias") => {
                    TargetError::Engine(EngineError::InvalidIndexName {
                        index: name,
                        rule: IndexNameRule::AliasExists,
                    })
                }
                DriverError::Refused(reason) => {
                    TargetError::Engine(EngineError::Refused { reason })
                }
                other => TargetError::Engine(EngineError::Internal(format!(
                    "index [{}]: {other}",
                    target.name
                ))),
            })?;
        begun.push(restoration);
    }
    Ok(begun)
}
