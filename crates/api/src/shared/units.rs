//! Byte sizes as Elasticsearch writes them, times as it writes and reads them; the native API reads times the same way (`1.5kb`, `30s`, `-1`).
//!
//! Sizes are 1024-based. Readable forms show one decimal, cut off rather than rounded, and drop `.0`.

use std::time::Duration;

const BYTE_UNITS: [(&str, u64); 6] = [
    ("pb", 1 << 50),
    ("tb", 1 << 40),
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
    ("b", 1),
];

/// Time units, largest first, in nanoseconds.
const TIME_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("micros", 1_000),
    ("nanos", 1),
];

/// Why a size or time could not be read; `Display` is the text that follows the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitError {
    /// No known unit at the end.
    Unit,
    /// The unit is known, the digits before it are no number.
    Number,
    /// A fraction where only whole numbers are taken.
    Fraction,
    /// Below the smallest value allowed.
    Negative,
}

/// Reads a time; `None` stands for `-1`, for ever. Units are any case but `m`, which is minutes in lower case only.
///
/// # Errors
/// [`UnitError`] when the unit or the number is not understood.
pub fn parse_time(text: &str) -> Result<Option<Duration>, UnitError> {
    let trimmed = text.trim();
    match trimmed {
        "-1" => return Ok(None),
        _ if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte == b'0') => {
            return Ok(Some(Duration::ZERO));
        }
        _ => {}
    }
    let lower = trimmed.to_ascii_lowercase();
    let suffixes = ["nanos", "micros", "ms", "s", "m", "h", "d"];
    let (unit, digits) = suffixes
        .iter()
        .find_map(|unit| lower.strip_suffix(unit).map(|rest| (*unit, rest.trim())))
        .filter(|(unit, _)| *unit != "m" || trimmed.ends_with('m'))
        .ok_or(UnitError::Unit)?;
    let factor = TIME_UNITS
        .iter()
        .find_map(|(name, nanos)| (*name == unit).then_some(*nanos))
        .ok_or(UnitError::Unit)?;
    match digits.parse::<u64>() {
        Ok(count) => count
            .checked_mul(factor)
            .map(|nanos| Some(Duration::from_nanos(nanos)))
            .ok_or(UnitError::Number),
        Err(_) if digits.parse::<f64>().is_ok_and(|number| number < 0.0) => {
            Err(UnitError::Negative)
        }
        Err(_) if digits.parse::<f64>().is_ok() => Err(UnitError::Fraction),
        Err(_) => Err(UnitError::Number),
    }
}

/// A time in the form in which [`parse_time`] reads it, nothing cut off: `30d`, `36h`, `90m`, `1500ms`.
pub fn exact_millis(millis: i64) -> String {
    let nanos = i128::from(millis) * 1_000_000;
    let unit = TIME_UNITS
        .iter()
        .find(|(_, factor)| nanos != 0 && nanos % i128::from(*factor) == 0);
    match unit {
        Some((unit, factor)) => format!("{}{unit}", nanos / i128::from(*factor)),
        None => "0s".to_owned(),
    }
}

/// `3.2mb`, `658b`, `0b`.
pub fn readable_bytes(bytes: u64) -> String {
    let (unit, factor) = BYTE_UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor)
        .copied()
        .unwrap_or(("b", 1));
    one_decimal(bytes, factor, unit)
}

/// `4.6m`, `314ms`, `0s`; negative values are printed as they are.
pub fn readable_millis(millis: i64) -> String {
    if millis < 0 {
        return millis.to_string();
    }
    readable_nanos((millis as u64).saturating_mul(1_000_000))
}

/// Like [`readable_millis`], from nanoseconds.
pub fn readable_nanos(nanos: u64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) = TIME_UNITS
        .iter()
        .find(|(_, factor)| nanos >= *factor)
        .copied()
        .unwrap_or(("nanos", 1));
    one_decimal(nanos, factor, unit)
}

/// A point in time, from milliseconds since 1970, as `2018-06-28T01:22:39.609Z`.
pub fn iso_instant(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

/// The time of day of a point in time, `HH:MM:SS` in UTC.
pub fn clock_time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .strftime("%H:%M:%S")
        .to_string()
}

fn one_decimal(value: u64, factor: u64, unit: &str) -> String {
    let whole = value / factor;
    let tenth = u128::from(value % factor) * 10 / u128::from(factor);
    if tenth == 0 {
        format!("{whole}{unit}")
    } else {
        format!("{whole}.{tenth}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_with_milliseconds() {
        assert_eq!(iso_instant(1_530_148_959_609), "2018-06-28T01:22:39.609Z");
        assert_eq!(iso_instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(clock_time(1_530_148_959_609), "01:22:39");
    }

    #[test]
    fn minutes_are_lower_case_only() {
        assert_eq!(parse_time("5m"), Ok(Some(Duration::from_secs(300))));
        assert_eq!(parse_time("5M"), Err(UnitError::Unit));
        assert_eq!(parse_time("5MS"), Ok(Some(Duration::from_millis(5))));
        assert_eq!(parse_time("30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(parse_time("-1"), Ok(None));
        assert_eq!(parse_time("5x"), Err(UnitError::Unit));
        assert_eq!(parse_time(""), Err(UnitError::Unit));
    }

    #[test]
    fn exact_forms_are_read_back() {
        for (millis, text) in [
            (30 * 86_400_000, "30d"),
            (36 * 3_600_000, "36h"),
            (90 * 60_000, "90m"),
            (1_500, "1500ms"),
            (0, "0s"),
        ] {
            assert_eq!(exact_millis(millis), text);
            let read = parse_time(text).unwrap().unwrap().as_millis();
            assert_eq!(read, u128::try_from(millis).unwrap());
        }
    }

    #[test]
    fn readable_forms_cut_the_second_decimal() {
        assert_eq!(readable_bytes(3_227_373), "3mb");
        assert_eq!(readable_bytes(1_150), "1.1kb");
        assert_eq!(readable_bytes(0), "0b");
        assert_eq!(readable_millis(1_499), "1.4s");
        assert_eq!(readable_millis(314), "314ms");
        assert_eq!(readable_millis(0), "0s");
        assert_eq!(readable_millis(276_000), "4.6m");
    }
}
