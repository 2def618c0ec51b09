//! The two columns that say when a table was made.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::elasticsearch::output::Cell;

/// Seconds since 1970 and `HH:mm:ss` in UTC.
pub fn now() -> [Cell; 2] {
    let now = Timestamp::now();
    let clock = now.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
    [Cell::Int(now.as_second()), Cell::Text(clock)]
}
