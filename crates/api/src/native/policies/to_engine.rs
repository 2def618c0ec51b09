//! From what goes over the wire to the engine's terms.

use http::StatusCode;
use snapkeep_engine as engine;
use snapkeep_engine::{DayOfWeek, ScheduleKind};

use super::durations;
use super::types::{PutPolicy, Retention, Schedule, Verification, WhenRunning};
use crate::native::problem::{Answer, Refusal};

/// The names of the days, from Monday on.
const DAYS: [(&str, DayOfWeek); 7] = [
    ("mon", DayOfWeek::Mon),
    ("tue", DayOfWeek::Tue),
    ("wed", DayOfWeek::Wed),
    ("thu", DayOfWeek::Thu),
    ("fri", DayOfWeek::Fri),
    ("sat", DayOfWeek::Sat),
    ("sun", DayOfWeek::Sun),
];

/// The policy that is asked for under this name.
pub fn spec(name: &str, wanted: PutPolicy) -> Answer<engine::PolicySpec> {
    let expression = wanted
        .name
        .unwrap_or_else(|| format!("<{}-{{now/d}}>", name.to_lowercase()));
    let template = engine::NameTemplate::DateMath { expression };
    let mut spec = engine::PolicySpec::new(wanted.repository, template);
    spec.enabled = wanted.enabled;
    spec.selection = engine::Selection {
        indices: wanted.indices.unwrap_or_else(|| vec!["*".to_owned()]),
        collections: wanted.collections,
        ignore_unavailable: wanted.ignore_unavailable,
        expand_closed: false,
        include_global_state: wanted.include_global_state,
        partial: wanted.partial,
        ..engine::Selection::default()
    };
    spec.schedule = optional_schedule("schedule", wanted.schedule.as_ref())?;
    spec.metadata = wanted.metadata;
    spec.retention_schedule =
        optional_schedule("retention.schedule", wanted.retention.schedule.as_ref())?;
    spec.retention = retention(&wanted.retention)?;
    spec.lock_ms = durations::optional("lock", wanted.lock.as_deref())?;
    spec.verification = verification(&wanted.verification)?;
    spec.when_running = match wanted.when_running {
        WhenRunning::Skip => engine::WhenRunning::Skip,
        WhenRunning::Queue => engine::WhenRunning::Queue,
        WhenRunning::SkipWhenBusy => engine::WhenRunning::SkipWhenBusy,
    };
    spec.time_limit_ms = durations::optional("time_limit", wanted.time_limit.as_deref())?;
    Ok(spec)
}

fn retention(wanted: &Retention) -> Answer<engine::Retention> {
    Ok(engine::Retention {
        max_age_ms: durations::optional("retention.max_age", wanted.max_age.as_deref())?,
        min_count: wanted.min_count,
        max_count: wanted.max_count,
        gfs: wanted.keep.map(|keep| engine::Gfs {
            hourly: keep.hourly,
            daily: keep.daily,
            weekly: keep.weekly,
            monthly: keep.monthly,
            yearly: keep.yearly,
        }),
        ..engine::Retention::default()
    })
}

fn verification(wanted: &Verification) -> Answer<engine::VerificationPlan> {
    Ok(engine::VerificationPlan {
        sample_after_run: wanted.sample_after_run,
        full: optional_schedule("verification.full", wanted.full.as_ref())?,
    })
}

fn optional_schedule(field: &str, wanted: Option<&Schedule>) -> Answer<Option<engine::Schedule>> {
    wanted.map(|wanted| schedule(field, wanted)).transpose()
}

