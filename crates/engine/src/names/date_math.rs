//! Date math in names: `<snap-{now/d}>`, `<logs-{now/M-1M{yyyy.MM|+01:00}}>`.
//!
//! A name in angle brackets may hold expressions in braces: `now` with steps `+1d`, `-2h`, `/M` (rounding down), then optionally a
//! second pair of braces with a date format and, after `|`, a time zone. `\` takes the next character as it is. Without a format
//! the date is written `yyyy.MM.dd`, without a zone in UTC. A name without angle brackets is left alone.

use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, Zoned};

/// Steps and expressions that one name may hold.
const MAX_EXPRESSIONS: usize = 16;
/// Hours of the largest offset that a zone may be given by.
const LARGEST_OFFSET_HOURS: u8 = 18;

/// What is wrong with the date math in a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DateMathError(pub String);

/// Resolves the date math in `name` at `now_ms` (milliseconds since 1970).
pub fn resolve_date_math(name: &str, now_ms: i64) -> Result<String, DateMathError> {
    let Some(body) = name
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    else {
        return Ok(name.to_owned());
    };
    let mut result = String::new();
    let mut rest = body.chars();
    let mut expressions = 0;
    while let Some(next) = rest.next() {
        match next {
            '\\' => result.push(
                rest.next()
                    .ok_or_else(|| problem(name, "nothing follows the last backslash"))?,
            ),
            '{' => {
                expressions += 1;
                if expressions > MAX_EXPRESSIONS {
                    return Err(problem(name, "too many expressions"));
                }
                let expression = take_expression(&mut rest)
                    .ok_or_else(|| problem(name, "a brace is not closed"))?;
                result.push_str(&evaluate(name, &expression, now_ms)?);
            }
            '}' => return Err(problem(name, "a brace is closed that was not opened")),
            other => result.push(other),
        }
    }
    Ok(result)
}

fn problem(name: &str, what: &str) -> DateMathError {
    DateMathError(format!("invalid dynamic name expression [{name}]: {what}"))
}

/// Takes the text up to the brace that closes the one just opened.
fn take_expression(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut depth = 0;
    let mut expression = String::new();
    for next in rest.by_ref() {
        match next {
            '}' if depth == 0 => return Some(expression),
            '}' => depth -= 1,
            '{' => depth += 1,
            _ => {}
        }
        expression.push(next);
    }
    None
}

fn evaluate(name: &str, expression: &str, now_ms: i64) -> Result<String, DateMathError> {
    let (math, format, zone) = match expression.split_once('{') {
        None => (expression, "yyyy.MM.dd", "UTC"),
        Some((math, tail)) => {
            let tail = tail
                .strip_suffix('}')
                .ok_or_else(|| problem(name, "text follows the date format"))?;
            let (format, zone) = tail.split_once('|').unwrap_or((tail, "UTC"));
            (math, format, zone)
        }
    };
    if format.is_empty() {
        return Err(problem(name, "missing date format"));
    }
    let zone =
        parse_zone(zone).ok_or_else(|| problem(name, &format!("unknown time zone [{zone}]")))?;
    let steps = math
        .strip_prefix("now")
        .ok_or_else(|| problem(name, &format!("[{math}] does not begin with now")))?;
    let now = Timestamp::from_millisecond(now_ms)
        .map_err(|_| problem(name, "the clock is out of range"))?;
    let date = apply_steps(now.to_zoned(zone), steps)
        .ok_or_else(|| problem(name, &format!("cannot understand or compute [{math}]")))?;
    render(&date, format).ok_or_else(|| problem(name, &format!("unknown date format [{format}]")))
}

