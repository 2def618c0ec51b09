//! When something is due.
//!
//! A schedule is computed on the clock on the wall of its zone ([`Times`]) and then carried over to moments ([`walk`]), so that
//! what a change of the clocks means is decided in one place for every kind of schedule.

mod cron;
mod describe;
mod times;
mod walk;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::{Schedule, ScheduleError, ScheduleKind};
use crate::names::parse_zone;
pub(crate) use describe::duration;
use times::Times;

/// Due times that are looked at to find the shortest interval.
const SAMPLED_TIMES: usize = 2000;
/// Longest interval, milliseconds: a hundred years.
const LONGEST_INTERVAL_MS: i64 = 100 * 366 * 86_400_000;
/// Shortest interval, milliseconds.
const SHORTEST_INTERVAL_MS: i64 = 1000;

/// A schedule that is ready to be computed with.
enum Compiled {
    /// So much apart.
    Every { interval_ms: i64, anchor_ms: i64 },
    /// Times of the clock on the wall.
    Wall { times: Times, zone: TimeZone },
}

impl Compiled {
    fn next_after(&self, after_ms: i64) -> Option<i64> {
        match self {
            Self::Every {
                interval_ms,
                anchor_ms,
            } => {
                let passed = after_ms.checked_sub(*anchor_ms)?.div_euclid(*interval_ms);
                let steps = passed.checked_add(1)?.max(1);
                anchor_ms.checked_add(interval_ms.checked_mul(steps)?)
            }
            Self::Wall { times, zone } => walk::next_after(times, zone, after_ms),
        }
    }
}

/// The zone of a schedule or a date.
pub(crate) fn zone_of(name: &str) -> Result<TimeZone, ScheduleError> {
    parse_zone(name).ok_or_else(|| ScheduleError::TimeZone {
        zone: name.to_owned(),
    })
}

impl Schedule {
    fn compile(&self) -> Result<Compiled, ScheduleError> {
        let zone = zone_of(&self.time_zone)?;
        if let ScheduleKind::Every {
            interval_ms,
            anchor_ms,
        } = self.kind
        {
            if !(SHORTEST_INTERVAL_MS..=LONGEST_INTERVAL_MS).contains(&interval_ms) {
                return Err(ScheduleError::OutOfRange {
                    field: "interval_ms",
                    value: interval_ms,
                    allowed: "1000 (a second) to 100 years",
                });
            }
            let anchor_ms = anchor_ms.unwrap_or_default();
            return Ok(Compiled::Every {
                interval_ms,
                anchor_ms,
            });
        }
        let times = Times::of(&self.kind)?;
        Ok(Compiled::Wall { times, zone })
    }

    /// Whether it can be used; the error says what is wrong.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        let compiled = self.compile()?;
        // Not from now: a year in the past makes a schedule that is never due again, which is for the caller to judge.
        match compiled.next_after(0) {
            Some(_) => Ok(()),
            None => Err(ScheduleError::Never {
                schedule: self.describe(),
            }),
        }
    }

    /// The first due time after `after_ms` (milliseconds since 1970, exclusive); none when there is none any more or the schedule
    /// cannot be used.
    ///
    /// A time of day that a change of the clocks leaves out is due once, at the first valid moment after it. One that comes twice is
    /// due once, the first time; only schedules of every hour go on through the hour that is repeated.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        self.compile().ok()?.next_after(after_ms)
    }

    /// The shortest time between two due times, milliseconds, changes of the clocks aside; none when it is due at most once.
    pub fn min_interval(&self) -> Option<i64> {
        let times = match self.compile().ok()? {
            Compiled::Every { interval_ms, .. } => return Some(interval_ms),
            Compiled::Wall { times, .. } => times,
        };
        let mut shortest = None;
        let mut last = walk::next_after(&times, &TimeZone::UTC, 0)?;
        for _ in 0..SAMPLED_TIMES {
            let Some(next) = walk::next_after(&times, &TimeZone::UTC, last) else {
                break;
            };
            shortest = Some(shortest.map_or(next - last, |known: i64| known.min(next - last)));
            if shortest == Some(SHORTEST_INTERVAL_MS) {
                break;
            }
            last = next;
        }
        shortest
    }

    /// In words, for people: `every day at 02:30 (Europe/Berlin)`.
    pub fn describe(&self) -> String {
        describe::in_words(self)
    }
}

/// The whole second at or before a moment.
fn whole_second(ms: i64) -> Option<Timestamp> {
    Timestamp::from_second(ms.div_euclid(1000)).ok()
}

#[cfg(test)]
mod tests;
