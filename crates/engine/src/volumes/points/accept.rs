//! Accepting points: everything that can be wrong with the request is told before anything changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::known::KnownPoints;
use super::rename::check_texts;
use super::running::{RunningPoint, show_progress};
use super::{job, recover};
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ReadonlyOperation};
use crate::ids::new_uuid;
use crate::jobs::{Activity, JobSpec};
use crate::layout::PointRecord;
use crate::model::{
    CreatePoints, HostSpec, InstanceInfo, JobKind, PointKind, PointResource, PointsTicket,
    SnapshotInfo, SnapshotState, VolumeInfo, VolumeStatus,
};
use crate::repositories::OpenVault;
use crate::snapshots::{RunningSnapshot, VERSION};
use crate::volumes::ids::IdKind;

/// Resources of one call.
const MAX_RESOURCES: usize = 256;

/// A volume or an instance that a point is to be made of.
pub(super) struct Target {
    pub(super) resource: PointResource,
    pub(super) volumes: Vec<VolumeInfo>,
    /// The instance that it is, or that the volume belongs to.
    pub(super) instance: Option<InstanceInfo>,
}

/// The snapshot that a point hangs on.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    pub(super) uuid: String,
    /// Id of its root tree.
    pub(super) tree_id: Option<String>,
}

/// A point that was accepted.
pub(super) struct AcceptedPoint {
    pub(super) running: Arc<RunningPoint>,
    pub(super) target: Target,
    pub(super) parent: Option<Parent>,
    /// Whether it may be captured without a consistent view.
    pub(super) allow_inconsistent: bool,
}

impl Engine {
    /// Accepts points of volumes and instances, all at one moment. Everything that can be wrong with the request is told here,
    /// before anything changes.
    pub async fn create_points(&self, request: CreatePoints) -> Result<PointsTicket, EngineError> {
        let engine = self.clone();
        self.detached(async move { engine.create_points_here(request, None).await })
            .await
    }

    /// The same for a job that works on the volumes and instances already: what it holds is not claimed again. It must wait for the
    /// end of the points.
    pub(in crate::volumes) async fn create_points_within(
        &self,
        request: CreatePoints,
        job: &str,
    ) -> Result<PointsTicket, EngineError> {
        self.create_points_here(request, Some(job)).await
    }

    async fn create_points_here(
        &self,
        request: CreatePoints,
        within: Option<&str>,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        check_texts(&request.name, &request.description)?;
        let targets = inner.targets(&request.resources).await?;
        let mut claimed: Vec<String> = claims(&targets);
        {
            let activity = inner.activity();
            claimed.retain(|id| {
                within.is_none() || activity.busy.get(id).map(String::as_str) != within
            });
            refuse_busy(&activity, &claimed)?;
        }
        let repository = match &request.repository {
            Some(name) => name.clone(),
            None => self.ensure_points_repository().await?,
        };
        let vault = inner
            .writable_vault(&repository, ReadonlyOperation::CreateSnapshot)
            .await?;
        // Points of others, or of before the catalogue was lost, are parents too.
        inner.vault_id(&repository).await?;
        let known = KnownPoints::load(inner).await?;
        let mut plans = Vec::new();
        for target in targets {
            let id = inner.fresh_point_id().await?;
            let now_ms = inner.config.clock.now_ms();
            let chains = known.chains(&vault.id, &target.resource.id);
            let ancestors =
                chains.next_ancestors(request.full, inner.config.volumes.max_chain.max(1));
            let parent = ancestors
                .last()
                .and_then(|parent| known.living(&vault.id, parent));
            let parent = parent.map(|row| Parent {
                uuid: row.uuid.clone(),
                tree_id: row.tree_id.clone(),
            });
            let record = PointRecord {
                id,
                name: request.name.clone(),
                description: request.description.clone(),
                resource: target.resource.clone(),
                ancestors,
                create_ms: now_ms,
                snapshot_ms: now_ms,
                job_id: String::new(),
            };
            let info = describe(&repository, &record, &target);
            plans.push((target, parent, record, info));
        }
        self.begin_points(&request, repository, vault, claimed, plans)
            .await
    }

    async fn begin_points(
        &self,
        request: &CreatePoints,
        repository: String,
        vault: Arc<OpenVault>,
        claimed: Vec<String>,
        plans: Vec<(Target, Option<Parent>, PointRecord, SnapshotInfo)>,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        let ids: Vec<String> = plans.iter().map(|plan| plan.2.id.clone()).collect();
        let of_recovery: Vec<Value> = plans
            .iter()
            .map(|(_, _, record, info)| recover::input(record, info))
            .collect();
        let spec = JobSpec {
            kind: JobKind::VolumeSnapshot,
            repository: &repository,
            vault: &vault.id,
            subject: &ids.join(","),
            resources: &ids,
            input: json!({ "vault": vault.id, "points": of_recovery }),
        };
        let mut points = Vec::new();
        let job = inner
            .begin_job(
                spec,
                |activity, job| {
                    for id in &ids {
                        inner.admit_operation(activity, &repository, &vault.id, id)?;
                    }
                    activity.claim_resources(&claimed, &job.id())?;
                    for (target, parent, mut record, info) in plans {
                        record.job_id = job.id();
                        let snapshot =
                            RunningSnapshot::new(Arc::clone(job), Arc::clone(&vault), info);
                        let key = (vault.id.clone(), record.id.clone());
                        activity.snapshots.insert(key, Arc::clone(&snapshot));
                        let running = RunningPoint::new(snapshot, record.clone());
                        activity.points.insert(record.id, Arc::clone(&running));
                        let allowed = target.volumes.iter().all(|it| it.allow_inconsistent);
                        points.push(AcceptedPoint {
                            running,
                            target,
                            parent,
                            allow_inconsistent: request.allow_inconsistent || allowed,
                        });
                    }
                    Ok(())
                },
                |activity| {
                    activity
                        .busy
                        .retain(|resource, _| !claimed.contains(resource));
                    for id in &ids {
                        activity.points.remove(id);
                        activity.snapshots.remove(&(vault.id.clone(), id.clone()));
                    }
                },
            )
            .await?;
        let running: Vec<Arc<RunningPoint>> =
            points.iter().map(|it| Arc::clone(&it.running)).collect();
        show_progress(&job, &running);
        let ticket = PointsTicket {
            job_id: job.id(),
            points: ids.clone(),
            resources: ids,
        };
        job::spawn(inner, job, vault, points);
        Ok(ticket)
    }
}

