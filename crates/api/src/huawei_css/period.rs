//! When automatic snapshots are taken: `16:00 GMT+08:00` and a frequency.

use snapkeep_engine::{DayOfWeek, Schedule, ScheduleKind};

use super::errors::{CssError, Fault};

/// The time of day that holds when none is given.
pub const DEFAULT_PERIOD: &str = "00:00 GMT+08:00";

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// Every hour.
    Hour,
    /// Every day.
    Day,
    /// Every week on this day.
    Week(DayOfWeek),
}

const WORDS: [(&str, Frequency); 9] = [
    ("HOUR", Frequency::Hour),
    ("DAY", Frequency::Day),
    ("SUN", Frequency::Week(DayOfWeek::Sun)),
    ("MON", Frequency::Week(DayOfWeek::Mon)),
    ("TUE", Frequency::Week(DayOfWeek::Tue)),
    ("WED", Frequency::Week(DayOfWeek::Wed)),
    ("THU", Frequency::Week(DayOfWeek::Thu)),
    ("FRI", Frequency::Week(DayOfWeek::Fri)),
    ("SAT", Frequency::Week(DayOfWeek::Sat)),
];

impl Frequency {
    /// Reads one of `HOUR DAY SUN MON TUE WED THU FRI SAT`.
    pub fn parse(word: &str) -> Result<Self, CssError> {
        let found = WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, frequency)| *frequency).ok_or_else(|| {
            Fault::invalid(
                "frequency",
                "it must be one of HOUR DAY SUN MON TUE WED THU FRI SAT",
            )
        })
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(_, frequency)| *frequency == self)
            .map_or("DAY", |(word, _)| word)
    }
}

/// A time of day in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    hour: u8,
    /// As the engine reads it: `+08:00`.
    zone: String,
}

impl Period {
    /// Reads `HH:mm z`: a whole hour, and `GMT` or `UTC` with an offset or without.
    pub fn parse(text: &str) -> Result<Self, CssError> {
        let wrong = || {
            Fault::InvalidPeriod
                .because("period is invalid: write a whole hour, such as 16:00 GMT+08:00")
        };
        let (time, zone) = text.split_once(' ').ok_or_else(wrong)?;
        let hour = time.strip_suffix(":00").ok_or_else(wrong)?;
        let digits = hour.len() == 2 && hour.bytes().all(|byte| byte.is_ascii_digit());
        let hour: u8 = hour.parse().map_err(|_| wrong())?;
        if !digits || hour > 23 {
            return Err(wrong());
        }
        let zone = offset(zone).ok_or_else(|| {
            Fault::InvalidTimeZone.because("period is invalid: write the zone as GMT+08:00")
        })?;
        Ok(Self { hour, zone })
    }

    /// When a snapshot is due. Hourly ones are due at every full hour, whatever the time of day.
    pub fn schedule(&self, frequency: Frequency) -> Schedule {
        let (hour, minute) = (self.hour, 0);
        let kind = match frequency {
            Frequency::Hour => ScheduleKind::Hourly { minute },
            Frequency::Day => ScheduleKind::Daily { hour, minute },
            Frequency::Week(day) => ScheduleKind::Weekly {
                days: vec![day],
                hour,
                minute,
            },
        };
        Schedule {
            kind,
            time_zone: self.zone.clone(),
        }
    }
}

/// `GMT+08:00` as `+08:00`; zones of the earth reach from −12 to +14 hours.
fn offset(zone: &str) -> Option<String> {
    let rest = zone
        .strip_prefix("GMT")
        .or_else(|| zone.strip_prefix("UTC"))?;
    if rest.is_empty() {
        return Some("+00:00".to_owned());
    }
    let unsigned = rest.strip_prefix(['+', '-'])?;
    let (hours, minutes) = unsigned.split_once(':')?;
    let number = |text: &str| -> Option<u8> {
        let two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        two_digits.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let furthest = if rest.starts_with('+') { 14 } else { 12 };
    (minutes < 60 && (hours < furthest || (hours == furthest && minutes == 0)))
        .then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_whole_hour_in_a_zone() {
        let period = Period::parse("16:00 GMT+08:00").unwrap();
        let schedule = period.schedule(Frequency::Day);
        assert_eq!(
            schedule.kind,
            ScheduleKind::Daily {
                hour: 16,
                minute: 0
            }
        );
        assert_eq!(schedule.time_zone, "+08:00");
        assert!(Period::parse(DEFAULT_PERIOD).is_ok());
        assert!(Period::parse("09:00 GMT").is_ok() && Period::parse("09:00 UTC-09:30").is_ok());
    }

    #[test]
    fn time_and_zone_are_refused_apart() {
        for text in [
            "",
            "16:00",
            "16:30 GMT+08:00",
            "24:00 GMT+08:00",
            "6:00 GMT+08:00",
            "+6:00 GMT",
        ] {
            assert_eq!(
                Period::parse(text).unwrap_err().fault,
                Fault::InvalidPeriod,
                "{text}"
            );
        }
        for text in [
            "16:00 GMT+15:00",
            "16:00 CET",
            "16:00 GMT+8",
            "16:00 GMT+14:30",
            "16:00 GMT08:00",
        ] {
            assert_eq!(
                Period::parse(text).unwrap_err().fault,
                Fault::InvalidTimeZone,
                "{text}"
            );
        }
    }

    #[test]
    fn frequencies_are_read_and_written() {
        for (word, frequency) in WORDS {
            assert_eq!(Frequency::parse(word).unwrap(), frequency);
            assert_eq!(frequency.word(), word);
        }
        assert!(Frequency::parse("day").is_err());
        let weekly = Period::parse("03:00 GMT+00:00")
            .unwrap()
            .schedule(Frequency::Week(DayOfWeek::Sun));
        assert!(
            matches!(weekly.kind, ScheduleKind::Weekly { days, hour: 3, .. } if days == [DayOfWeek::Sun])
        );
    }
}
