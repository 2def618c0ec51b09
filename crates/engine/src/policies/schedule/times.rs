//! Times of the clock on the wall, in whole seconds, without zone.

use croner::Cron;
use jiff::civil::{Date, DateTime, time};

use super::cron;
use crate::model::{DayOfWeek, ScheduleError, ScheduleKind};

/// Years that are searched for a due time.
const LAST_YEAR: i16 = 4900;

/// What is due when, on the wall.
#[derive(Debug)]
pub(super) enum Times {
    Cron {
        cron: Box<Cron>,
        every_hour: bool,
    },
    /// Once a month; in a shorter month on its last day.
    Monthly {
        day: i8,
        hour: i8,
        minute: i8,
    },
}

fn in_range(
    field: &'static str,
    value: u8,
    range: std::ops::RangeInclusive<u8>,
    allowed: &'static str,
) -> Result<u8, ScheduleError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ScheduleError::OutOfRange {
        field,
        value: i64::from(value),
        allowed,
    })
}

fn time_of_day(hour: u8, minute: u8) -> Result<(u8, u8), ScheduleError> {
    Ok((
        in_range("hour", hour, 0..=23, "0 to 23")?,
        in_range("minute", minute, 0..=59, "0 to 59")?,
    ))
}

impl Times {
    /// Of every kind but intervals, which know no wall.
    pub(super) fn of(kind: &ScheduleKind) -> Result<Self, ScheduleError> {
        match kind {
            ScheduleKind::Cron { expression } => cron::parse(expression),
            ScheduleKind::Every { .. } => cron::parse("* * * * * *"),
            ScheduleKind::Hourly { minute } => {
                let (_, minute) = time_of_day(0, *minute)?;
                cron::parse(&format!("0 {minute} * * * *"))
            }
            ScheduleKind::Daily { hour, minute } => {
                let (hour, minute) = time_of_day(*hour, *minute)?;
                cron::parse(&format!("0 {minute} {hour} * * *"))
            }
            ScheduleKind::Weekly { days, hour, minute } => {
                let (hour, minute) = time_of_day(*hour, *minute)?;
                if days.is_empty() {
                    return Err(ScheduleError::NoDays);
                }
                let days: Vec<&str> = days.iter().map(|day| day.word()).collect();
                cron::parse(&format!("0 {minute} {hour} ? * {}", days.join(",")))
            }
            ScheduleKind::Monthly { day, hour, minute } => {
                let (hour, minute) = time_of_day(*hour, *minute)?;
                let day = in_range("day", *day, 1..=31, "1 to 31")?;
                let small = |value: u8| i8::try_from(value).unwrap_or(i8::MAX);
                Ok(Self::Monthly {
                    day: small(day),
                    hour: small(hour),
                    minute: small(minute),
                })
            }
        }
    }

    /// The first one after `from`.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        match self {
            Self::Cron { cron, .. } => cron.find_next_occurrence(&from, false).ok(),
            Self::Monthly { day, hour, minute } => {
                let mut month = Date::new(from.year(), from.month(), 1).ok()?;
                while month.year() < LAST_YEAR {
                    let day = (*day).min(month.days_in_month());
                    let date = Date::new(month.year(), month.month(), day).ok()?;
                    let due = date.to_datetime(time(*hour, *minute, 0, 0));
                    if due > from {
                        return Some(due);
                    }
                    month = month.last_of_month().tomorrow().ok()?;
                }
                None
            }
        }
    }

    /// Whether it is due in every hour of a day.
    pub(super) fn every_hour(&self) -> bool {
        matches!(
            self,
            Self::Cron {
                every_hour: true,
                ..
            }
        )
    }
}

impl DayOfWeek {
    /// Three letters as cron has them.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Mon => "MON",
            Self::Tue => "TUE",
            Self::Wed => "WED",
            Self::Thu => "THU",
            Self::Fri => "FRI",
            Self::Sat => "SAT",
            Self::Sun => "SUN",
        }
    }
}
