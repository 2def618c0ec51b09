use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn snapshot(start_ms: i64, state: SnapshotState) -> Candidate {
    Candidate {
        name: format!("s-{start_ms}"),
        uuid: format!("u-{start_ms}"),
        state,
        start_ms,
        locked_until_ms: None,
    }
}

/// One a day at noon (UTC), the newest on the day of `now`.
fn daily(count: i64, now_ms: i64) -> Vec<Candidate> {
    (0..count)
        .map(|age| snapshot(now_ms - age * DAY_MS, SnapshotState::Success))
        .collect()
}

fn kept(verdicts: &[RetentionVerdict]) -> Vec<i64> {
    let kept = verdicts.iter().filter(|verdict| !verdict.delete);
    kept.map(|verdict| verdict.start_ms).collect()
}

fn ages_kept(rules: &Retention, candidates: Vec<Candidate>, now_ms: i64) -> Vec<i64> {
    let verdicts = judge(rules, &TimeZone::UTC, candidates, now_ms);
    let mut ages: Vec<i64> = kept(&verdicts)
        .into_iter()
        .map(|start| (now_ms - start) / DAY_MS)
        .collect();
    ages.sort_unstable();
    ages
}

#[test]
fn without_rules_everything_stays() {
    let now = ms("2026-11-21T12:00:00Z");
    let mut candidates = daily(400, now);
    candidates.push(snapshot(0, SnapshotState::Failed));
    let verdicts = judge(&Retention::default(), &TimeZone::UTC, candidates, now);
    assert!(verdicts.iter().all(|verdict| !verdict.delete));
}

#[test]
fn age_removes_and_the_minimum_keeps() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_age_ms: Some(3 * DAY_MS),
        ..Retention::default()
    };
    assert_eq!(ages_kept(&rules, daily(10, now), now), [0, 1, 2, 3]);
    let rules = Retention {
        min_count: Some(6),
        ..rules
    };
    assert_eq!(ages_kept(&rules, daily(10, now), now), [0, 1, 2, 3, 4, 5]);
    // All of them old.
    let later = now + 100 * DAY_MS;
    let verdicts = judge(&rules, &TimeZone::UTC, daily(10, now), later);
    assert_eq!(kept(&verdicts).len(), 6);
}

#[test]
fn count_removes_the_oldest() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_count: Some(3),
        ..Retention::default()
    };
    assert_eq!(ages_kept(&rules, daily(10, now), now), [0, 1, 2]);
}

#[test]
fn partial_ones_do_not_push_out_complete_ones() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_count: Some(2),
        ..Retention::default()
    };
    let mut candidates = daily(3, now - 10 * DAY_MS);
    for age in 0..5 {
        candidates.push(snapshot(now - age * DAY_MS, SnapshotState::Partial));
    }
    assert_eq!(ages_kept(&rules, candidates, now), [0, 1, 10, 11]);
}

#[test]
fn the_last_good_one_stays_however_old() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_age_ms: Some(DAY_MS),
        ..Retention::default()
    };
    let old = now - 4000 * DAY_MS;
    let candidates = vec![
        snapshot(old, SnapshotState::Success),
        snapshot(old + 1, SnapshotState::Partial),
        snapshot(old + 2, SnapshotState::Failed),
    ];
    let verdicts = judge(&rules, &TimeZone::UTC, candidates, now);
    assert_eq!(kept(&verdicts), [old]);
    let partial_only = vec![
        snapshot(old, SnapshotState::Partial),
        snapshot(old + 1, SnapshotState::Failed),
    ];
    let verdicts = judge(&rules, &TimeZone::UTC, partial_only, now);
    assert_eq!(kept(&verdicts), [old]);
}

#[test]
fn locked_ones_stay_until_their_lock_ends() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_count: Some(1),
        ..Retention::default()
    };
    let mut candidates = daily(3, now);
    candidates[2].locked_until_ms = Some(now + 1);
    assert_eq!(ages_kept(&rules, candidates.clone(), now), [0, 2]);
    let verdicts = judge(&rules, &TimeZone::UTC, candidates, now + 1);
    assert_eq!(kept(&verdicts), [now]);
}

