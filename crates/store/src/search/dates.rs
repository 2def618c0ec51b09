//! Dates: the default formats of date fields, and date math (`now-1d/d`, `2026-01-01||+1M`).

use jiff::civil::{DateTime, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan, Zoned};
use serde_json::Value;

/// A date as milliseconds since 1970: ISO 8601 with any tail left out, `yyyy/MM/dd[ HH:mm:ss]`, or
/// milliseconds as digits.
pub(super) fn parse(text: &str) -> Option<i64> {
    parse_filled(text, false)
}

/// A document's value as a date.
pub(super) fn of_value(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => parse(text),
        _ => None,
    }
}

/// A bound of a range, with date math. `is_up`: a rounded or shortened date means its last millisecond
/// (`lte`, `gt`), else its first.
pub(super) fn bound(text: &str, is_up: bool, now_ms: i64) -> Option<i64> {
    let (anchor, math) = match text.strip_prefix("now") {
        Some(math) => (now_ms, math),
        None => match text.split_once("||") {
            Some((anchor, math)) => (parse(anchor)?, math),
            None => return parse_filled(text, is_up),
        },
    };
    apply_math(anchor, math, is_up)
}

fn parse_filled(text: &str, is_up: bool) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut cursor = Cursor { rest: text };
    let year = cursor.number(4)?;
    let separator = match cursor.rest.as_bytes().first() {
        None => return filled(year, &[], is_up, None),
        Some(b'-') => '-',
        Some(b'/') => '/',
        Some(_) => return None,
    };
    let mut parts = Vec::with_capacity(6);
    for lead in [separator, separator] {
        if cursor.eat(lead) {
            parts.push(cursor.number(2)?);
        }
    }
    let has_time = parts.len() == 2 && (cursor.eat('T') || cursor.eat(' '));
    if has_time && !cursor.rest.is_empty() {
        parts.push(cursor.number(2)?);
        while parts.len() < 5 && cursor.eat(':') {
            parts.push(cursor.number(2)?);
        }
    }
    let mut millis = None;
    if parts.len() == 5 && (cursor.eat('.') || cursor.eat(',')) {
        millis = Some(cursor.fraction()?);
    }
    let offset_s = cursor.offset()?;
    if !cursor.rest.is_empty() {
        return None;
    }
    Some(filled(year, &parts, is_up, millis)? - offset_s * 1000)
}

/// Milliseconds of `year` and the given `parts` (month, day, hour, minute, second).
fn filled(year: i64, parts: &[i64], is_up: bool, millis: Option<i64>) -> Option<i64> {
    let part = |at: usize, least: i64| parts.get(at).copied().unwrap_or(least);
    let day = date(
        i16::try_from(year)
            .ok()
            .filter(|year| (-9999..=9999).contains(year))?,
        1,
        1,
    );
    let month = part(0, 1);
    if !(1..=12).contains(&month) {
        return None;
    }
    let first = jiff::civil::Date::new(day.year(), month as i8, part(1, 1) as i8).ok()?;
    let time = first
        .at(0, 0, 0, 0)
        .checked_add(
            Span::new()
                .try_hours(check(part(2, 0), 24)?)
                .ok()?
                .try_minutes(check(part(3, 0), 59)?)
                .ok()?
                .try_seconds(check(part(4, 0), 60)?)
                .ok()?,
        )
        .ok()?;
    let start = millis_of(time)? + millis.unwrap_or(0);
    if !is_up || millis.is_some() {
        return Some(start);
    }
    let step = match parts.len() {
        0 => 1.year(),
        1 => 1.month(),
        2 => 1.day(),
        3 => 1.hour(),
        4 => 1.minute(),
        _ => 1.second(),
    };
    Some(millis_of(time.checked_add(step).ok()?)? - 1)
}

fn check(value: i64, most: i64) -> Option<i64> {
    (0..=most).contains(&value).then_some(value)
}

