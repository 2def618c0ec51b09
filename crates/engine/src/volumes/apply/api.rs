//! Rollbacks as dialects ask for them.

use serde_json::json;

use super::job;
use super::plan::ApplyPlan;
use crate::engine::Engine;
use crate::error::{EngineError, ReadonlyOperation};
use crate::jobs::JobSpec;
use crate::model::{CreatePoints, JobKind, PointsTicket};

impl Engine {
    /// Rolls volumes and instances back to points, one for each resource. What uses the disks is stopped for it, once for all disks of
    /// an instance, and started again if it ran; only what differs is written. With `safety_snapshot` a point of each resource as it is
    /// now is made first, when what uses it is stopped. Everything that can be wrong with the request is told here, before anything changes.
    ///
    /// Cut off at any moment by a crash the rollback is finished when the engine starts again. Until it is, the volumes are suspended.
    /// One that is cancelled in the middle of writing a volume in place leaves that volume suspended until a point is applied to it;
    /// a file that is swapped is as it was then.
    pub async fn apply_points(
        &self,
        points: &[String],
        safety_snapshot: bool,
    ) -> Result<PointsTicket, EngineError> {
        let (engine, points) = (self.clone(), points.to_vec());
        self.detached(async move {
            let plan = engine.plan_apply(&points).await?;
            engine.accept_apply(plan, safety_snapshot).await
        })
        .await
    }

    async fn accept_apply(
        &self,
        plan: ApplyPlan,
        safety_snapshot: bool,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        let points: Vec<String> = plan.points.iter().map(|it| it.info.id.clone()).collect();
        let disks = plan.groups.iter().flat_map(|group| &group.disks);
        let volumes: Vec<String> = disks.map(|disk| disk.source.volume.clone()).collect();
        let Some(first) = plan.points.first() else {
            return Err(EngineError::NothingNamed { what: "point" });
        };
        let safety = if safety_snapshot {
            // Refused here rather than by the job.
            for volume in &volumes {
                if let Some(reason) = inner.registry.suspension(volume) {
                    let volume = volume.clone();
                    return Err(EngineError::VolumeSuspended { volume, reason });
                }
            }
            let repository = first.info.repository.clone();
            inner
                .writable_vault(&repository, ReadonlyOperation::CreateSnapshot)
                .await?;
            let resources = plan.points.iter().map(|it| it.info.resource.id.clone());
            Some(CreatePoints {
                repository: Some(repository),
                resources: resources.collect(),
                name: format!("before {}", points.join(", ")),
                description: format!("made before point {} was applied", points.join(", ")),
                ..CreatePoints::default()
            })
        } else {
            None
        };
        let spec = JobSpec {
            kind: JobKind::VolumeApply,
            repository: &first.info.repository,
            vault: &first.vault.id,
            subject: &points.join(","),
            resources: &volumes,
            input: json!({ "vault": first.vault.id, "points": points }),
        };
        let claimed = plan.resources();
        let job = inner
            .begin_job(
                spec,
                |activity, job| activity.claim_resources(&claimed, &job.id()),
                |activity| activity.busy.retain(|it, _| !claimed.contains(it)),
            )
            .await?;
        let ticket = PointsTicket {
            job_id: job.id(),
            points,
            resources: volumes,
        };
        job::spawn(inner, job, plan, safety);
        Ok(ticket)
    }
}
