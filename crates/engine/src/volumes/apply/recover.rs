//! Rollbacks that an earlier process began.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use snapkeep_drivers::volume::VolumeError;

use super::job;
use super::plan::{ApplyPlan, DiskPlan, GroupPlan};
use super::record::{RollbackHost, RollbackRecord, RollbackStage};
use crate::catalogue::JobRow;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::jobs::{Activity, JobSpec, Outcome, RunningJob};
use crate::model::JobKind;

/// Goes on with all rollbacks that were cut off, each as the job that it was where that has not ended, in the background: repositories
/// may take their time. Their volumes are claimed when this returns. Of the unfinished jobs given, those that had not begun to change
/// anything are returned.
pub(crate) async fn resume_rollbacks(
    inner: &Arc<Inner>,
    unfinished: Vec<JobRow>,
) -> Result<Vec<JobRow>, EngineError> {
    let mut by_job: BTreeMap<String, Vec<RollbackRecord>> = BTreeMap::new();
    for record in inner.catalogue.rollbacks().await? {
        if record.stage != RollbackStage::Waiting {
            let reason = record.suspension(false);
            inner.registry.suspend(&record.source.volume, &reason);
        }
        if record.is_resumed() {
            by_job.entry(record.job.clone()).or_default().push(record);
        }
    }
    let mut not_begun = Vec::new();
    for row in unfinished {
        match by_job.remove(&row.info.id) {
            Some(records) => {
                let vault = row.input["vault"].as_str().unwrap_or_default();
                let job = RunningJob::new(row.info, vault.to_owned());
                let claimed = {
                    let mut activity = inner.activity();
                    activity.jobs.insert(job.id(), Arc::clone(&job));
                    activity.claim_resources(&resources(&records), &job.id())
                };
                go_on(inner, job, records, claimed);
            }
            None => not_begun.push(row),
        }
    }
    // Those that ended because the server was shut down.
    for records in by_job.into_values() {
        let volumes: Vec<String> = records
            .iter()
            .map(|record| record.source.volume.clone())
            .collect();
        let mut points: Vec<&str> = records.iter().map(|it| it.point.as_str()).collect();
        points.dedup();
        let claimed = resources(&records);
        let spec = JobSpec {
            kind: JobKind::VolumeApply,
            repository: "",
            vault: "",
            subject: &points.join(","),
            resources: &volumes,
            input: json!({ "points": points }),
        };
        let mut result = Ok(());
        let admit = |activity: &mut Activity, job: &Arc<RunningJob>| {
            result = activity.claim_resources(&claimed, &job.id());
            Ok(())
        };
        let job = inner
            .begin_job(spec, admit, |activity| {
                activity.busy.retain(|it, _| !claimed.contains(it));
            })
            .await?;
        go_on(inner, job, records, result);
    }
    Ok(not_begun)
}

fn volume_of(record: &RollbackRecord) -> &str {
    &record.source.volume
}

/// All that nothing else may work on meanwhile.
fn resources(records: &[RollbackRecord]) -> Vec<String> {
    let mut resources = Vec::new();
    for record in records {
        resources.push(record.host.id.clone());
        resources.extend(record.host.disks.iter().map(|disk| disk.volume.clone()));
        resources.push(record.source.volume.clone());
    }
    resources.sort();
    resources.dedup();
    resources
}

/// Goes on in the background. What could not be `claimed`, because another rollback of the same host goes on first, waits for the next
/// start, or for a point to be applied.
fn go_on(
    inner: &Arc<Inner>,
    job: Arc<RunningJob>,
    records: Vec<RollbackRecord>,
    claimed: Result<(), EngineError>,
) {
    let inner = Arc::clone(inner);
    inner.runtime.clone().spawn(async move {
        let engine = Engine {
            inner: Arc::clone(&inner),
        };
        let waits = records
            .iter()
            .all(|record| record.stage == RollbackStage::Waiting);
        let plan = match claimed {
            Err(error) => Err(error),
            Ok(()) if waits => engine.call_off(records).await,
            Ok(()) => engine.plan_again(records).await,
        };
        match plan {
            Ok(plan) => job::spawn(&inner, job, plan, None),
            Err(error) => {
                tracing::error!(job = job.id(), %error, "a rollback of volumes that was cut off cannot go on");
                let id = job.id();
                let outcome = Outcome::failure(format!(
                    "the server stopped before it was done, and it cannot go on: {error}"
                ));
                inner
                    .end_job(&job, outcome, |activity| activity.release_resources(&id))
                    .await;
            }
        }
    });
}

impl Engine {
    /// Ends a rollback that was cut off before anything was written: hosts that were stopped for it are started again.
    async fn call_off(&self, records: Vec<RollbackRecord>) -> Result<ApplyPlan, EngineError> {
        let gone = records.clone();
        let started = self
            .inner
            .blocking(move |_| {
                let mut hosts: Vec<&RollbackHost> = Vec::new();
                for record in records.iter().filter(|record| record.restart) {
                    if hosts.iter().all(|host| host.id != record.host.id) {
                        hosts.push(&record.host);
                    }
                }
                let failed = |host: &RollbackHost, error: VolumeError| {
                    EngineError::PointsFailed(format!("[{}] cannot be started: {error}", host.id))
                };
                hosts
                    .into_iter()
                    .try_for_each(|host| host.control().start().map_err(|e| failed(host, e)))
            })
            .await;
        let mut write = self.inner.catalogue.write().await?;
        let volumes: Vec<&str> = gone.iter().map(volume_of).collect();
        write.remove_rollbacks(volumes).await?;
        write.commit().await?;
        started?;
        Err(EngineError::PointsFailed(
            "the points of how things were had not been made, and nothing was rolled back"
                .to_owned(),
        ))
    }

    /// What is left to be done.
    async fn plan_again(&self, records: Vec<RollbackRecord>) -> Result<ApplyPlan, EngineError> {
        let mut plan = ApplyPlan {
            groups: Vec::new(),
            points: Vec::new(),
        };
        for record in records {
            let known = plan.points.iter().find(|it| it.info.id == record.point);
            let point = match known {
                Some(point) => Arc::clone(point),
                None => {
                    let point = Arc::new(self.hold_point(&record.point).await?);
                    plan.points.push(Arc::clone(&point));
                    point
                }
            };
            let mut disks = point.info.disks.iter();
            let disk = disks.find(|disk| disk.volume == record.source.volume);
            let disk = DiskPlan {
                size_bytes: disk.map_or(0, |disk| disk.size_bytes),
                mode: record.mode,
                is_written: record.stage == RollbackStage::Written,
                source: record.source,
                point,
            };
            match plan
                .groups
                .iter_mut()
                .find(|group| group.host.id == record.host.id)
            {
                Some(group) => group.disks.push(disk),
                None => plan.groups.push(GroupPlan {
                    host: record.host,
                    disks: vec![disk],
                    restart: Some(record.restart),
                }),
            }
        }
        Ok(plan)
    }
}