#[test]
fn failed_ones_go_by_age_and_beyond_ten() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_count: Some(5),
        ..Retention::default()
    };
    let mut candidates: Vec<Candidate> = (0..20)
        .map(|age| snapshot(now - age * HOUR_MS, SnapshotState::Failed))
        .collect();
    candidates.push(snapshot(now - 40 * DAY_MS, SnapshotState::Success));
    candidates.push(snapshot(now - 41 * DAY_MS, SnapshotState::Failed));
    let verdicts = judge(&rules, &TimeZone::UTC, candidates, now);
    let kept = kept(&verdicts);
    assert_eq!(kept.len(), 11);
    assert_eq!(kept[0], now - 40 * DAY_MS);
    assert_eq!(kept[1], now - 9 * HOUR_MS);
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        max_age_ms: Some(DAY_MS),
        ..Retention::default()
    };
    let candidates = vec![snapshot(now - 9 * DAY_MS, SnapshotState::Incompatible)];
    assert_eq!(
        judge(&rules, &TimeZone::UTC, candidates, now)[0].reason,
        "this version cannot read it"
    );
}

#[test]
fn grandfathers_fathers_and_sons() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        gfs: Some(Gfs {
            hourly: 0,
            daily: 7,
            weekly: 4,
            monthly: 12,
            yearly: 3,
        }),
        ..Retention::default()
    };
    let days: Vec<String> = kept(&judge(&rules, &TimeZone::UTC, daily(1500, now), now))
        .into_iter()
        .map(|start| {
            Timestamp::from_millisecond(start)
                .unwrap()
                .strftime("%Y-%m-%d")
                .to_string()
        })
        .collect();
    assert_eq!(
        days,
        [
            // The last of each year and month, the last day of each week (Sundays), and the last seven days.
            "2024-12-31",
            "2025-12-31",
            "2026-01-31",
            "2026-02-28",
            "2026-03-31",
            "2026-04-30",
            "2026-05-31",
            "2026-06-30",
            "2026-07-31",
            "2026-08-31",
            "2026-09-30",
            "2026-10-31",
            "2026-11-01",
            "2026-11-08",
            "2026-11-15",
            "2026-11-16",
            "2026-11-17",
            "2026-11-18",
            "2026-11-19",
            "2026-11-20",
            "2026-11-21",
        ]
    );
}

#[test]
fn days_begin_at_midnight_of_the_zone() {
    let rules = Retention {
        gfs: Some(Gfs {
            daily: 2,
            ..Gfs::default()
        }),
        ..Retention::default()
    };
    // 15:59 and 16:01 UTC are two days in Shanghai, 23:00 and 01:00 UTC are one.
    let starts = [
        "2026-11-19T15:59:00Z",
        "2026-11-19T16:01:00Z",
        "2026-11-20T12:00:00Z",
    ];
    let candidates: Vec<Candidate> = starts
        .iter()
        .map(|start| snapshot(ms(start), SnapshotState::Success))
        .collect();
    let now = ms("2026-11-20T13:00:00Z");
    let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
    assert_eq!(
        kept(&judge(&rules, &shanghai, candidates.clone(), now)),
        [ms(starts[0]), ms(starts[2])]
    );
    assert_eq!(
        kept(&judge(&rules, &TimeZone::UTC, candidates, now)),
        [ms(starts[1]), ms(starts[2])]
    );
}

#[test]
fn the_repeated_hour_is_two_hours() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let rules = Retention {
        gfs: Some(Gfs {
            hourly: 24,
            ..Gfs::default()
        }),
        ..Retention::default()
    };
    let start = ms("2026-10-24T23:00:00Z");
    let candidates: Vec<Candidate> = (0..6)
        .map(|hour| snapshot(start + hour * HOUR_MS, SnapshotState::Success))
        .collect();
    let verdicts = judge(&rules, &berlin, candidates, start + 6 * HOUR_MS);
    assert_eq!(kept(&verdicts).len(), 6);
}

#[test]
fn a_period_prefers_a_complete_snapshot() {
    let now = ms("2026-11-21T12:00:00Z");
    let rules = Retention {
        gfs: Some(Gfs {
            daily: 2,
            ..Gfs::default()
        }),
        ..Retention::default()
    };
    let candidates = vec![
        snapshot(now - DAY_MS - 2 * HOUR_MS, SnapshotState::Success),
        snapshot(now - DAY_MS - HOUR_MS, SnapshotState::Partial),
        snapshot(now - HOUR_MS, SnapshotState::Success),
        snapshot(now, SnapshotState::Failed),
    ];
    let verdicts = judge(&rules, &TimeZone::UTC, candidates, now);
    assert_eq!(
        kept(&verdicts),
        [now - DAY_MS - 2 * HOUR_MS, now - HOUR_MS, now]
    );
}

