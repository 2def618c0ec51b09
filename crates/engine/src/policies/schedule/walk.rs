//! From the clock on the wall to moments.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::times::Times;
use super::whole_second;

/// Changes of the clocks that one search passes; times further ahead are jumped to.
const MOST_CHANGES: usize = 64;
/// From here on a search jumps instead of passing one change after the other.
const JUMP: SignedDuration = SignedDuration::from_hours(48);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The first due moment after `after_ms`, milliseconds since 1970.
///
/// Between two changes of the clocks the wall runs straight, so a time found there is a moment. At a change forward the times left out
/// become the moment of the change. At a change backward the repeated times are passed over, but not by a schedule of every hour.
pub(super) fn next_after(times: &Times, zone: &TimeZone, after_ms: i64) -> Option<i64> {
    let mut at = whole_second(after_ms)?;
    let mut offset = zone.to_offset(at);
    // Due times up to here are past.
    let mut from = offset.to_datetime(at);
    if !times.every_hour() {
        from = from.max(end_of_repetition(zone, at, offset).unwrap_or(from));
    }
    for _ in 0..MOST_CHANGES {
        let found = times.next(from)?;
        let moment = offset.to_timestamp(found).ok()?;
        let change = zone.following(at).next();
        let Some(change) = change.filter(|change| change.timestamp() <= moment) else {
            return Some(moment.as_millisecond());
        };
        let before = offset.to_datetime(change.timestamp());
        let after = change.offset().to_datetime(change.timestamp());
        if found < after {
            return Some(change.timestamp().as_millisecond());
        }
        let goes_on = if after < before && !times.every_hour() {
            before
        } else {
            after
        };
        (at, offset) = (change.timestamp(), change.offset());
        from = goes_on.checked_sub(SECOND).ok()?;
        let near = found.checked_sub(JUMP).ok()?;
        if near > goes_on {
            at = zone.to_ambiguous_timestamp(near).compatible().ok()?.max(at);
            offset = zone.to_offset(at);
            from = offset.to_datetime(at);
        }
    }
    None
}

/// When `at` lies in times that a change backward repeats: the last second of them.
fn end_of_repetition(zone: &TimeZone, at: Timestamp, offset: Offset) -> Option<DateTime> {
    let just_after = at.checked_add(SECOND).ok()?;
    let change = zone.preceding(just_after).next()?.timestamp();
    let before = zone.to_offset(change.checked_sub(SECOND).ok()?);
    let repeated_until = before.to_datetime(change);
    (offset.to_datetime(at) < repeated_until).then(|| repeated_until.checked_sub(SECOND).ok())?
}
