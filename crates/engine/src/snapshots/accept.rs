//! Accepting a snapshot: everything that can be wrong with the request is told before a byte is read or written.

use std::sync::Arc;

use serde_json::json;
use snapkeep_drivers::{Capture, DriverError};

use super::job;
use super::running::RunningSnapshot;
use crate::catalogue::SnapshotRow;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ReadonlyOperation};
use crate::ids::new_uuid;
use crate::jobs::{Activity, JobSpec, Outcome};
use crate::model::{
    CreateSnapshot, JobKind, NameRules, ResourceKind, ResourceRef, SnapshotCollection,
    SnapshotIndex, SnapshotInfo, SnapshotState, SnapshotTicket,
};
use crate::names::{check_free_name, check_snapshot_name, resolve_date_math};
use crate::repositories::OpenVault;

/// Version in snapshots.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Inner {
    /// The name that a snapshot gets: date math resolved, rules checked.
    pub(super) fn snapshot_name(
        &self,
        repository: &str,
        name: &str,
        rules: NameRules,
    ) -> Result<String, EngineError> {
        if rules == NameRules::Free {
            return match check_free_name(name) {
                Ok(()) => Ok(name.to_owned()),
                Err(rule) => Err(EngineError::InvalidSnapshotName {
                    repository: repository.to_owned(),
                    snapshot: name.to_owned(),
                    rule,
                }),
            };
        }
        let resolved = resolve_date_math(name, self.config.clock.now_ms()).map_err(|error| {
            EngineError::InvalidDateMath {
                name: name.to_owned(),
                reason: error.to_string(),
            }
        })?;
        match check_snapshot_name(&resolved) {
            Ok(()) => Ok(resolved),
            Err(rule) => Err(EngineError::InvalidSnapshotName {
                repository: repository.to_owned(),
                snapshot: resolved,
                rule,
            }),
        }
    }

    /// The open vault of a repository that may be written to.
    pub(crate) async fn writable_vault(
        self: &Arc<Self>,
        repository: &str,
        operation: ReadonlyOperation,
    ) -> Result<Arc<OpenVault>, EngineError> {
        let row = self.registered(repository).await?;
        if self.settings_of(&row)?.readonly {
            return Err(EngineError::RepositoryReadonly {
                repository: repository.to_owned(),
                operation,
            });
        }
        self.open_vault(&row).await
    }

    /// Refuses a name that is taken by a finished snapshot. The name of one that was cancelled may be used again: it is given, to
    /// be forgotten when the new one begins.
    pub(super) async fn refuse_existing(
        &self,
        repository: &str,
        vault: &str,
        name: &str,
    ) -> Result<Option<SnapshotRow>, EngineError> {
        match self.catalogue.snapshot(vault, name).await? {
            None => Ok(None),
            Some(row) if row.info.cancelled => Ok(Some(row)),
            Some(_) => Err(EngineError::SnapshotExists {
                repository: repository.to_owned(),
                snapshot: name.to_owned(),
                running: false,
            }),
        }
    }

    /// Takes a name for a snapshot whose job has begun: a cancelled one of that name is forgotten.
    pub(super) async fn claim_name(
        &self,
        repository: &str,
        vault: &str,
        name: &str,
    ) -> Result<(), EngineError> {
        if let Some(cancelled) = self.refuse_existing(repository, vault, name).await? {
            let mut write = self.catalogue.write().await?;
            write
                .remove_snapshot(vault, &cancelled.info.uuid, self.config.clock.now_ms())
                .await?;
            write.commit().await?;
        }
        Ok(())
    }

    /// Refuses a name that is taken by something that runs, and operations beyond the limit.
    pub(crate) fn admit_operation(
        &self,
        activity: &Activity,
        repository: &str,
        vault: &str,
        name: &str,
    ) -> Result<(), EngineError> {
        if activity.is_name_running(vault, name) {
            return Err(EngineError::SnapshotExists {
                repository: repository.to_owned(),
                snapshot: name.to_owned(),
                running: true,
            });
        }
        let (running, limit) = (activity.operations(), self.config.max_concurrent_operations);
        if running >= limit {
            return Err(EngineError::TooManyOperations {
                repository: repository.to_owned(),
                snapshot: name.to_owned(),
                running,
                limit,
            });
        }
        Ok(())
    }
}

impl Engine {
    /// Accepts a snapshot. Everything that can be wrong with the request is told here, before any reading or writing. The
    /// snapshot shows the moment of this call.
    pub async fn create_snapshot(
        &self,
        repository: &str,
        request: CreateSnapshot,
    ) -> Result<SnapshotTicket, EngineError> {
        let engine = self.clone();
        let repository = repository.to_owned();
        self.detached(async move { engine.create_snapshot_here(&repository, request).await })
            .await
    }

