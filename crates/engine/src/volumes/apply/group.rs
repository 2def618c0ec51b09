//! Rolling back the volumes of one host.
//!
//! The order: a note in the catalogue, the host is stopped, the volumes are written, the host is started, the note goes. A crash
//! before the first note leaves all as it was; after it, the next start does everything again, from the stop on.

use std::time::{Duration, Instant};

use serde::Serialize;
use snapkeep_drivers::volume::VolumeError;
use snapkeep_drivers::volume::host::{HostControl, HostState};
use snapkeep_drivers::volume::write::{RollbackMode, WriteReport, roll_back};

use super::job::Rollback;
use super::plan::{DiskPlan, GroupPlan, refuse_used, unusable};
use super::record::{RollbackRecord, RollbackStage, VERSION};
use crate::error::EngineError;
use crate::volumes::work::Cancellable;

/// How long a disk may stay open after its host was stopped: processes end a little later than they say.
const RELEASE_WAIT: Duration = Duration::from_secs(10);
const RELEASE_POLL: Duration = Duration::from_millis(100);

/// What became of a volume.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(super) enum Fate {
    /// It is as it was.
    Unchanged,
    /// It is as the point shows.
    Applied(AppliedReport),
    /// It is neither, and suspended.
    Mixture,
}

/// How a volume was rolled back.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct AppliedReport {
    mode: Option<RollbackMode>,
    compared_bytes: u64,
    written_bytes: u64,
    punched_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl From<WriteReport> for AppliedReport {
    fn from(report: WriteReport) -> Self {
        Self {
            mode: Some(report.mode),
            compared_bytes: report.compared_bytes,
            written_bytes: report.written_bytes,
            punched_bytes: report.punched_bytes,
            notes: report.notes,
        }
    }
}

/// Why a volume was not rolled back.
struct DiskFailure {
    error: EngineError,
    /// Whether some of it may have been written.
    is_touched: bool,
}

/// The volumes of a host, and how they are.
pub(super) struct Group<'a> {
    plan: &'a GroupPlan,
    control: Box<dyn HostControl>,
    /// Whether the host runs, as it was seen or as it was stopped.
    pub(super) runs: bool,
    /// Whether it is to run at the end.
    restart: bool,
    /// Which volumes an earlier process has written already. In the order of the plan, as the other lists.
    written: Vec<bool>,
    pub(super) records: Vec<RollbackRecord>,
    /// What earlier rollbacks left unfinished of these volumes.
    earlier: Vec<RollbackRecord>,
    pub(super) fates: Vec<Fate>,
}

