//! Times as Go writes them: RFC 3339, nanoseconds without trailing zeros, the writer's own offset.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z, the earliest time that can be written.
const EARLIEST_SECONDS: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, the latest.
const LATEST_SECONDS: i64 = 253_402_300_799;

/// A moment, with the offset from UTC in which it is written.
///
/// Two times are equal when they would be written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    seconds: i64,
    nanoseconds: u32,
    offset_minutes: i16,
}

impl Time {
    /// The first moment of 1970, UTC.
    pub const EPOCH: Self = Self {
        seconds: 0,
        nanoseconds: 0,
        offset_minutes: 0,
    };

    /// A moment in UTC. Years before 0 and after 9999 cannot be written and become the nearest that can, as in restic;
    /// `nanoseconds` beyond a second are cut.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        Self {
            seconds: seconds.clamp(EARLIEST_SECONDS, LATEST_SECONDS),
            nanoseconds: nanoseconds.min(999_999_999),
            offset_minutes: 0,
        }
    }

    /// Now, in UTC.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole seconds since 1970, rounded down.
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`unix_seconds`](Self::unix_seconds).
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// The moment for the operating system.
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let nanoseconds = std::time::Duration::from_nanos(u64::from(self.nanoseconds));
        let seconds = std::time::Duration::from_secs(self.seconds.unsigned_abs());
        let whole = if self.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        whole?.checked_add(nanoseconds)
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::from_unix(
                i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                after.subsec_nanos(),
            ),
            Err(error) => {
                let before = error.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Self::from_unix(-seconds, 0),
                    nanoseconds => Self::from_unix(-seconds - 1, 1_000_000_000 - nanoseconds),
                }
            }
        }
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |time: &Self| (time.seconds, time.nanoseconds, time.offset_minutes);
        key(self).cmp(&key(other))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.offset_minutes) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(SECONDS_A_DAY));
        let second = local.rem_euclid(SECONDS_A_DAY);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )?;
        if self.nanoseconds != 0 {
            let digits = format!("{:09}", self.nanoseconds);
            write!(formatter, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.offset_minutes == 0 {
            return formatter.write_str("Z");
        }
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.unsigned_abs();
        write!(formatter, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A text that is not a time of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time as in 2006-01-02T15:04:05.999Z")]
pub struct ParseTimeError;

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text.as_bytes()).ok_or(ParseTimeError)
    }
}

fn parse(text: &[u8]) -> Option<Time> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| date_time[at] != byte) {
        return None;
    }
    let year = digits(&date_time[..4])?;
    let month = digits(&date_time[5..7]).filter(|month| (1..=12).contains(month))?;
    let day = digits(&date_time[8..10]).filter(|day| (1..=31).contains(day))?;
    let hour = digits(&date_time[11..13]).filter(|hour| *hour < 24)?;
    let minute = digits(&date_time[14..16]).filter(|minute| *minute < 60)?;
    // A leap second is the last second for us, as for most file systems.
    let second = digits(&date_time[17..19])
        .filter(|second| *second <= 60)?
        .min(59);

    let (nanoseconds, zone) = match rest.split_first() {
        Some((b'.', fraction)) => {
            let end = fraction
                .iter()
                .position(|byte| !byte.is_ascii_digit())
                .filter(|end| *end > 0)?;
            let mut nanoseconds = 0;
            for place in 0..9 {
                let digit = fraction[..end].get(place).map_or(0, |byte| byte - b'0');
                nanoseconds = nanoseconds * 10 + u32::from(digit);
            }
            (nanoseconds, &fraction[end..])
        }
        _ => (0, rest),
    };
    let offset_minutes = match zone {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[*h1, *h2]).filter(|hours| *hours < 24)?;
            let minutes = digits(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
            let offset = i16::try_from(hours * 60 + minutes).ok()?;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let local =
        days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    Some(Time {
        seconds: local - i64::from(offset_minutes) * 60,
        nanoseconds,
        offset_minutes,
    })
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970-01-01 of a date of the Gregorian calendar; years begin in March so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a number of days since 1970-01-01: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl serde::de::Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time of RFC 3339")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TimeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.5Z",
            "2024-06-01T12:00:00.000000001+02:00",
            "1969-12-31T23:59:59.999999999-09:30",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.99Z",
        ] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_offset_does_not_move_the_moment() {
        let time: Time = "2024-06-01T12:00:00+02:00".parse().unwrap();
        assert_eq!(time.unix_seconds(), 1_717_236_000);
        assert_eq!(
            Time::from_unix(1_717_236_000, 120_000_000).to_string(),
            "2024-06-01T10:00:00.12Z"
        );
    }

    #[test]
    fn what_cannot_be_written_becomes_the_nearest_that_can() {
        assert_eq!(
            Time::from_unix(i64::MAX, 0).to_string(),
            "9999-12-31T23:59:59Z"
        );
        assert_eq!(
            Time::from_unix(i64::MIN, 0).to_string(),
            "0000-01-01T00:00:00Z"
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2024",
            "2024-06-01 12:00:00Z",
            "2024-13-01T12:00:00Z",
            "2024-06-01T12:00:00",
            "2024-06-01T12:00:00.Z",
            "2024-06-01T12:00:00+2:00",
            "2024-06-01T24:00:00Z",
            "é024-06-01T12:00:00Z",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_comes_back(seconds in EARLIEST_SECONDS..=LATEST_SECONDS, nanoseconds in 0..1_000_000_000_u32) {
            let time = Time::from_unix(seconds, nanoseconds);
            prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }

        #[test]
        fn system_times_keep_their_nanoseconds(seconds in -4_000_000_000_i64..4_000_000_000, nanoseconds in 0..1_000_000_000_u32) {
            let time = Time::from_unix(seconds, nanoseconds);
            prop_assert_eq!(Time::from(time.to_system_time().unwrap()), time);
        }
    }
}
