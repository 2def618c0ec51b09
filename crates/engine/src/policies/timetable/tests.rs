use proptest::prelude::*;

use super::*;
use crate::model::{
    NameTemplate, PolicyKey, PolicySpec, Retention, ScheduleKind, VerificationPlan,
};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

fn ms(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn schedule(kind: ScheduleKind, zone: &str) -> Schedule {
    Schedule {
        kind,
        time_zone: zone.to_owned(),
    }
}

fn cron(expression: &str, zone: &str) -> Schedule {
    let expression = expression.to_owned();
    schedule(ScheduleKind::Cron { expression }, zone)
}

fn policy(schedule: Schedule) -> Policy {
    let template = NameTemplate::EpochMillis {
        prefix: "s".to_owned(),
    };
    Policy {
        key: PolicyKey::native("p"),
        spec: PolicySpec {
            schedule: Some(schedule),
            ..PolicySpec::new("repository", template)
        },
        version: 1,
        created_ms: 0,
        modified_ms: 0,
    }
}

fn at(now_ms: i64) -> Situation {
    Situation {
        now_ms,
        ..Situation::default()
    }
}

/// Lets time run from one due time to the next; gives all that was to be done, with when.
fn live(policy: &Policy, from_ms: i64, until_ms: i64) -> Vec<(i64, Action)> {
    let mut table = Timetable::new(policy, from_ms);
    let mut done = Vec::new();
    while let Some(now_ms) = table.next_wake_ms().filter(|next| *next < until_ms) {
        let (after, actions) = step(policy, &table, at(now_ms));
        assert_ne!(after, table, "time stands still");
        done.extend(actions.into_iter().map(|action| (now_ms, action)));
        table = after;
    }
    done
}

fn runs(done: &[(i64, Action)]) -> Vec<i64> {
    done.iter()
        .filter(|(_, action)| matches!(action, Action::Run(_)))
        .map(|(now_ms, _)| *now_ms)
        .collect()
}

#[test]
fn ten_years_of_daily_runs_in_zones_that_change_their_clocks() {
    let (from, until) = (ms("2020-01-01T00:00:00Z"), ms("2030-01-01T00:00:00Z"));
    for zone in [
        "Europe/Berlin",
        "America/New_York",
        "Asia/Shanghai",
        "Australia/Lord_Howe",
    ] {
        // In each of them an hour in which clocks change.
        let done = live(&policy(cron("30 2 * * *", zone)), from, until);
        let runs = runs(&done);
        assert_eq!(runs.len(), 3653, "{zone}");
        for pair in runs.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(
                (DAY_MS - HOUR_MS..=DAY_MS + HOUR_MS).contains(&apart),
                "{zone}: {apart}"
            );
        }
        assert!(done.iter().all(|(now, action)| *action
            == Action::Run(Due {
                scheduled_ms: *now,
                missed: 0
            })));
    }
}

#[test]
fn missed_runs_are_caught_up_once() {
    let policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    let start = ms("2026-01-01T00:30:00Z");
    let table = Timetable::new(&policy, start);
    // Down for ten days.
    let back = start + 10 * DAY_MS;
    let (table, actions) = step(&policy, &table, at(back));
    let due = Due {
        scheduled_ms: back - 30 * MINUTE_MS,
        missed: 239,
    };
    assert_eq!(actions, [Action::Run(due)]);
    let (table, actions) = step(&policy, &table, at(back));
    assert!(actions.is_empty());
    assert_eq!(table.next_run_ms, Some(back + 30 * MINUTE_MS));
}

#[test]
fn a_due_run_is_skipped_or_waits_while_one_runs() {
    let mut policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    let start = ms("2026-01-01T00:30:00Z");
    let running = |now_ms| Situation {
        running_since_ms: Some(start),
        ..at(now_ms)
    };
    let one = start + 30 * MINUTE_MS;
    let table = Timetable::new(&policy, start);
    let (skipped, actions) = step(&policy, &table, running(one));
    assert!(matches!(&actions[..], [Action::Skip { due, .. }] if due.scheduled_ms == one));
    assert_eq!(step(&policy, &skipped, at(one + 1)).1, []);

    policy.spec.when_running = WhenRunning::Queue;
    let (mut table, actions) = step(&policy, &table, running(one));
    assert_eq!(actions, []);
    for hour in 1..4 {
        let (after, actions) = step(&policy, &table, running(one + hour * HOUR_MS));
        assert_eq!(actions, []);
        table = after;
    }
    // Four waited; one begins when the other has ended.
    let end = one + 3 * HOUR_MS + 1;
    let (table, actions) = step(&policy, &table, at(end));
    let due = Due {
        scheduled_ms: one + 3 * HOUR_MS,
        missed: 3,
    };
    assert_eq!(actions, [Action::Run(due)]);
    assert_eq!(step(&policy, &table, at(end)).1, []);
}

#[test]
fn a_busy_cluster_is_a_reason_only_for_those_who_say_so() {
    let mut policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    let start = ms("2026-01-01T00:30:00Z");
    let table = Timetable::new(&policy, start);
    let busy = Situation {
        busy: true,
        ..at(start + HOUR_MS)
    };
    assert!(matches!(
        step(&policy, &table, busy).1[..],
        [Action::Run(_)]
    ));
    policy.spec.when_running = WhenRunning::SkipWhenBusy;
    assert!(matches!(
        step(&policy, &table, busy).1[..],
        [Action::Skip { .. }]
    ));
}

