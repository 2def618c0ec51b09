//! What is due, and what is to be done about it: a pure function of the policy, its timetable and the situation.
//!
//! The timetable is durable. What it names and time has passed is due, however long nobody looked: that is how runs that were missed
//! while the server was down are caught up, once.

use serde::{Deserialize, Serialize};

use super::schedule::duration;
use crate::model::{Policy, Schedule, WhenRunning};

/// Pause between two rounds of retention of a policy without a schedule for it.
const RETENTION_PAUSE_MS: i64 = 3_600_000;
/// Pause before retention tries again what it could not delete.
pub(super) const RETENTION_RETRY_MS: i64 = 15 * 60_000;
/// Missed due times that are counted.
const MOST_MISSED: u32 = 1000;

/// What is due when, milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Timetable {
    pub(crate) next_run_ms: Option<i64>,
    pub(crate) next_retention_ms: Option<i64>,
    pub(crate) next_verification_ms: Option<i64>,
    /// A run that waits for the end of another.
    pub(crate) queued: Option<Due>,
}

/// Something that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    /// The last due time that has passed.
    pub(crate) scheduled_ms: i64,
    /// Earlier ones that passed unseen.
    pub(crate) missed: u32,
}

/// How things stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Situation {
    pub(crate) now_ms: i64,
    /// Its dialect's scheduler is stopped.
    pub(crate) paused: bool,
    /// When the run under way began.
    pub(crate) running_since_ms: Option<i64>,
    /// A snapshot or restore of whomever is under way.
    pub(crate) busy: bool,
}

/// Something to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Begin a run.
    Run(Due),
    /// Record that a run was left out.
    Skip { due: Due, reason: String },
    /// Delete what is no longer kept.
    Retain,
    /// Read everything.
    VerifyAll(Due),
    /// End the run under way.
    Cancel { reason: String },
}

impl Timetable {
    /// Of a policy that was just put, switched on or let go on: nothing is due yet.
    pub(crate) fn new(policy: &Policy, now_ms: i64) -> Self {
        let next = |schedule: &Option<Schedule>| schedule.as_ref()?.next_after(now_ms);
        Self {
            next_run_ms: next(&policy.spec.schedule),
            next_retention_ms: next_retention(policy, now_ms),
            next_verification_ms: next(&policy.spec.verification.full),
            queued: None,
        }
    }

    /// When [`step`] is to be asked again, if nothing else happens.
    pub(crate) fn next_wake_ms(&self) -> Option<i64> {
        [
            self.next_run_ms,
            self.next_retention_ms,
            self.next_verification_ms,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn next_retention(policy: &Policy, now_ms: i64) -> Option<i64> {
    if !policy.spec.retention.has_rules() {
        return None;
    }
    match &policy.spec.retention_schedule {
        Some(schedule) => schedule.next_after(now_ms),
        None => now_ms.checked_add(RETENTION_PAUSE_MS),
    }
}

/// Takes a due time that has passed, with all later ones that have, and sets the next.
fn take(next_ms: &mut Option<i64>, schedule: Option<&Schedule>, now_ms: i64) -> Option<Due> {
    let first = (*next_ms).filter(|next| *next <= now_ms)?;
    let mut due = Due {
        scheduled_ms: first,
        missed: 0,
    };
    *next_ms = schedule.and_then(|schedule| schedule.next_after(now_ms));
    while let Some(later) = schedule
        .and_then(|schedule| schedule.next_after(due.scheduled_ms))
        .filter(|later| *later <= now_ms && due.missed < MOST_MISSED)
    {
        due.scheduled_ms = later;
        due.missed += 1;
    }
    Some(due)
}

/// What is to be done now, and the timetable after that.
pub(crate) fn step(
    policy: &Policy,
    before: &Timetable,
    situation: Situation,
) -> (Timetable, Vec<Action>) {
    let mut table = before.clone();
    let mut actions = Vec::new();
    let now_ms = situation.now_ms;
    let running = situation.running_since_ms;
    if let (Some(since), Some(limit)) = (running, policy.spec.time_limit_ms)
        && now_ms.saturating_sub(since) > limit
    {
        actions.push(Action::Cancel {
            reason: format!("it took longer than {}", duration(limit)),
        });
    }
    if situation.paused || !policy.spec.enabled {
        // Nothing of this is caught up when it goes on again.
        return (Timetable::default(), actions);
    }
    // Missing times are those of a policy that goes on again. Times later than the next are left from a clock that was wrong.
    let fresh = Timetable::new(policy, now_ms);
    let earlier = |known: Option<i64>, next: Option<i64>| [known, next].into_iter().flatten().min();
    table.next_run_ms = earlier(table.next_run_ms, fresh.next_run_ms);
    table.next_retention_ms = earlier(table.next_retention_ms, fresh.next_retention_ms);
    table.next_verification_ms = earlier(table.next_verification_ms, fresh.next_verification_ms);

    let due = take(
        &mut table.next_run_ms,
        policy.spec.schedule.as_ref(),
        now_ms,
    );
    match (due, running) {
        (Some(due), Some(_)) if policy.spec.when_running == WhenRunning::Queue => {
            let missed = table.queued.map_or(0, |waiting| waiting.missed + 1);
            table.queued = Some(Due {
                missed: missed.saturating_add(due.missed),
                ..due
            });
        }
        (Some(due), Some(_)) => actions.push(Action::Skip {
            due,
            reason: "the run before it was still under way".to_owned(),
        }),
        (Some(due), None)
            if situation.busy && policy.spec.when_running == WhenRunning::SkipWhenBusy =>
        {
            actions.push(Action::Skip {
                due,
                reason: "another snapshot or restore was under way".to_owned(),
            });
        }
        (Some(due), None) => {
            let waited = table.queued.take().map_or(0, |waiting| waiting.missed + 1);
            actions.push(Action::Run(Due {
                missed: due.missed.saturating_add(waited),
                ..due
            }));
        }
        (None, None) => {
            if let Some(due) = table.queued.take() {
                actions.push(Action::Run(due));
            }
        }
        (None, Some(_)) => {}
    }
    if table.next_retention_ms.is_some_and(|next| next <= now_ms) {
        table.next_retention_ms = fresh.next_retention_ms;
        actions.push(Action::Retain);
    }
    let full = policy.spec.verification.full.as_ref();
    if let Some(due) = take(&mut table.next_verification_ms, full, now_ms) {
        actions.push(Action::VerifyAll(due));
    }
    (table, actions)
}

#[cfg(test)]
mod tests;