/// A time zone by its IANA name, `UTC`, `Z`, or as an offset: `+08:00`, `+0800`, `+8`, `GMT+08:00`, `UTC+8`.
pub(crate) fn parse_zone(zone: &str) -> Option<TimeZone> {
    if matches!(zone, "UTC" | "Z" | "GMT") {
        return Some(TimeZone::UTC);
    }
    let offset = zone
        .strip_prefix("GMT")
        .or_else(|| zone.strip_prefix("UTC"))
        .filter(|offset| offset.starts_with(['+', '-']))
        .unwrap_or(zone);
    let Some((sign, digits)) = offset
        .strip_prefix('+')
        .map(|digits| (1, digits))
        .or_else(|| offset.strip_prefix('-').map(|digits| (-1, digits)))
    else {
        return TimeZone::get(zone).ok();
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    if hours > LARGEST_OFFSET_HOURS || minutes > 59 {
        return None;
    }
    let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

fn apply_steps(mut date: Zoned, steps: &str) -> Option<Zoned> {
    let mut rest = steps.trim();
    while !rest.is_empty() {
        let operator = rest.chars().next()?;
        rest = &rest[operator.len_utf8()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count = if digits == 0 {
            1
        } else {
            rest[..digits].parse::<i32>().ok()?
        };
        rest = &rest[digits..];
        let unit = rest.chars().next()?;
        rest = &rest[unit.len_utf8()..];
        date = match operator {
            '+' => date.checked_add(span(unit, i64::from(count))?).ok()?,
            '-' => date.checked_add(span(unit, -i64::from(count))?).ok()?,
            '/' if digits == 0 => round_down(&date, unit)?,
            _ => return None,
        };
    }
    Some(date)
}

fn span(unit: char, count: i64) -> Option<Span> {
    let span = Span::new();
    match unit {
        'y' => span.try_years(count).ok(),
        'M' => span.try_months(count).ok(),
        'w' => span.try_weeks(count).ok(),
        'd' => span.try_days(count).ok(),
        'h' | 'H' => span.try_hours(count).ok(),
        'm' => span.try_minutes(count).ok(),
        's' => span.try_seconds(count).ok(),
        _ => None,
    }
}

fn round_down(date: &Zoned, unit: char) -> Option<Zoned> {
    let exact = |hour, minute, second| {
        date.with()
            .hour(hour)
            .minute(minute)
            .second(second)
            .subsec_nanosecond(0)
            .build()
            .ok()
    };
    match unit {
        'y' => date
            .with()
            .month(1)
            .day(1)
            .build()
            .ok()?
            .start_of_day()
            .ok(),
        'M' => date.with().day(1).build().ok()?.start_of_day().ok(),
        'w' => {
            let days = i64::from(date.weekday().since(Weekday::Monday));
            date.checked_sub(Span::new().days(days))
                .ok()?
                .start_of_day()
                .ok()
        }
        'd' => date.start_of_day().ok(),
        'h' | 'H' => exact(date.hour(), 0, 0),
        'm' => exact(date.hour(), date.minute(), 0),
        's' => exact(date.hour(), date.minute(), date.second()),
        _ => None,
    }
}

/// Writes `date` in a Java date format: letters are fields, everything in single quotes and all other characters stand for
/// themselves.
pub(crate) fn render(date: &Zoned, format: &str) -> Option<String> {
    let mut result = String::new();
    let characters: Vec<char> = format.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let letter = characters[at];
        if letter == '\'' {
            let end = characters[at + 1..].iter().position(|c| *c == '\'')? + at + 1;
            result.extend(&characters[at + 1..end]);
            at = end + 1;
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            result.push(letter);
            at += 1;
            continue;
        }
        let width = characters[at..]
            .iter()
            .take_while(|c| **c == letter)
            .count();
        at += width;
        let iso = date.date().iso_week_date();
        let number = match letter {
            'y' | 'u' if width == 2 => i64::from(date.year()) % 100,
            'y' | 'u' => i64::from(date.year()),
            'x' | 'Y' if width == 2 => i64::from(iso.year()) % 100,
            'x' | 'Y' => i64::from(iso.year()),
            'M' | 'L' => i64::from(date.month()),
            'd' => i64::from(date.day()),
            'D' => i64::from(date.day_of_year()),
            'w' => i64::from(iso.week()),
            'e' => i64::from(iso.weekday().to_monday_one_offset()),
            'H' => i64::from(date.hour()),
            'h' => (i64::from(date.hour()) + 11) % 12 + 1,
            'm' => i64::from(date.minute()),
            's' => i64::from(date.second()),
            'S' => {
                i64::from(date.subsec_nanosecond())
                    / 10_i64.pow(9_u32.checked_sub(u32::try_from(width).ok()?)?)
            }
            _ => return None,
        };
        result.push_str(&format!("{number:0width$}"));
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T10:20:30.456Z, a Saturday.
    const NOW_MS: i64 = 1_795_256_430_456;

    fn resolve(name: &str) -> String {
        resolve_date_math(name, NOW_MS).unwrap()
    }

    #[test]
    fn a_day_is_the_default() {
        assert_eq!(resolve("<snap-{now/d}>"), "snap-2026.11.21");
        assert_eq!(resolve("<snap-{now}>"), "snap-2026.11.21");
        assert_eq!(resolve("snap-{now/d}"), "snap-{now/d}");
    }

    #[test]
    fn steps_are_taken_one_after_another() {
        assert_eq!(resolve("<s-{now/M}>"), "s-2026.11.01");
        assert_eq!(resolve("<s-{now/M-1M}>"), "s-2026.10.01");
        assert_eq!(resolve("<s-{now/w}>"), "s-2026.11.16");
        assert_eq!(resolve("<s-{now-1d/d{yyyy-MM-dd}}>"), "s-2026-11-20");
        assert_eq!(
            resolve("<s-{now/h{yyyy.MM.dd.HH.mm.ss}}>"),
            "s-2026.11.21.10.00.00"
        );
        assert_eq!(resolve("<s-{now{HHmmssSSS}}>"), "s-102030456");
    }

    #[test]
    fn zones_move_the_day() {
        assert_eq!(resolve("<s-{now/d{yyyy.MM.dd|+14:00}}>"), "s-2026.11.22");
        assert_eq!(resolve("<s-{now/d{yyyy.MM.dd|-12:00}}>"), "s-2026.11.20");
    }

    #[test]
    fn an_offset_is_written_in_several_ways() {
        for zone in ["+08:00", "+8", "+0800", "GMT+08:00", "UTC+8"] {
            let offset = parse_zone(zone).unwrap().to_offset(Timestamp::UNIX_EPOCH);
            assert_eq!(offset.seconds(), 8 * 3600, "{zone}");
        }
        for zone in [
            "",
            "+",
            "+19:00",
            "+08:60",
            "+8:+1",
            "GMT+",
            "Nowhere/No",
            "+08000",
        ] {
            assert!(parse_zone(zone).is_none(), "{zone}");
        }
    }

    #[test]
    fn a_backslash_keeps_braces() {
        assert_eq!(resolve("<a\\{x\\}-{now/d}>"), "a{x}-2026.11.21");
    }

    #[test]
    fn nonsense_is_an_error() {
        for name in [
            "<s-{now/d>",
            "<s-{then}>",
            "<s-{now/q}>",
            "<s-{now{QQ}}>",
            "<s-{now/d{yyyy|Nowhere/No}}>",
            "<s}>",
            "<s\\>",
        ] {
            assert!(resolve_date_math(name, NOW_MS).is_err(), "{name}");
        }
    }
}
