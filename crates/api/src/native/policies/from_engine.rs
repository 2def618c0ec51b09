//! From the engine's terms to what goes over the wire.

use snapkeep_engine as engine;
use snapkeep_engine::{NameTemplate, ScheduleKind};

use super::types::{
    Keep, LastRun, Monthly, Policy, PolicyRun, PolicyState, Retention, RetentionVerdict, RunKind,
    RunState, Schedule, Undeleted, Verification, Verified, Weekly, WhenRunning,
};
use super::{durations, names, to_engine};

/// A policy with its state.
pub fn policy(policy: engine::Policy, state: engine::PolicyState) -> Policy {
    let spec = policy.spec;
    let schedule_text = match &spec.schedule {
        Some(schedule) => schedule.describe(),
        None => "only when asked to".to_owned(),
    };
    Policy {
        id: names::id(&policy.key),
        origin: policy.key.origin.kind().to_string(),
        name: policy.key.name,
        enabled: spec.enabled,
        repository: spec.repository,
        indices: spec.selection.indices,
        collections: spec.selection.collections,
        ignore_unavailable: spec.selection.ignore_unavailable,
        partial: spec.selection.partial,
        include_global_state: spec.selection.include_global_state,
        schedule: spec.schedule.as_ref().map(schedule),
        snapshot_name: template(&spec.name_template),
        metadata: spec.metadata,
        retention: retention(&spec.retention, spec.retention_schedule.as_ref()),
        lock: spec.lock_ms.map(durations::text),
        verification: Verification {
            sample_after_run: spec.verification.sample_after_run,
            full: spec.verification.full.as_ref().map(schedule),
        },
        when_running: match spec.when_running {
            engine::WhenRunning::Skip => WhenRunning::Skip,
            engine::WhenRunning::Queue => WhenRunning::Queue,
            engine::WhenRunning::SkipWhenBusy => WhenRunning::SkipWhenBusy,
        },
        time_limit: spec.time_limit_ms.map(durations::text),
        schedule_text,
        version: policy.version,
        created_ms: policy.created_ms,
        modified_ms: policy.modified_ms,
        state: state.into(),
    }
}

fn retention(rules: &engine::Retention, schedule: Option<&engine::Schedule>) -> Retention {
    Retention {
        max_age: rules.max_age_ms.map(durations::text),
        min_count: rules.min_count,
        max_count: rules.max_count,
        keep: rules.gfs.map(|gfs| Keep {
            hourly: gfs.hourly,
            daily: gfs.daily,
            weekly: gfs.weekly,
            monthly: gfs.monthly,
            yearly: gfs.yearly,
        }),
        schedule: schedule.map(self::schedule),
    }
}

/// How snapshots are named, in a form for people; of a policy made here it is what was given.
fn template(template: &NameTemplate) -> String {
    match template {
        NameTemplate::DateMath { expression } => expression.clone(),
        NameTemplate::Dated {
            prefix,
            date_format,
            random,
            ..
        } => {
            let tail = if *random == 0 { "" } else { "-RANDOM" };
            format!("{prefix}{{{date_format}}}{tail}")
        }
        NameTemplate::EpochMillis { prefix } => format!("{prefix}-MILLISECONDS"),
    }
}

/// A schedule.
pub fn schedule(schedule: &engine::Schedule) -> Schedule {
    let mut shown = Schedule {
        time_zone: Some(schedule.time_zone.clone()),
        ..Schedule::default()
    };
    let at = |hour: &u8, minute: &u8| format!("{hour:02}:{minute:02}");
    match &schedule.kind {
        ScheduleKind::Cron { expression } => shown.cron = Some(expression.clone()),
        ScheduleKind::Every { interval_ms, .. } => {
            shown.every = Some(durations::text(*interval_ms));
        }
        ScheduleKind::Hourly { minute } => shown.hourly = Some(*minute),
        ScheduleKind::Daily { hour, minute } => shown.daily = Some(at(hour, minute)),
        ScheduleKind::Weekly { days, hour, minute } => {
            let days = days.iter().map(|day| to_engine::day_name(*day).to_owned());
            shown.weekly = Some(Weekly {
                days: days.collect(),
                at: at(hour, minute),
            });
        }
        ScheduleKind::Monthly { day, hour, minute } => {
            shown.monthly = Some(Monthly {
                day: *day,
                at: at(hour, minute),
            });
        }
    }
    shown
}

impl From<engine::PolicyState> for PolicyState {
    fn from(state: engine::PolicyState) -> Self {
        Self {
            next_run_ms: state.next_run_ms,
            next_retention_ms: state.next_retention_ms,
            next_verification_ms: state.next_verification_ms,
            in_progress: state.in_progress.map(PolicyRun::from),
            queued: state.queued,
            last_success: state.last_success.map(LastRun::from),
            last_failure: state.last_failure.map(LastRun::from),
            snapshots_taken: state.stats.taken,
            snapshots_failed: state.stats.failed,
            runs_skipped: state.stats.skipped,
            snapshots_deleted: state.stats.deleted,
            deletions_failed: state.stats.deletion_failures,
            undeleted: undeleted(state.deletion_failures),
            last_verification: state.last_verification.map(Verified::from),
        }
    }
}

impl From<engine::LastRun> for LastRun {
    fn from(last: engine::LastRun) -> Self {
        Self {
            snapshot: last.snapshot,
            started_ms: last.started_ms,
            ended_ms: last.ended_ms,
            details: last.details,
        }
    }
}

impl From<engine::VerificationOutcome> for Verified {
    fn from(outcome: engine::VerificationOutcome) -> Self {
        Self {
            ok: outcome.ok,
            problem: outcome.problem,
            ended_ms: outcome.ended_ms,
            job: outcome.job_id,
        }
    }
}

impl From<engine::PolicyRun> for PolicyRun {
    fn from(run: engine::PolicyRun) -> Self {
        Self {
            id: run.id,
            kind: match run.kind {
                engine::RunKind::Snapshot => RunKind::Snapshot,
                engine::RunKind::Retention => RunKind::Retention,
                engine::RunKind::Verification => RunKind::Verification,
            },
            state: match run.state {
                engine::RunState::Running => RunState::Running,
                engine::RunState::Success => RunState::Success,
                engine::RunState::Partial => RunState::Partial,
                engine::RunState::Failed => RunState::Failed,
                engine::RunState::Skipped => RunState::Skipped,
            },
            scheduled_ms: run.scheduled_ms,
            missed: run.missed,
            started_ms: run.started_ms,
            ended_ms: run.ended_ms,
            repository: run.repository,
            snapshot: run.snapshot,
            job: run.job_id,
            reason: run.reason,
            verification: run.verification.map(Verified::from),
            deleted: run.deleted,
            undeleted: undeleted(run.deletion_failures),
        }
    }
}

fn undeleted(failures: Vec<engine::DeletionFailure>) -> Vec<Undeleted> {
    let one = |failure: engine::DeletionFailure| Undeleted {
        snapshot: failure.snapshot,
        reason: failure.reason,
        at_ms: failure.at_ms,
    };
    failures.into_iter().map(one).collect()
}

impl From<engine::RetentionVerdict> for RetentionVerdict {
    fn from(verdict: engine::RetentionVerdict) -> Self {
        Self {
            snapshot: verdict.snapshot,
            state: verdict.state.into(),
            start_ms: verdict.start_ms,
            keep: !verdict.delete,
            reason: verdict.reason,
        }
    }
}