#[test]
fn what_passes_while_it_is_off_or_stopped_is_not_caught_up() {
    let mut policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    let start = ms("2026-01-01T00:30:00Z");
    let table = Timetable::new(&policy, start);
    let paused = Situation {
        paused: true,
        ..at(start + HOUR_MS)
    };
    let (off, actions) = step(&policy, &table, paused);
    assert_eq!((off.next_wake_ms(), actions), (None, Vec::new()));
    policy.spec.enabled = false;
    let (off, actions) = step(&policy, &off, at(start + 2 * HOUR_MS));
    assert_eq!((off.next_wake_ms(), actions), (None, Vec::new()));
    policy.spec.enabled = true;
    let (on, actions) = step(&policy, &off, at(start + 5 * HOUR_MS));
    assert_eq!(actions, []);
    assert_eq!(on.next_run_ms, Some(start + 5 * HOUR_MS + 30 * MINUTE_MS));
}

#[test]
fn a_run_that_takes_too_long_is_cancelled_also_when_switched_off() {
    let mut policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    policy.spec.time_limit_ms = Some(HOUR_MS);
    let start = ms("2026-01-01T00:30:00Z");
    let running = |now_ms| Situation {
        running_since_ms: Some(start),
        ..at(now_ms)
    };
    let table = Timetable::new(&policy, start);
    let is_cancelled = |actions: &[Action]| {
        actions
            .iter()
            .any(|action| matches!(action, Action::Cancel { .. }))
    };
    assert!(!is_cancelled(
        &step(&policy, &table, running(start + HOUR_MS)).1
    ));
    assert!(is_cancelled(
        &step(&policy, &table, running(start + HOUR_MS + 1)).1
    ));
    policy.spec.enabled = false;
    assert!(is_cancelled(
        &step(&policy, &table, running(start + HOUR_MS + 1)).1
    ));
}

#[test]
fn retention_runs_every_hour_or_at_its_own_times() {
    let mut policy = policy(cron("0 0 * * *", "UTC"));
    let (from, until) = (ms("2026-01-01T00:30:00Z"), ms("2026-01-03T00:30:00Z"));
    let rounds = |policy: &Policy| {
        let done = live(policy, from, until);
        done.iter()
            .filter(|(_, action)| *action == Action::Retain)
            .count()
    };
    assert_eq!(rounds(&policy), 0, "it deletes nothing");
    policy.spec.retention = Retention {
        max_count: Some(1),
        ..Retention::default()
    };
    assert_eq!(rounds(&policy), 47);
    policy.spec.retention_schedule = Some(cron("0 30 1 * * ?", "UTC"));
    assert_eq!(rounds(&policy), 2);
}

#[test]
fn everything_is_verified_once_a_month() {
    let mut policy = policy(cron("0 0 * * *", "UTC"));
    policy.spec.verification = VerificationPlan {
        sample_after_run: None,
        full: Some(schedule(
            ScheduleKind::Monthly {
                day: 1,
                hour: 4,
                minute: 0,
            },
            "Europe/Berlin",
        )),
    };
    let done = live(
        &policy,
        ms("2026-01-15T00:00:00Z"),
        ms("2027-01-15T00:00:00Z"),
    );
    let full = done
        .iter()
        .filter(|(_, action)| matches!(action, Action::VerifyAll(_)));
    assert_eq!(full.count(), 12);
}

#[test]
fn a_clock_that_was_far_ahead_does_not_stop_a_policy() {
    let policy = policy(schedule(ScheduleKind::Hourly { minute: 0 }, "UTC"));
    let wrong = Timetable::new(&policy, ms("2099-01-01T00:30:00Z"));
    let now = ms("2026-01-01T00:30:00Z");
    let (table, actions) = step(&policy, &wrong, at(now));
    assert_eq!(actions, []);
    assert_eq!(table.next_run_ms, Some(now + 30 * MINUTE_MS));
}

#[test]
fn a_schedule_that_has_ended_is_not_due_any_more() {
    let policy = policy(cron("0 0 0 1 1 ? 2026", "UTC"));
    let done = live(
        &policy,
        ms("2025-06-01T00:00:00Z"),
        ms("2035-01-01T00:00:00Z"),
    );
    assert_eq!(runs(&done), [ms("2026-01-01T00:00:00Z")]);
}

proptest! {
    /// Looked at whenever, with any breaks: every due time is run, missed or skipped exactly once.
    #[test]
    fn no_due_time_is_lost_or_counted_twice(pauses in proptest::collection::vec(1_i64..300, 1..60), queue: bool,
                                            running in proptest::collection::vec(proptest::bool::weighted(0.3), 60)) {
        let mut policy = policy(schedule(ScheduleKind::Hourly { minute: 20 }, "Europe/Berlin"));
        policy.spec.when_running = if queue { WhenRunning::Queue } else { WhenRunning::Skip };
        let start = ms("2026-03-28T00:00:00Z");
        let mut table = Timetable::new(&policy, start);
        let mut now_ms = start;
        let mut counted = 0_u32;
        let mut last = start;
        for (pause, running) in pauses.into_iter().zip(running) {
            now_ms += pause * MINUTE_MS;
            let situation = Situation { running_since_ms: running.then_some(start), ..at(now_ms) };
            let (after, actions) = step(&policy, &table, situation);
            table = after;
            for action in actions {
                if let Action::Run(due) | Action::Skip { due, .. } = action {
                    prop_assert!(due.scheduled_ms > last && due.scheduled_ms <= now_ms);
                    last = due.scheduled_ms;
                    counted += 1 + due.missed;
                }
            }
        }
        counted += table.queued.map_or(0, |due| 1 + due.missed);
        let mut due = 0;
        let mut at_ms = start;
        while let Some(next) = policy.spec.schedule.as_ref().unwrap().next_after(at_ms).filter(|next| *next <= now_ms) {
            at_ms = next;
            due += 1;
        }
        prop_assert_eq!(counted, due);
    }
}
