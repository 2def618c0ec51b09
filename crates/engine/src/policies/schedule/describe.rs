//! Schedules in words.

use super::cron;
use super::times::Times;
use crate::model::{DayOfWeek, Schedule, ScheduleKind};

/// `every day at 02:30 (Europe/Berlin)`.
pub(super) fn in_words(schedule: &Schedule) -> String {
    let zone = &schedule.time_zone;
    match &schedule.kind {
        ScheduleKind::Cron { expression } => format!("{} ({zone})", cron_in_words(expression)),
        ScheduleKind::Every { interval_ms, .. } => format!("every {}", duration(*interval_ms)),
        ScheduleKind::Hourly { minute } => {
            format!("every hour at minute {minute} ({zone})")
        }
        ScheduleKind::Daily { hour, minute } => {
            format!("every day at {hour:02}:{minute:02} ({zone})")
        }
        ScheduleKind::Weekly { days, hour, minute } => {
            let days: Vec<&str> = days.iter().map(|day| day_in_words(*day)).collect();
            format!(
                "every {} at {hour:02}:{minute:02} ({zone})",
                days.join(", ")
            )
        }
        ScheduleKind::Monthly { day, hour, minute } => {
            let shorter = if *day > 28 {
                ", or on the last day of a shorter month,"
            } else {
                ""
            };
            format!("every month on day {day}{shorter} at {hour:02}:{minute:02} ({zone})")
        }
    }
}

fn cron_in_words(expression: &str) -> String {
    match cron::parse(expression) {
        Ok(Times::Cron { cron, .. }) => {
            let words = cron.describe();
            let words = words.trim_end_matches('.');
            let mut letters = words.chars();
            let first = letters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(letters).collect()
        }
        _ => expression.to_owned(),
    }
}

fn day_in_words(day: DayOfWeek) -> &'static str {
    match day {
        DayOfWeek::Mon => "Monday",
        DayOfWeek::Tue => "Tuesday",
        DayOfWeek::Wed => "Wednesday",
        DayOfWeek::Thu => "Thursday",
        DayOfWeek::Fri => "Friday",
        DayOfWeek::Sat => "Saturday",
        DayOfWeek::Sun => "Sunday",
    }
}

/// `90 minutes`, `1 day`: in the largest unit that fits without rest.
pub(crate) fn duration(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1000, "second"),
    ];
    for (size, unit) in UNITS {
        if ms >= size && ms % size == 0 {
            let count = ms / size;
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural}");
        }
    }
    format!("{ms} milliseconds")
}
