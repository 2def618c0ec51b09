//! When something is due: the description; [`crate::policies`] computes with it.

use serde::{Deserialize, Serialize};

/// When something is due, and on whose clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The times.
    #[serde(flatten)]
    pub kind: ScheduleKind,
    /// IANA name (`Europe/Berlin`), `UTC`, or a fixed offset (`+08:00`, `GMT+08:00`). Intervals do not depend on it.
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// What kinds of times there are. In JSON an object with `kind`, e.g. `{"kind":"daily","hour":2,"minute":30}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Five fields as unix cron (minute first, 0 and 7 are Sunday) or six or seven as Elasticsearch and Quartz (second first,
    /// 1 is Sunday, the seventh is the year); `?`, `L`, `W`, `#`, names of days and months.
    Cron {
        /// The fields, separated by blanks.
        expression: String,
    },
    /// So much time apart.
    Every {
        /// Milliseconds, at least 1,000.
        interval_ms: i64,
        /// What is counted from, milliseconds since 1970. When missing, the moment the policy was put with this schedule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<i64>,
    },
    /// At this minute of every hour.
    Hourly {
        /// 0 to 59.
        #[serde(default)]
        minute: u8,
    },
    /// Every day at this time.
    Daily {
        /// 0 to 23.
        #[serde(default)]
        hour: u8,
        /// 0 to 59.
        #[serde(default)]
        minute: u8,
    },
    /// On these days of the week at this time.
    Weekly {
        /// At least one.
        days: Vec<DayOfWeek>,
        /// 0 to 23.
        #[serde(default)]
        hour: u8,
        /// 0 to 59.
        #[serde(default)]
        minute: u8,
    },
    /// Once a month at this time.
    Monthly {
        /// 1 to 31; in a shorter month its last day.
        day: u8,
        /// 0 to 23.
        #[serde(default)]
        hour: u8,
        /// 0 to 59.
        #[serde(default)]
        minute: u8,
    },
}

/// A day of the week; three lower-case letters in JSON (`mon`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum DayOfWeek {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The cron expression cannot be understood.
    #[error("invalid cron expression [{expression}]: {reason}")]
    Cron {
        /// As given.
        expression: String,
        /// What is wrong, and with which field.
        reason: String,
    },
    /// No such time zone.
    #[error(
        "unknown time zone [{zone}]; use an IANA name such as Europe/Berlin, UTC, or an offset such as +08:00"
    )]
    TimeZone {
        /// As given.
        zone: String,
    },
    /// A number is outside of its range.
    #[error("{field} is [{value}] but must be {allowed}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// As given.
        value: i64,
        /// What it may be, in words.
        allowed: &'static str,
    },
    /// A weekly schedule without a day.
    #[error("days is empty; name at least one day of the week (mon, tue, …)")]
    NoDays,
    /// It never comes.
    #[error("the schedule is never due: no date matches [{schedule}]")]
    Never {
        /// In words.
        schedule: String,
    },
}

pub(crate) fn utc() -> String {
    "UTC".to_owned()
}