/// All ids that nobody else may work on meanwhile. A host that is frozen for one of its volumes cannot be frozen for another.
fn claims(targets: &[Target]) -> Vec<String> {
    let mut claims = Vec::new();
    for target in targets {
        let volumes = target.volumes.iter().map(|volume| &volume.id);
        let controlled = target
            .instance
            .iter()
            .filter(|instance| instance.host != HostSpec::None)
            .map(|instance| &instance.id);
        for id in volumes.chain([&target.resource.id]).chain(controlled) {
            if !claims.contains(id) {
                claims.push(id.clone());
            }
        }
    }
    claims
}

fn refuse_busy(activity: &Activity, claimed: &[String]) -> Result<(), EngineError> {
    match claimed
        .iter()
        .find_map(|id| activity.busy.get_key_value(id))
    {
        Some((resource, job)) => Err(EngineError::ResourceBusy {
            resource: resource.clone(),
            job: job.clone(),
        }),
        None => Ok(()),
    }
}

/// As the lists of snapshots show it.
fn describe(repository: &str, record: &PointRecord, target: &Target) -> SnapshotInfo {
    let volumes: Vec<&str> = target.volumes.iter().map(|it| it.id.as_str()).collect();
    let metadata = json!({
        "name": record.name,
        "resource": record.resource.id,
        "volumes": volumes,
    });
    SnapshotInfo {
        repository: repository.to_owned(),
        name: record.id.clone(),
        uuid: new_uuid(),
        state: SnapshotState::InProgress,
        metadata: metadata.as_object().cloned(),
        start_ms: record.create_ms,
        written_by: VERSION.to_owned(),
        ..SnapshotInfo::default()
    }
}

impl Inner {
    /// What points are to be made of. No volume twice, all of them there and none suspended.
    async fn targets(self: &Arc<Self>, resources: &[String]) -> Result<Vec<Target>, EngineError> {
        if resources.is_empty() {
            return Err(EngineError::NothingNamed {
                what: "volume or instance",
            });
        }
        if resources.len() > MAX_RESOURCES {
            return Err(EngineError::ResourceRefused {
                resource: resources[MAX_RESOURCES].clone(),
                reason: format!("at most {MAX_RESOURCES} resources can be named at once"),
            });
        }
        let mut targets = Vec::new();
        // Of each volume, what it was named as.
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for id in resources {
            let target = self.target(id).await?;
            for volume in &target.volumes {
                if let Some(other) = named.insert(volume.id.clone(), id.clone()) {
                    let as_what = |it: &str| match it == volume.id {
                        true => "by itself".to_owned(),
                        false => format!("as a disk of [{it}]"),
                    };
                    return Err(EngineError::ResourceRepeated {
                        resource: volume.id.clone(),
                        how: format!("{} and {}", as_what(&other), as_what(id)),
                    });
                }
            }
            targets.push(target);
        }
        Ok(targets)
    }

    async fn target(self: &Arc<Self>, id: &str) -> Result<Target, EngineError> {
        if IdKind::Instance.matches(id) {
            let instance = self.find_instance(id).await?;
            if instance.volumes.is_empty() {
                return Err(EngineError::ResourceRefused {
                    resource: id.to_owned(),
                    reason: "it has no volumes; name them in its description".to_owned(),
                });
            }
            let mut volumes = Vec::new();
            for volume in &instance.volumes {
                volumes.push(self.usable_volume(volume).await?);
            }
            let resource = PointResource {
                id: instance.id.clone(),
                name: instance.name.clone(),
                kind: PointKind::Instance,
            };
            return Ok(Target {
                resource,
                volumes,
                instance: Some(instance),
            });
        }
        let volume = self.usable_volume(id).await?;
        let instance = match &volume.instance {
            Some(instance) => Some(self.find_instance(instance).await?),
            None => None,
        };
        Ok(Target {
            resource: PointResource {
                id: volume.id.clone(),
                name: volume.name.clone(),
                kind: PointKind::Volume,
            },
            volumes: vec![volume],
            instance,
        })
    }

    async fn usable_volume(self: &Arc<Self>, id: &str) -> Result<VolumeInfo, EngineError> {
        let volume = self.find_volume(id).await?;
        match &volume.status {
            VolumeStatus::Available => Ok(volume),
            VolumeStatus::Suspended { reason } => Err(EngineError::VolumeSuspended {
                volume: volume.id,
                reason: reason.clone(),
            }),
            VolumeStatus::Missing => Err(EngineError::VolumeUnreadable {
                volume: volume.id,
                reason: format!(
                    "there is nothing to be read at [{}]; bring it back or correct its location",
                    volume.location
                ),
            }),
        }
    }

    /// An id that no point has.
    async fn fresh_point_id(&self) -> Result<String, EngineError> {
        loop {
            let id = IdKind::Point.new_id();
            if self.catalogue.points_named(&id).await?.is_empty() {
                return Ok(id);
            }
        }
    }
}
