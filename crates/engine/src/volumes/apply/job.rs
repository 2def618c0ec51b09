//! The job of a rollback, on a thread of its own, and its end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use snapkeep_drivers::volume::write::WriteProgress;

use super::group::{Fate, Group, start_again, with_note};
use super::plan::{ApplyPlan, DiskPlan};
use super::record::{RollbackRecord, RollbackStage};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::jobs::{CANCELLED_ON_REQUEST, RunningJob};
use crate::model::{CreatePoints, JobProgress, JobState};
use crate::volumes::capture::VolumeState;
use crate::volumes::points::record_head;
use crate::volumes::work::outcome;

/// How often a rollback that waits for a point to be made looks whether it was cancelled.
const SAFETY_POLL: Duration = Duration::from_millis(200);

/// A rollback that runs.
pub(super) struct Rollback<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) job: &'a Arc<RunningJob>,
    pub(super) progress: Arc<WriteProgress>,
    phase: Arc<Mutex<&'static str>>,
    /// Volumes that are as their points show.
    applied: Mutex<BTreeSet<String>>,
}

/// Begins the work. `safety` asks for points of how things are now, which are made first.
pub(super) fn spawn(
    inner: &Arc<Inner>,
    job: Arc<RunningJob>,
    plan: ApplyPlan,
    safety: Option<CreatePoints>,
) {
    let of_work = Arc::clone(&job);
    inner.spawn_job(
        "apply",
        move |inner| {
            let rollback = Rollback::new(inner, &of_work, plan.size_bytes());
            let result = rollback.run(&plan, safety);
            if result.is_err() {
                rollback.tell_of_the_rest();
            }
            result
        },
        move |inner, result| {
            if let Err(error) = &result {
                tracing::warn!(%error, "a rollback of volumes failed");
            }
            let outcome = outcome(&job, result);
            let id = job.id();
            inner.block_on(inner.end_job(&job, outcome, move |activity| {
                activity.release_resources(&id);
            }));
        },
    );
}

impl<'a> Rollback<'a> {
    fn new(inner: &'a Arc<Inner>, job: &'a Arc<RunningJob>, total_bytes: u64) -> Self {
        let progress = Arc::new(WriteProgress::new());
        let phase = Arc::new(Mutex::new("waiting"));
        let (shown, shown_phase) = (Arc::clone(&progress), Arc::clone(&phase));
        job.set_progress(Box::new(move || {
            let phase = shown_phase.lock().unwrap_or_else(PoisonError::into_inner);
            JobProgress {
                phase: (*phase).to_owned(),
                bytes_done: shown.counts().done_bytes.min(total_bytes),
                bytes_total: total_bytes,
                ..JobProgress::default()
            }
        }));
        Self {
            inner,
            job,
            progress,
            phase,
            applied: Mutex::default(),
        }
    }