/// Reads a schedule; `field` is where it stands.
pub fn schedule(field: &str, wanted: &Schedule) -> Answer<engine::Schedule> {
    let wrong = |message: String| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_schedule", message).hint(
            r#"write one of {"cron": "0 30 1 * * ?"}, {"every": "6h"}, {"hourly": 5}, {"daily": "01:30"}, {"weekly": {"days": ["sun"], "at": "01:30"}}, {"monthly": {"day": 1, "at": "01:30"}}; beside it "time_zone""#,
        )
    };
    let Schedule {
        cron,
        every,
        hourly,
        daily,
        weekly,
        monthly,
        time_zone,
    } = wanted;
    let given = [
        cron.is_some(),
        every.is_some(),
        hourly.is_some(),
        daily.is_some(),
        weekly.is_some(),
        monthly.is_some(),
    ];
    let kinds = given.iter().filter(|is_given| **is_given).count();
    if kinds != 1 {
        return Err(wrong(format!(
            "{field} must have exactly one kind of schedule, not {kinds}"
        )));
    }
    let time = |text: &str| {
        clock_time(text)
            .ok_or_else(|| wrong(format!("{field}: [{text}] is no time of day (HH:MM)")))
    };
    let mut kind = ScheduleKind::Hourly {
        minute: hourly.unwrap_or_default(),
    };
    if let Some(expression) = cron {
        kind = ScheduleKind::Cron {
            expression: expression.clone(),
        };
    }
    if let Some(every) = every {
        kind = ScheduleKind::Every {
            interval_ms: durations::millis(&format!("{field}.every"), every)?,
            anchor_ms: None,
        };
    }
    if let Some(at) = daily {
        let (hour, minute) = time(at)?;
        kind = ScheduleKind::Daily { hour, minute };
    }
    if let Some(weekly) = weekly {
        let (hour, minute) = time(&weekly.at)?;
        let days: Result<Vec<DayOfWeek>, Refusal> = weekly
            .days
            .iter()
            .map(|day| {
                day_of_week(day)
                    .ok_or_else(|| wrong(format!("{field}: [{day}] is no day of the week")))
            })
            .collect();
        kind = ScheduleKind::Weekly {
            days: days?,
            hour,
            minute,
        };
    }
    if let Some(monthly) = monthly {
        let (hour, minute) = time(&monthly.at)?;
        kind = ScheduleKind::Monthly {
            day: monthly.day,
            hour,
            minute,
        };
    }
    let schedule = engine::Schedule {
        kind,
        time_zone: time_zone.clone().unwrap_or_else(|| "UTC".to_owned()),
    };
    schedule
        .validate()
        .map_err(|error| wrong(format!("{field}: {error}")))?;
    Ok(schedule)
}

/// `HH:MM`.
fn clock_time(text: &str) -> Option<(u8, u8)> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, limit: u8| {
        let is_short = matches!(text.len(), 1 | 2);
        let value: u8 = text.parse().ok().filter(|_| is_short)?;
        (value < limit).then_some(value)
    };
    Some((number(hour, 24)?, number(minute, 60)?))
}

/// `sun`, `Sunday`.
fn day_of_week(text: &str) -> Option<DayOfWeek> {
    const FULL: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let lower = text.to_lowercase();
    let known = DAYS.iter().zip(FULL);
    known
        .filter(|((short, _), full)| lower == *short || lower == *full)
        .map(|((_, day), _)| *day)
        .next()
}

/// `sun`.
pub fn day_name(day: DayOfWeek) -> &'static str {
    DAYS.iter()
        .find(|(_, known)| *known == day)
        .map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::policies::from_engine;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Answer<engine::Schedule> {
        schedule("schedule", &serde_json::from_value(value).unwrap())
    }

    #[test]
    fn every_kind_of_schedule_comes_back_as_it_was_given() {
        for value in [
            json!({"cron": "0 30 1 * * ?", "time_zone": "Europe/Berlin"}),
            json!({"every": "90m", "time_zone": "UTC"}),
            json!({"hourly": 5, "time_zone": "UTC"}),
            json!({"daily": "01:30", "time_zone": "+08:00"}),
            json!({"weekly": {"days": ["mon", "sun"], "at": "23:05"}, "time_zone": "UTC"}),
            json!({"monthly": {"day": 31, "at": "00:00"}, "time_zone": "UTC"}),
        ] {
            let read = read(value.clone()).unwrap();
            let back = serde_json::to_value(from_engine::schedule(&read)).unwrap();
            assert_eq!(back, value);
        }
    }

    #[test]
    fn schedules_that_mean_nothing_are_refused() {
        for value in [
            json!({}),
            json!({"every": "1h", "daily": "01:30"}),
            json!({"every": "soon"}),
            json!({"daily": "25:00"}),
            json!({"daily": "1"}),
            json!({"weekly": {"days": ["moonday"], "at": "01:00"}}),
            json!({"weekly": {"days": [], "at": "01:00"}}),
            json!({"hourly": 60}),
            json!({"cron": "not cron"}),
            json!({"daily": "01:30", "time_zone": "Nowhere"}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
        assert!(read(json!({"weekly": {"days": ["Sunday"], "at": "1:05"}})).is_ok());
    }

    #[test]
    fn little_needs_to_be_said() {
        let wanted = serde_json::from_value(json!({"repository": "r"})).unwrap();
        let spec = spec("Nightly", wanted).unwrap();
        assert_eq!(spec.selection.indices, ["*"]);
        assert!(spec.selection.collections.is_empty() && !spec.selection.expand_closed);
        assert!(spec.enabled && spec.schedule.is_none());
        let expected = engine::NameTemplate::DateMath {
            expression: "<nightly-{now/d}>".into(),
        };
        assert_eq!(spec.name_template, expected);
    }
}