impl<'a> Rollback<'a> {
    /// Looks how a host and its volumes are. Changes nothing.
    pub(super) fn look_at(
        &self,
        plan: &'a GroupPlan,
        noted: &[RollbackRecord],
    ) -> Result<Group<'a>, EngineError> {
        let control = plan.control();
        let is_ours = |record: &&RollbackRecord| {
            let mut disks = plan.disks.iter();
            disks.any(|disk| disk.source.volume == record.source.volume)
        };
        let earlier: Vec<RollbackRecord> = noted.iter().filter(is_ours).cloned().collect();
        let runs = is_running(control.as_ref(), plan)?;
        // An earlier rollback may have stopped it and been cut off.
        let was_cut_off = earlier
            .iter()
            .any(|record| record.restart && record.is_resumed());
        let restart = plan.restart.unwrap_or(runs || was_cut_off);
        // What somebody started meanwhile, though not all its volumes were done, may have written to all of them.
        let is_done = plan.disks.iter().all(|disk| disk.is_written);
        let is_kept = |disk: &DiskPlan| disk.is_written && (is_done || !runs);
        let written: Vec<bool> = plan.disks.iter().map(is_kept).collect();
        Ok(Group {
            records: self.records(plan, &written, restart),
            written,
            fates: vec![Fate::Unchanged; plan.disks.len()],
            plan,
            control,
            runs,
            restart,
            earlier,
        })
    }

    /// Rolls back all volumes of a host. The group's fates hold after an error too.
    pub(super) fn roll_back_group(&self, group: &mut Group<'a>) -> Result<(), EngineError> {
        let plan = group.plan;
        // Where only the start was cut off the host may run again.
        let is_done = group.written.iter().all(|written| *written);
        if !is_done && let Err(error) = self.stop(group) {
            self.undo(group)?;
            let again = start_again(group);
            return Err(with_note(error, again));
        }
        for (at, disk) in plan.disks.iter().enumerate() {
            if group.written[at] {
                group.fates[at] = Fate::Applied(AppliedReport::default());
                self.note_written(&group.records[at], disk)?;
                continue;
            }
            match self.roll_back_disk(disk) {
                Ok(report) => {
                    group.fates[at] = Fate::Applied(report);
                    group.records[at].stage = RollbackStage::Written;
                    self.note_written(&group.records[at], disk)?;
                    // Not of what was written before a crash: somebody may have changed it since.
                    self.follow(disk);
                }
                Err(failure) => {
                    if failure.is_touched {
                        group.fates[at] = Fate::Mixture;
                    }
                    let note = self.give_up(group, &failure)?;
                    return Err(with_note(failure.error, note));
                }
            }
        }
        let started = if group.restart {
            self.start(group)
        } else {
            Ok(())
        };
        self.note(&[], &group.records)?;
        started
    }

    /// Lets the volumes of a host go of which nothing was written: what earlier rollbacks had noted of them stays.
    pub(super) fn undo(&self, group: &Group<'_>) -> Result<(), EngineError> {
        if self.is_shut_down() {
            return Ok(());
        }
        let mut gone = group.records.clone();
        gone.retain(|record| {
            let mut earlier = group.earlier.iter();
            !earlier.any(|earlier| earlier.source.volume == record.source.volume)
        });
        self.note(&group.earlier, &gone)
    }

    fn records(&self, plan: &GroupPlan, written: &[bool], restart: bool) -> Vec<RollbackRecord> {
        let begun_ms = self.inner.config.clock.now_ms();
        let record = |(disk, written): (&DiskPlan, &bool)| RollbackRecord {
            version: VERSION,
            job: self.job.id(),
            source: disk.source.clone(),
            mode: disk.mode,
            point: disk.point.info.id.clone(),
            host: plan.host.clone(),
            restart,
            stage: if *written {
                RollbackStage::Written
            } else {
                RollbackStage::Writing
            },
            begun_ms,
        };
        plan.disks.iter().zip(written).map(record).collect()
    }

    /// Stops the host and waits until nobody has the disks open.
    pub(super) fn stop(&self, group: &mut Group<'_>) -> Result<(), EngineError> {
        if group.runs {
            self.phase("stopping the host");
            let stopped = group.control.stop();
            stopped.map_err(|error| unusable(&group.plan.host.id, &error))?;
        }
        let until = Instant::now() + RELEASE_WAIT;
        for disk in &group.plan.disks {
            while let Err(error) = refuse_used(&disk.source) {
                if !group.runs || Instant::now() >= until {
                    return Err(error);
                }
                std::thread::sleep(RELEASE_POLL);
            }
        }
        group.runs = false;
        Ok(())
    }

    /// Starts the host, unless another of its disks is a mixture.
    fn start(&self, group: &Group<'_>) -> Result<(), EngineError> {
        let host = &group.plan.host;
        let left_stopped = |reason: String| {
            EngineError::PointsFailed(format!(
                "all volumes of [{}] are as their points show, but it is left stopped: {reason}",
                host.id
            ))
        };
        let noted = self.inner.block_on(self.inner.catalogue.rollbacks())?;
        let other = noted.iter().find(|record| {
            let volume = &record.source.volume;
            let is_of_host = host.disks.iter().any(|disk| disk.volume == *volume);
            is_of_host && !group.records.iter().any(|own| own.source.volume == *volume)
        });
        if let Some(other) = other {
            return Err(left_stopped(format!(
                "its volume [{}] is suspended: {}",
                other.source.volume,
                other.suspension(false)
            )));
        }
        self.phase("starting the host");
        let started = group.control.start();
        started.map_err(|error| left_stopped(error.to_string()))
    }

    fn roll_back_disk(&self, disk: &DiskPlan) -> Result<AppliedReport, DiskFailure> {
        let volume = &disk.source.volume;
        let untouched = |error| DiskFailure {
            error,
            is_touched: false,
        };
        self.phase("rolling back");
        let cancel = &self.job.cancel;
        let content = disk
            .point
            .open_disk(Some(volume), cancel)
            .map_err(untouched)?;
        let content = Cancellable {
            content: &content,
            cancel,
            progress: &self.progress,
        };
        let before = self.progress.counts();
        let result = roll_back(&disk.source, &content, None, disk.mode, &self.progress);
        let counts = self.progress.counts();
        for (what, bytes) in [
            ("compared", counts.compared_bytes - before.compared_bytes),
            ("written", counts.written_bytes - before.written_bytes),
            ("punched", counts.punched_bytes - before.punched_bytes),
        ] {
            metrics::counter!("snapkeep_volume_rollback_bytes_total", "what" => what)
                .increment(bytes);
        }
        result.map(AppliedReport::from).map_err(|error| {
            let wrote = counts.written_bytes + counts.punched_bytes
                > before.written_bytes + before.punched_bytes;
            // A write that failed may have written a part; these failed before any.
            let is_before_writing = matches!(
                error,
                VolumeError::Cancelled
                    | VolumeError::Content { .. }
                    | VolumeError::InUse { .. }
                    | VolumeError::Missing { .. }
                    | VolumeError::Unsupported { .. }
            );
            DiskFailure {
                is_touched: disk.mode == RollbackMode::InPlace && (wrote || !is_before_writing),
                error: unusable(volume, &error),
            }
        })
    }

    /// Ends a group of which a volume failed: what is done stays, what is untouched is let go, what is a mixture stays suspended, and
    /// the host stays down unless nothing was changed. What was done about the host, for people.
    fn give_up(&self, group: &mut Group<'_>, failure: &DiskFailure) -> Result<String, EngineError> {
        if self.is_shut_down() {
            return Ok("it goes on when the server starts again".to_owned());
        }
        let is_unchanged = group
            .fates
            .iter()
            .all(|fate| matches!(fate, Fate::Unchanged));
        if is_unchanged && group.earlier.is_empty() {
            self.undo(group)?;
            return Ok(start_again(group));
        }
        let reason = self
            .job
            .cancel_reason()
            .unwrap_or_else(|| failure.error.to_string());
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (record, fate) in group.records.iter_mut().zip(&group.fates) {
            let volume = &record.source.volume;
            let mut earlier = group.earlier.iter();
            match fate {
                Fate::Mixture => {
                    record.stage = RollbackStage::GivenUp {
                        reason: reason.clone(),
                    };
                    kept.push(record.clone());
                }
                Fate::Applied(_) => gone.push(record.clone()),
                Fate::Unchanged => match earlier.find(|it| it.source.volume == *volume) {
                    Some(earlier) => kept.push(earlier.clone()),
                    None => gone.push(record.clone()),
                },
            }
        }
        self.note(&kept, &gone)?;
        Ok(if group.restart {
            format!("[{}] was stopped and is left stopped", group.plan.host.id)
        } else {
            String::new()
        })
    }
}