    /// Says what is being done, for people.
    pub(super) fn phase(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Whether it was stopped because the server goes down, and not because somebody wanted the rollback to be given up.
    pub(super) fn is_shut_down(&self) -> bool {
        self.job
            .cancel_reason()
            .is_some_and(|reason| reason != CANCELLED_ON_REQUEST)
    }

    fn run(&self, plan: &'a ApplyPlan, safety: Option<CreatePoints>) -> Result<Value, EngineError> {
        let turns = plan.points.first().map(|point| &point.vault.restore_turns);
        let _turn = turns
            .map(|turns| self.inner.wait_turn(self.job, turns))
            .transpose()?;
        let noted = self.inner.block_on(self.inner.catalogue.rollbacks())?;
        let groups = plan.groups.iter().map(|plan| self.look_at(plan, &noted));
        let mut groups: Vec<Group<'_>> = groups.collect::<Result<_, _>>()?;
        let safety_points = match safety {
            Some(request) => self.make_points(&mut groups, request)?,
            None => Vec::new(),
        };
        self.begin(&groups)?;
        let mut failure = None;
        for group in &mut groups {
            match &failure {
                None => failure = self.roll_back_group(group).err(),
                Some(_) => self.undo(group)?,
            }
        }
        let disks = plan.groups.iter().flat_map(|group| &group.disks);
        let fates = groups.iter().flat_map(|group| &group.fates);
        let outcomes: Vec<(&DiskPlan, &Fate)> = disks.zip(fates).collect();
        match failure {
            Some(error) => Err(EngineError::PointsFailed(format!(
                "{error}. As things are now: {}",
                tell(&outcomes)
            ))),
            None => {
                let volumes: Vec<Value> = outcomes
                    .iter()
                    .map(|(disk, fate)| {
                        json!({
                            "volume": disk.source.volume, "point": disk.point.info.id, "outcome": fate,
                        })
                    })
                    .collect();
                Ok(json!({ "volumes": volumes, "safety_points": safety_points }))
            }
        }
    }

    /// Says of volumes that it leaves suspended that nobody works on them any more.
    fn tell_of_the_rest(&self) {
        let noted = self.inner.block_on(self.inner.catalogue.rollbacks());
        let left = noted.unwrap_or_else(|error| {
            tracing::warn!(%error, "the notes of rollbacks cannot be read");
            Vec::new()
        });
        for record in left.iter().filter(|it| it.job == self.job.id()) {
            if record.stage != RollbackStage::Waiting {
                let reason = record.suspension(false);
                self.inner.registry.suspend(&record.source.volume, &reason);
            }
        }
    }

    /// Stops the hosts and makes points of how things are now, so that nothing is lost between these points and the rollback.
    fn make_points(
        &self,
        groups: &mut [Group<'_>],
        request: CreatePoints,
    ) -> Result<Vec<String>, EngineError> {
        let records = groups.iter().flat_map(|group| &group.records);
        let waiting: Vec<RollbackRecord> = records
            .map(|record| RollbackRecord {
                stage: RollbackStage::Waiting,
                ..record.clone()
            })
            .collect();
        self.note(&waiting, &[])?;
        let stopped = groups.iter_mut().try_for_each(|group| self.stop(group));
        let made = stopped.and_then(|()| {
            self.phase("making points of how things are now");
            self.inner.block_on(self.wait_for_points(request))
        });
        made.or_else(|error| {
            self.note(&[], &waiting)?;
            let error = EngineError::PointsFailed(format!("nothing was rolled back: {error}"));
            let stopped = groups.iter().filter(|group| !group.runs);
            Err(stopped.fold(error, |error, group| with_note(error, start_again(group))))
        })
    }

    async fn wait_for_points(&self, request: CreatePoints) -> Result<Vec<String>, EngineError> {
        let engine = Engine {
            inner: Arc::clone(self.inner),
        };
        let id = self.job.id();
        let ticket = engine.create_points_within(request, &id).await?;
        let made = loop {
            if self.job.cancel.is_cancelled() {
                engine.cancel_job(&ticket.job_id).await?;
            }
            let wait = engine.wait_job(&ticket.job_id);
            if let Ok(made) = tokio::time::timeout(SAFETY_POLL, wait).await {
                break made?;
            }
        };
        if made.state == JobState::Succeeded && !self.job.cancel.is_cancelled() {
            return Ok(ticket.points);
        }
        Err(EngineError::PointsFailed(format!(
            "the points of how things are now could not be made: {}",
            made.error.unwrap_or_else(|| "cancelled".to_owned())
        )))
    }

    /// Notes, durably, that volumes are about to be written: all of them, so that a crash leaves none out. What is remembered of their
    /// changes stays: it says to which content of which file it belongs.
    fn begin(&self, groups: &[Group<'_>]) -> Result<(), EngineError> {
        let records = groups.iter().flat_map(|group| &group.records);
        let records: Vec<RollbackRecord> = records.cloned().collect();
        self.note(&records, &[])
    }

    /// Notes that a volume is as its point shows. When all disks of the point are, the next increment hangs on it.
    pub(super) fn note_written(
        &self,
        record: &RollbackRecord,
        disk: &DiskPlan,
    ) -> Result<(), EngineError> {
        let point = &disk.point;
        let is_complete = {
            let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
            applied.insert(record.source.volume.clone());
            let mut disks = point.info.disks.iter();
            disks.all(|disk| applied.contains(&disk.volume))
        };
        self.inner.block_on(async {
            let mut write = self.inner.catalogue.write().await?;
            write.put_rollbacks(std::slice::from_ref(record)).await?;
            if is_complete {
                let (resource, uuid) = (&point.info.resource.id, &point.info.snapshot_uuid);
                let now_ms = self.inner.config.clock.now_ms();
                write
                    .set_head(&point.vault.id, resource, Some((uuid, now_ms)))
                    .await?;
            }
            write.commit().await
        })?;
        if is_complete {
            let (resource, uuid) = (&point.info.resource.id, &point.info.snapshot_uuid);
            self.inner
                .block_on(record_head(self.inner, &point.vault, resource, uuid));
        }
        Ok(())
    }

    /// Follows the changes of a volume from here on: it was just written, and the host has not started yet.
    pub(super) fn follow(&self, disk: &DiskPlan) {
        VolumeState::new(&self.inner.config.data_dir)
            .follow(&disk.source, &disk.point.info.snapshot_uuid);
    }

    /// Notes, durably, how some volumes are, which are suspended then, and lets others go.
    pub(super) fn note(
        &self,
        kept: &[RollbackRecord],
        gone: &[RollbackRecord],
    ) -> Result<(), EngineError> {
        let inner = self.inner;
        inner.block_on(async {
            let mut write = inner.catalogue.write().await?;
            write.put_rollbacks(kept).await?;
            let volumes = gone.iter().map(|record| record.source.volume.as_str());
            write.remove_rollbacks(volumes).await?;
            write.commit().await
        })?;
        let suspended = kept
            .iter()
            .filter(|record| record.stage != RollbackStage::Waiting);
        for record in suspended {
            let is_running = record.job == self.job.id();
            inner
                .registry
                .suspend(&record.source.volume, &record.suspension(is_running));
        }
        for record in gone {
            inner.registry.resume(&record.source.volume);
        }
        Ok(())
    }
}

/// How volumes are, for people.
fn tell(outcomes: &[(&DiskPlan, &Fate)]) -> String {
    let texts: Vec<String> = outcomes
        .iter()
        .map(|(disk, fate)| {
            let (volume, point) = (&disk.source.volume, &disk.point.info.id);
            match fate {
                Fate::Unchanged => format!("[{volume}] is unchanged"),
                Fate::Applied(_) => format!("[{volume}] is as point {point} shows"),
                Fate::Mixture => {
                    format!("[{volume}] is a mixture and suspended until a point is applied to it")
                }
            }
        })
        .collect();
    texts.join(", ")
}