    async fn create_snapshot_here(
        &self,
        repository: &str,
        request: CreateSnapshot,
    ) -> Result<SnapshotTicket, EngineError> {
        let inner = &self.inner;
        let name = inner.snapshot_name(repository, &request.name, request.naming)?;
        let vault = inner
            .writable_vault(repository, ReadonlyOperation::CreateSnapshot)
            .await?;
        if inner.activity().is_name_running(&vault.id, &name) {
            return Err(EngineError::SnapshotExists {
                repository: repository.to_owned(),
                snapshot: name,
                running: true,
            });
        }
        inner.refuse_existing(repository, &vault.id, &name).await?;
        let indices = request.indices.iter().map(ResourceRef::index);
        let collections = request.collections.iter().map(ResourceRef::collection);
        let resources: Vec<ResourceRef> = indices.chain(collections).collect();
        let capture = inner
            .blocking(move |inner| {
                inner
                    .driver
                    .capture(&resources)
                    .map_err(|error| match error {
                        DriverError::ResourceMissing(index) => EngineError::IndexMissing { index },
                        DriverError::CollectionMissing(collection) => {
                            EngineError::CollectionMissing { collection }
                        }
                        other => EngineError::Internal(other.to_string()),
                    })
            })
            .await?;
        let accepted = describe(inner, repository, &name, &request, capture.as_ref());
        let spec = JobSpec {
            kind: JobKind::Snapshot,
            repository,
            vault: &vault.id,
            subject: &name,
            resources: &[],
            input: json!({ "vault": vault.id, "info": accepted }),
        };
        let key = (vault.id.clone(), name.clone());
        let mut running = None;
        let job = inner
            .begin_job(
                spec,
                |activity, job| {
                    inner.admit_operation(activity, repository, &vault.id, &name)?;
                    let new =
                        RunningSnapshot::new(Arc::clone(job), Arc::clone(&vault), accepted.clone());
                    activity.snapshots.insert(key.clone(), Arc::clone(&new));
                    running = Some(new);
                    Ok(())
                },
                |activity| {
                    activity.snapshots.remove(&key);
                },
            )
            .await?;
        // Another of this name may have begun and ended since it was looked for.
        if let Err(error) = inner.claim_name(repository, &vault.id, &name).await {
            let outcome = Outcome::failure(error.to_string());
            let release = |activity: &mut Activity| {
                activity.snapshots.remove(&key);
            };
            inner.end_job(&job, outcome, release).await;
            return Err(error);
        }
        let running = running
            .ok_or_else(|| EngineError::Internal("a job began without a snapshot".to_owned()))?;
        let ticket = SnapshotTicket {
            repository: repository.to_owned(),
            name,
            uuid: accepted.uuid.clone(),
            job_id: job.id(),
        };
        job::spawn(inner, running, capture);
        Ok(ticket)
    }

    /// Waits until a snapshot has ended; a failed one is no error but has that state.
    pub async fn wait_snapshot(
        &self,
        ticket: &SnapshotTicket,
    ) -> Result<SnapshotInfo, EngineError> {
        let running = {
            let activity = self.inner.activity();
            activity
                .snapshots
                .values()
                .find(|running| running.accepted.uuid == ticket.uuid)
                .cloned()
        };
        let missing = || EngineError::SnapshotMissing {
            repository: ticket.repository.clone(),
            snapshot: ticket.name.clone(),
        };
        match running {
            Some(running) => {
                running.job.wait().await;
                running.result().ok_or_else(missing)
            }
            None => {
                let info = self.snapshot(&ticket.repository, &ticket.name).await?;
                if info.uuid == ticket.uuid {
                    Ok(info)
                } else {
                    Err(missing())
                }
            }
        }
    }
}

fn describe(
    inner: &Inner,
    repository: &str,
    name: &str,
    request: &CreateSnapshot,
    capture: &dyn Capture,
) -> SnapshotInfo {
    let collections: Vec<SnapshotCollection> = capture
        .resources()
        .iter()
        .filter(|resource| resource.kind == ResourceKind::Collection)
        .map(|resource| SnapshotCollection {
            name: resource.name.clone(),
            uuid: resource.uuid.clone(),
            multi_tenant: resource
                .collection
                .as_ref()
                .is_some_and(|collection| collection.multi_tenant),
            shards: resource
                .named_shards()
                .iter()
                .map(|shard| shard.name.clone())
                .collect(),
            ..SnapshotCollection::default()
        })
        .collect();
    let indices: Vec<SnapshotIndex> = capture
        .resources()
        .iter()
        .filter(|resource| resource.kind == ResourceKind::Index)
        .map(|resource| SnapshotIndex {
            name: resource.name.clone(),
            uuid: resource.uuid.clone(),
            shard_count: resource.shards,
            documents: 0,
            size_bytes: 0,
            max_segments_per_shard: 0,
        })
        .collect();
    SnapshotInfo {
        repository: repository.to_owned(),
        name: name.to_owned(),
        uuid: new_uuid(),
        state: SnapshotState::InProgress,
        reason: None,
        shards_total: capture
            .resources()
            .iter()
            .map(|resource| resource.shards)
            .sum(),
        indices,
        collections,
        policy: request.policy.clone(),
        cancelled: false,
        locked_until_ms: None,
        include_global_state: request.include_global_state,
        partial: request.partial,
        metadata: request.metadata.clone(),
        start_ms: inner.config.clock.now_ms(),
        end_ms: None,
        failures: Vec::new(),
        shards_successful: 0,
        shards_failed: 0,
        written_by: VERSION.to_owned(),
        restic_id: None,
    }
}
