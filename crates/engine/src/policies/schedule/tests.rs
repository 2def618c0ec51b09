use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::model::DayOfWeek;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Zones with summer time, without, with a change of half an hour, and in the south.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "+05:30",
];

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule {
        kind: ScheduleKind::Cron {
            expression: expression.to_owned(),
        },
        time_zone: zone.to_owned(),
    }
}

fn preset(kind: ScheduleKind, zone: &str) -> Schedule {
    Schedule {
        kind,
        time_zone: zone.to_owned(),
    }
}

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The next `count` due times after a moment, in the schedule's zone.
fn walls(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let zone = zone_of(&schedule.time_zone).unwrap();
    let mut at = ms(after);
    (0..count)
        .map(|_| {
            at = schedule.next_after(at).unwrap();
            let moment = Timestamp::from_millisecond(at).unwrap();
            moment
                .to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S%:z")
                .to_string()
        })
        .collect()
}

fn reason(expression: &str) -> String {
    match cron(expression, "UTC").validate() {
        Ok(()) => panic!("[{expression}] is understood"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn five_fields_begin_with_the_minute_and_sunday_is_zero_or_seven() {
    for sunday in ["30 2 * * 0", "30 2 * * 7", "30 2 * * SUN"] {
        assert_eq!(
            walls(&cron(sunday, "UTC"), "2026-11-21T12:00:00Z", 2),
            ["2026-11-22 02:30:00+00:00", "2026-11-29 02:30:00+00:00"],
            "{sunday}"
        );
    }
}

#[test]
fn six_and_seven_fields_begin_with_the_second_and_sunday_is_one() {
    for sunday in [
        "15 30 2 ? * 1",
        "15 30 2 ? * SUN",
        "15 30 2 ? * 1 2026-2027",
    ] {
        assert_eq!(
            walls(&cron(sunday, "UTC"), "2026-11-21T12:00:00Z", 1),
            ["2026-11-22 02:30:15+00:00"],
            "{sunday}"
        );
    }
    assert_eq!(
        cron("0 0 0 1 1 ? 2020", "UTC").next_after(ms("2026-01-01T00:00:00Z")),
        None
    );
}

#[test]
fn last_days_nearest_workdays_and_nth_days_are_known() {
    let next = |expression| walls(&cron(expression, "UTC"), "2026-02-10T00:00:00Z", 1).remove(0);
    assert_eq!(next("0 0 12 L * ?"), "2026-02-28 12:00:00+00:00");
    // The 28th is a Saturday.
    assert_eq!(next("0 0 12 LW * ?"), "2026-02-27 12:00:00+00:00");
    // The 15th is a Sunday.
    assert_eq!(next("0 0 12 15W * ?"), "2026-02-16 12:00:00+00:00");
    assert_eq!(next("0 0 12 ? * 6#3"), "2026-02-20 12:00:00+00:00");
    assert_eq!(next("0 0 12 ? * 6L"), "2026-02-27 12:00:00+00:00");
    assert_eq!(next("0 0 12 ? * L"), "2026-02-14 12:00:00+00:00");
}

#[test]
fn a_range_may_run_over_the_end() {
    let late = walls(&cron("0 22-1 * * *", "UTC"), "2026-01-01T00:30:00Z", 4);
    assert_eq!(
        late.iter().map(|wall| &wall[11..13]).collect::<Vec<_>>(),
        ["01", "22", "23", "00"]
    );
    let days = walls(&cron("0 0 0 ? * FRI-MON", "UTC"), "2026-11-16T12:00:00Z", 4);
    assert_eq!(
        days.iter().map(|wall| &wall[8..10]).collect::<Vec<_>>(),
        ["20", "21", "22", "23"]
    );
}

#[test]
fn errors_name_the_field() {
    for (expression, part) in [
        ("0 0 25 * * ?", "hour [25]: [25] is outside of 0 to 23"),
        ("61 * * * *", "minute [61]"),
        ("0 0 0 ? 13 MON", "month [13]"),
        ("0 0 0 ? * 8", "day of week [8]"),
        (
            "* * * * FOO",
            "day of week [FOO]: [FOO] is not a number or a day such as MON",
        ),
        ("0 0 * * ? *", "month"),
        ("? * * * *", "minute [?]"),
        ("*/0 * * * *", "the step [0]"),
        ("* * * *", "it has 4 fields"),
        ("", "it has 0 fields"),
        ("0 0 0 ? * ?", "cannot both be [?]"),
        ("0 0 0 1 * MON", "give [?] for one"),
        ("0 0 0 L-3 * ?", "day of month [L-3]"),
        ("1,, * * * *", "a comma"),
        ("a b c d e", "minute [a]"),
    ] {
        let reason = reason(expression);
        assert!(reason.contains(part), "{expression}: {reason}");
        assert!(reason.contains(&format!("[{expression}]")), "{reason}");
    }
    let error = cron("0 0 30 2 *", "UTC").validate().unwrap_err();
    assert!(
        matches!(
            error,
            ScheduleError::Cron { .. } | ScheduleError::Never { .. }
        ),
        "{error}"
    );
    let error = cron("0 0 * * *", "Europe/Berln").validate().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown time zone [Europe/Berln]")
    );
}

#[test]
fn a_time_left_out_in_spring_is_due_once_when_the_clock_goes_on() {
    // 02:00 becomes 03:00 on 29 March 2026.
    assert_eq!(
        walls(
            &cron("30 2 * * *", "Europe/Berlin"),
            "2026-03-28T00:00:00Z",
            3
        ),
        [
            "2026-03-28 02:30:00+01:00",
            "2026-03-29 03:00:00+02:00",
            "2026-03-30 02:30:00+02:00"
        ]
    );
    // Half an hour is left out: 02:00 becomes 02:30 on 4 October 2026.
    assert_eq!(
        walls(
            &cron("15 2 * * *", "Australia/Lord_Howe"),
            "2026-10-03T00:00:00Z",
            2
        ),
        ["2026-10-04 02:30:00+11:00", "2026-10-05 02:15:00+11:00"]
    );
    // Two times left out and the first after them are one.
    assert_eq!(
        walls(
            &cron("0,30 2,3 * * *", "America/New_York"),
            "2026-03-08T06:59:59Z",
            2
        ),
        ["2026-03-08 03:00:00-04:00", "2026-03-08 03:30:00-04:00"]
    );
}

#[test]
fn a_time_repeated_in_autumn_is_due_the_first_time_only() {
    assert_eq!(
        walls(
            &cron("30 2 * * *", "Europe/Berlin"),
            "2026-10-24T12:00:00Z",
            2
        ),
        ["2026-10-25 02:30:00+02:00", "2026-10-26 02:30:00+01:00"]
    );
    // Asked in the middle of the repetition.
    assert_eq!(
        walls(
            &cron("30 1 * * *", "America/New_York"),
            "2026-11-01T06:10:00Z",
            1
        ),
        ["2026-11-02 01:30:00-05:00"]
    );
    assert_eq!(
        walls(
            &cron("45 1 * * *", "Australia/Lord_Howe"),
            "2026-04-04T00:00:00Z",
            2
        ),
        ["2026-04-05 01:45:00+11:00", "2026-04-06 01:45:00+10:30"]
    );
}

#[test]
fn a_schedule_of_every_hour_goes_on_through_the_repeated_one() {
    let hourly = [
        cron("0 * * * *", "Europe/Berlin"),
        preset(ScheduleKind::Hourly { minute: 0 }, "Europe/Berlin"),
    ];
    for schedule in hourly {
        assert_eq!(
            walls(&schedule, "2026-10-24T23:30:00Z", 4),
            [
                "2026-10-25 02:00:00+02:00",
                "2026-10-25 02:00:00+01:00",
                "2026-10-25 03:00:00+01:00",
                "2026-10-25 04:00:00+01:00"
            ]
        );
        let mut at = ms("2026-01-01T00:00:00Z");
        let mut runs = 0;
        while let Some(next) = schedule
            .next_after(at)
            .filter(|next| *next < ms("2027-01-01T00:00:00Z"))
        {
            at = next;
            runs += 1;
        }
        assert_eq!(runs, 365 * 24 - 1);
    }
}

#[test]
fn presets_keep_the_calendar() {
    let monthly = ScheduleKind::Monthly {
        day: 31,
        hour: 4,
        minute: 0,
    };
    let days: Vec<String> = walls(&preset(monthly, "Asia/Shanghai"), "2027-12-31T12:00:00Z", 4);
    assert_eq!(
        days.iter().map(|wall| &wall[5..10]).collect::<Vec<_>>(),
        ["01-31", "02-29", "03-31", "04-30"]
    );
    let weekly = ScheduleKind::Weekly {
        days: vec![DayOfWeek::Sun, DayOfWeek::Wed],
        hour: 23,
        minute: 5,
    };
    assert_eq!(
        walls(&preset(weekly, "GMT+08:00"), "2026-11-21T00:00:00Z", 2),
        ["2026-11-22 23:05:00+08:00", "2026-11-25 23:05:00+08:00"]
    );
    let none = ScheduleKind::Weekly {
        days: Vec::new(),
        hour: 0,
        minute: 0,
    };
    assert_eq!(preset(none, "UTC").validate(), Err(ScheduleError::NoDays));
    let out = preset(
        ScheduleKind::Daily {
            hour: 24,
            minute: 0,
        },
        "UTC",
    );
    assert_eq!(
        out.validate().unwrap_err().to_string(),
        "hour is [24] but must be 0 to 23"
    );
}

#[test]
fn intervals_count_from_their_anchor() {
    let every = |anchor_ms| {
        preset(
            ScheduleKind::Every {
                interval_ms: 1000,
                anchor_ms,
            },
            "UTC",
        )
    };
    assert_eq!(every(Some(500)).next_after(0), Some(1500));
    assert_eq!(every(Some(500)).next_after(1500), Some(2500));
    assert_eq!(every(Some(500)).next_after(2400), Some(2500));
    assert_eq!(every(Some(5000)).next_after(-9000), Some(6000));
    assert_eq!(every(None).min_interval(), Some(1000));
    let short = preset(
        ScheduleKind::Every {
            interval_ms: 999,
            anchor_ms: None,
        },
        "UTC",
    );
    assert!(short.validate().is_err());
}

#[test]
fn the_shortest_interval_is_found() {
    for (expression, minutes) in [
        ("0 0/15 * * * ?", 15),
        ("0 * * * * ?", 1),
        ("0 30 1 * * ?", 24 * 60),
        ("0 0,50 * * * ?", 10),
        ("0 59 23 L * ?", 28 * 24 * 60),
        ("0 0 0 1 1 ?", 365 * 24 * 60),
        ("0 0 0,23 * * ?", 60),
    ] {
        assert_eq!(
            cron(expression, "Europe/Berlin").min_interval(),
            Some(minutes * MINUTE_MS),
            "{expression}"
        );
    }
    assert_eq!(cron("* * * * * *", "UTC").min_interval(), Some(1000));
    assert_eq!(cron("0 0 0 1 1 ? 2030", "UTC").min_interval(), None);
}

#[test]
fn schedules_are_told_in_words() {
    let daily = preset(
        ScheduleKind::Daily {
            hour: 2,
            minute: 30,
        },
        "Europe/Berlin",
    );
    assert_eq!(daily.describe(), "every day at 02:30 (Europe/Berlin)");
    let every = preset(
        ScheduleKind::Every {
            interval_ms: 90 * MINUTE_MS,
            anchor_ms: None,
        },
        "UTC",
    );
    assert_eq!(every.describe(), "every 90 minutes");
    assert_eq!(describe::duration(86_400_000), "1 day");
    let friday = cron("0 0 12 ? * 6", "UTC").describe();
    assert!(
        friday.contains("Friday") && friday.contains("12:00"),
        "{friday}"
    );
    assert_eq!(cron("nonsense", "UTC").describe(), "nonsense (UTC)");
}

/// Independent of croner and of the walk: minute by minute.
#[derive(Debug)]
struct Oracle {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    /// None = every day; 0 is Sunday.
    weekdays: Option<BTreeSet<i8>>,
}

impl Oracle {
    fn expression(&self) -> String {
        let list = |numbers: &BTreeSet<i8>| {
            let numbers: Vec<String> = numbers.iter().map(i8::to_string).collect();
            numbers.join(",")
        };
        let weekdays = self.weekdays.as_ref().map_or("*".to_owned(), list);
        format!(
            "{} {} * * {weekdays}",
            list(&self.minutes),
            list(&self.hours)
        )
    }

    fn matches(&self, wall: DateTime) -> bool {
        wall.second() == 0
            && self.minutes.contains(&wall.minute())
            && self.hours.contains(&wall.hour())
            && self
                .weekdays
                .as_ref()
                .is_none_or(|days| days.contains(&wall.weekday().to_sunday_zero_offset()))
    }

    /// All due moments in a span of whole minutes.
    fn due(&self, zone: &TimeZone, from_ms: i64, until_ms: i64) -> Vec<i64> {
        let mut due = Vec::new();
        let mut at_ms = from_ms;
        while at_ms < until_ms {
            let at = Timestamp::from_millisecond(at_ms).unwrap();
            let (wall, before) = (
                zone.to_datetime(at),
                zone.to_offset(at.checked_sub(SignedDuration::from_secs(1)).unwrap()),
            );
            let first_time = match zone.to_ambiguous_timestamp(wall).offset() {
                AmbiguousOffset::Fold { before, .. } => zone.to_offset(at) == before,
                _ => true,
            };
            let mut is_due = first_time && self.matches(wall);
            let mut left_out = before.to_datetime(at);
            while left_out < wall {
                is_due |= self.matches(left_out);
                left_out = left_out.checked_add(SignedDuration::from_mins(1)).unwrap();
            }
            if is_due {
                due.push(at_ms);
            }
            at_ms += MINUTE_MS;
        }
        due
    }
}

fn numbers(range: std::ops::Range<i8>) -> impl Strategy<Value = BTreeSet<i8>> {
    proptest::collection::btree_set(range, 1..4)
}

prop_compose! {
    fn oracle()(minutes in numbers(0..60), night in numbers(0..5), day in numbers(0..24),
                weekdays in proptest::option::of(numbers(0..7))) -> Oracle {
        // The hours in which clocks change are of most interest.
        Oracle { minutes, hours: night.into_iter().chain(day).collect(), weekdays }
    }
}

/// A change of the clocks of the zone between 2024 and 2034, or some day.
fn near_a_change(zone: &TimeZone, pick: usize) -> i64 {
    let start = "2024-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let end = "2035-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let mut changes = zone
        .following(start)
        .take_while(|change| change.timestamp() < end);
    let change = changes.nth(pick % 20);
    let fallback = start.as_millisecond() + i64::try_from(pick).unwrap() * 37 * DAY_MS;
    change.map_or(fallback, |change| change.timestamp().as_millisecond())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn due_times_are_those_of_the_oracle(oracle in oracle(), zone in 0..ZONES.len(), pick in 0_usize..100) {
        let zone_name = ZONES[zone];
        let zone = zone_of(zone_name).unwrap();
        let from_ms = near_a_change(&zone, pick) - DAY_MS;
        let until_ms = from_ms + 3 * DAY_MS;
        let schedule = cron(&oracle.expression(), zone_name);
        let mut computed = Vec::new();
        let mut at = from_ms - 1;
        while let Some(next) = schedule.next_after(at).filter(|next| *next < until_ms) {
            prop_assert!(next > at);
            computed.push(next);
            at = next;
        }
        prop_assert_eq!(computed, oracle.due(&zone, from_ms, until_ms), "{} in {}", oracle.expression(), zone_name);
    }

    #[test]
    fn asking_in_between_gives_the_same_answer(oracle in oracle(), zone in 0..ZONES.len(), pick in 0_usize..100,
                                               moments in proptest::collection::vec(-2 * DAY_MS..2 * DAY_MS, 1..20)) {
        let zone_name = ZONES[zone];
        let change = near_a_change(&zone_of(zone_name).unwrap(), pick);
        let schedule = cron(&oracle.expression(), zone_name);
        for moment in moments {
            let at = change + moment;
            let next = schedule.next_after(at).unwrap();
            prop_assert!(next > at);
            // Nothing is due in between.
            prop_assert_eq!(schedule.next_after((at + next) / 2).unwrap(), next);
            prop_assert_eq!(schedule.next_after(next - 1).unwrap(), next);
        }
    }

    #[test]
    fn whatever_is_written_is_understood_or_refused(expression in "[0-9*/,?LW#A-Z -]{0,24}") {
        let schedule = cron(&expression, "Europe/Berlin");
        if schedule.validate().is_ok() {
            let mut at = ms("2026-01-01T00:00:00Z");
            for _ in 0..5 {
                let Some(next) = schedule.next_after(at) else { break };
                prop_assert!(next > at);
                at = next;
            }
        }
        prop_assert!(!schedule.describe().is_empty());
    }
}