fn millis_of(time: DateTime) -> Option<i64> {
    let zoned = time.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

fn apply_math(anchor_ms: i64, math: &str, is_up: bool) -> Option<i64> {
    let mut time: Zoned = Timestamp::from_millisecond(anchor_ms)
        .ok()?
        .to_zoned(TimeZone::fixed(Offset::UTC));
    let mut rest = math;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount: i64 = match &rest[..digits] {
            "" => 1,
            number => number.parse().ok()?,
        };
        rest = &rest[digits..];
        let unit = rest.chars().next()?;
        rest = &rest[unit.len_utf8()..];
        time = match sign {
            '+' => time.checked_add(span(amount, unit)?).ok()?,
            '-' => time.checked_sub(span(amount, unit)?).ok()?,
            '/' if digits == 0 => {
                let start = round_down(&time, unit)?;
                if is_up {
                    let end = start.checked_add(span(1, unit)?).ok()?;
                    end.checked_sub(1.millisecond()).ok()?
                } else {
                    start
                }
            }
            _ => return None,
        };
    }
    Some(time.timestamp().as_millisecond())
}

fn span(amount: i64, unit: char) -> Option<Span> {
    let span = Span::new();
    match unit {
        'y' => span.try_years(amount),
        'M' => span.try_months(amount),
        'w' => span.try_weeks(amount),
        'd' => span.try_days(amount),
        'h' | 'H' => span.try_hours(amount),
        'm' => span.try_minutes(amount),
        's' => span.try_seconds(amount),
        _ => return None,
    }
    .ok()
}

fn round_down(time: &Zoned, unit: char) -> Option<Zoned> {
    let day = time.start_of_day().ok()?;
    match unit {
        'y' => day.first_of_year().ok(),
        'M' => day.first_of_month().ok(),
        'w' => {
            let since_monday = i64::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(span(since_monday, 'd')?).ok()
        }
        'd' => Some(day),
        'h' | 'H' => time
            .round(
                jiff::ZonedRound::new()
                    .smallest(jiff::Unit::Hour)
                    .mode(jiff::RoundMode::Trunc),
            )
            .ok(),
        'm' => time
            .round(
                jiff::ZonedRound::new()
                    .smallest(jiff::Unit::Minute)
                    .mode(jiff::RoundMode::Trunc),
            )
            .ok(),
        's' => time
            .round(
                jiff::ZonedRound::new()
                    .smallest(jiff::Unit::Second)
                    .mode(jiff::RoundMode::Trunc),
            )
            .ok(),
        _ => None,
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let text = self.rest.get(..digits)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = &self.rest[digits..];
        text.parse().ok()
    }

    /// Digits after the second's point, as milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        let padded = format!("{:0<3}", &self.rest[..digits]);
        self.rest = &self.rest[digits..];
        padded.get(..3)?.parse().ok()
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.rest.is_empty() || self.eat('Z') {
            return Some(0);
        }
        let sign = if self.eat('+') {
            1
        } else if self.eat('-') {
            -1
        } else {
            return None;
        };
        let hours = self.number(2)?;
        self.eat(':');
        let minutes = if self.rest.is_empty() {
            0
        } else {
            self.number(2)?
        };
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn the_default_formats_are_read() {
        assert_eq!(parse("1970-01-02"), Some(DAY));
        assert_eq!(parse("1970"), Some(0));
        assert_eq!(parse("1970-01-01T01:00:00Z"), Some(3_600_000));
        assert_eq!(parse("1970-01-01T00:00:00.5+01:00"), Some(500 - 3_600_000));
        assert_eq!(parse("1970/01/02 00:00:01"), Some(DAY + 1000));
        assert_eq!(parse("86400000"), Some(DAY));
        for bad in [
            "",
            "x",
            "1970-13-01",
            "1970-02-30",
            "1970-01-01X",
            "1970-01-01T25",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in ".*", math in "(now|1970-01-01\\|\\|)[-+/0-9yMwdhms€]{0,12}") {
            for is_up in [false, true] {
                let _ = bound(&text, is_up, 0);
                let _ = bound(&math, is_up, 0);
            }
        }
    }

    #[test]
    fn bounds_round_down_or_up() {
        assert_eq!(bound("1970-01-01", true, 0), Some(DAY - 1));
        assert_eq!(bound("1970-01-01", false, 0), Some(0));
        let noon = DAY * 10 + DAY / 2;
        assert_eq!(bound("now-1d/d", false, noon), Some(9 * DAY));
        assert_eq!(bound("now/d", true, noon), Some(11 * DAY - 1));
        assert_eq!(bound("now+1h", false, noon), Some(noon + 3_600_000));
        assert_eq!(bound("1970-01-01||+1M/M", false, 0), Some(31 * DAY));
        assert_eq!(bound("now-1x", false, 0), None);
        assert_eq!(bound("now/h", false, noon + 5), Some(noon));
    }
}