fn state() -> impl Strategy<Value = SnapshotState> {
    prop_oneof![
        3 => Just(SnapshotState::Success),
        1 => Just(SnapshotState::Partial),
        1 => Just(SnapshotState::Failed),
    ]
}

prop_compose! {
    fn candidates()(all in proptest::collection::btree_map(0_i64..900 * 24, (state(), proptest::option::weighted(0.1, 0_i64..2000 * 24)), 0..80)) -> Vec<Candidate> {
        all.into_iter()
            .map(|(hour, (state, lock))| Candidate {
                locked_until_ms: lock.map(|hour| hour * HOUR_MS),
                ..snapshot(hour * HOUR_MS, state)
            })
            .collect()
    }
}

prop_compose! {
    fn rules()(age in proptest::option::of(1_i64..500), min in proptest::option::of(1_u32..10), max in proptest::option::of(10_u32..20),
               gfs in proptest::option::of((0_u32..30, 0_u32..10, 0_u32..6, 0_u32..14, 0_u32..3))) -> Retention {
        Retention {
            max_age_ms: age.map(|days| days * DAY_MS),
            min_count: min,
            max_count: max,
            gfs: gfs.map(|(hourly, daily, weekly, monthly, yearly)| Gfs { hourly, daily, weekly, monthly, yearly }),
            ..Retention::default()
        }
    }
}

proptest! {
    #[test]
    fn what_must_stay_stays(rules in rules(), candidates in candidates(), now_hour in 900_i64 * 24..2000 * 24) {
        let now = now_hour * HOUR_MS;
        let zone = TimeZone::get("America/New_York").unwrap();
        let verdicts = judge(&rules, &zone, candidates.clone(), now);
        prop_assert_eq!(verdicts.len(), candidates.len());
        let stays = |candidate: &Candidate| {
            verdicts.iter().any(|verdict| verdict.uuid == candidate.uuid && !verdict.delete)
        };
        let complete: Vec<&Candidate> = candidates.iter().rev().filter(|known| known.is_complete()).collect();
        if let Some(last) = complete.first() {
            prop_assert!(stays(last), "the last good one went");
        }
        for locked in candidates.iter().filter(|known| known.locked_until_ms.is_some_and(|until| until > now)) {
            prop_assert!(stays(locked), "a locked one went");
        }
        if rules.max_count.is_none_or(|most| most >= rules.min_count.unwrap_or(0)) {
            for minimum in complete.iter().take(rules.min_count.unwrap_or(0) as usize) {
                prop_assert!(stays(minimum), "one of the minimum went");
            }
        }
        // Nothing young goes because of its age.
        for verdict in verdicts.iter().filter(|verdict| verdict.delete && verdict.reason.starts_with("it is older")) {
            prop_assert!(rules.max_age_ms.is_some_and(|limit| now - verdict.start_ms > limit));
        }
    }

    #[test]
    fn judging_again_what_was_kept_changes_nothing(rules in rules(), candidates in candidates(), now_hour in 900_i64 * 24..2000 * 24) {
        let now = now_hour * HOUR_MS;
        let first = judge(&rules, &TimeZone::UTC, candidates.clone(), now);
        let left: Vec<Candidate> = candidates
            .into_iter()
            .filter(|known| first.iter().any(|verdict| verdict.uuid == known.uuid && !verdict.delete))
            .collect();
        let second = judge(&rules, &TimeZone::UTC, left, now);
        prop_assert!(second.iter().all(|verdict| !verdict.delete));
    }

    #[test]
    fn every_day_that_has_one_is_kept_for_as_many_days_as_asked(candidates in candidates(), days in 1_u32..40) {
        let rules = Retention { gfs: Some(Gfs { daily: days, ..Gfs::default() }), ..Retention::default() };
        let now = 900 * DAY_MS;
        let verdicts = judge(&rules, &TimeZone::UTC, candidates.clone(), now);
        let day = |start_ms: i64| start_ms.div_euclid(DAY_MS);
        let mut wanted: Vec<i64> = candidates.iter().filter(|known| known.is_good()).map(|known| day(known.start_ms)).collect();
        wanted.dedup();
        let wanted: Vec<i64> = wanted.into_iter().rev().take(days as usize).collect();
        for wanted in wanted {
            prop_assert!(verdicts.iter().any(|verdict| !verdict.delete && day(verdict.start_ms) == wanted && verdict.state != SnapshotState::Failed));
        }
    }
}