/// Starts a host again for which nothing was done; what came of it, for people.
pub(super) fn start_again(group: &Group<'_>) -> String {
    if !group.restart {
        return String::new();
    }
    let host = &group.plan.host.id;
    let is_written_to = |record: &&RollbackRecord| record.stage != RollbackStage::Waiting;
    if let Some(earlier) = group.earlier.iter().find(is_written_to) {
        return format!(
            "[{host}] is not started: its volume [{}] is suspended: {}",
            earlier.source.volume,
            earlier.suspension(false)
        );
    }
    match group.control.start() {
        Ok(()) => format!("[{host}] was started again"),
        Err(error) => format!("[{host}] could not be started again: {error}"),
    }
}

/// Whether the host runs, as far as can be told.
fn is_running(control: &dyn HostControl, group: &GroupPlan) -> Result<bool, EngineError> {
    let state = control
        .state()
        .map_err(|error| unusable(&group.host.id, &error))?;
    Ok(match state {
        HostState::Running => true,
        HostState::Stopped => false,
        HostState::Unknown => {
            control.can_stop()
                && group
                    .disks
                    .iter()
                    .any(|disk| refuse_used(&disk.source).is_err())
        }
    })
}

/// An error with what was done about it.
pub(super) fn with_note(error: EngineError, note: String) -> EngineError {
    if note.is_empty() {
        return error;
    }
    EngineError::PointsFailed(format!("{error}; {note}"))
}
