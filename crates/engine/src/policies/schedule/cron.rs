//! Cron expressions: unix with five fields, Elasticsearch and Quartz with six or seven.
//!
//! The two differ in the numbers of the days of the week (0 or 7 is Sunday; 1 is Sunday) and in what `?` is for. Expressions are brought
//! into the form that croner understands, which does the computing; errors name the field that is wrong.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::times::Times;
use crate::model::ScheduleError;

/// Longest expression, bytes.
const LONGEST: usize = 1024;

/// A field and the numbers it may hold.
struct Field {
    name: &'static str,
    low: u16,
    high: u16,
    /// Names of its numbers, beginning with `low`.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const fn field(name: &'static str, low: u16, high: u16, names: &'static [&'static str]) -> Field {
    Field {
        name,
        low,
        high,
        names,
    }
}

const UNIX: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of week", 0, 7, DAYS),
];
const QUARTZ: [Field; 7] = [
    field("second", 0, 59, &[]),
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of week", 1, 7, DAYS),
    field("year", 1970, 4900, &[]),
];

fn nickname(expression: &str) -> Option<&'static str> {
    Some(match expression.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return None,
    })
}

/// Understands an expression.
pub(super) fn parse(expression: &str) -> Result<Times, ScheduleError> {
    let wrong = |reason: String| ScheduleError::Cron {
        expression: expression.to_owned(),
        reason,
    };
    if expression.len() > LONGEST {
        return Err(wrong(format!("it is longer than {LONGEST} bytes")));
    }
    let trimmed = expression.trim();
    let parts: Vec<String> = nickname(trimmed)
        .unwrap_or(trimmed)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let fields: &[Field] = match parts.len() {
        5 => &UNIX,
        count @ (6 | 7) => &QUARTZ[..count],
        count => {
            return Err(wrong(format!(
                "it has {count} fields; give 5 (minute hour day month weekday), 6 (with the second in front) or 7 (with the year at the end)"
            )));
        }
    };
    let is_quartz = parts.len() > 5;
    let mut normal = Vec::new();
    for (field, part) in fields.iter().zip(&parts) {
        let part = normalise(field, part, is_quartz)
            .map_err(|reason| wrong(format!("{} [{part}]: {reason}", field.name)))?;
        normal.push(part);
    }
    if is_quartz {
        check_days(&parts[3], &parts[5]).map_err(|reason| wrong(reason.to_owned()))?;
    }
    let cron = match compile(&normal) {
        Ok(cron) => cron,
        Err(error) => return Err(wrong(blame(fields, &normal, &parts, &error))),
    };
    let hour = &normal[usize::from(is_quartz) + 1];
    Ok(Times::Cron {
        cron: Box::new(cron),
        every_hour: matches!(
            hour.as_str(),
            "*" | "*/1" | "/1" | "0/1" | "0-23" | "0-23/1"
        ),
    })
}

/// Quartz has no meaning for a day of the month beside a day of the week.
fn check_days(of_month: &str, of_week: &str) -> Result<(), &'static str> {
    match (of_month, of_week) {
        ("?", "?") => Err("day of month and day of week cannot both be [?]; give [*] for one"),
        ("?" | "*", _) | (_, "?" | "*") => Ok(()),
        _ => Err(
            "a day of month beside a day of week has no meaning with six or seven fields; give [?] for one of them",
        ),
    }
}

fn compile(normal: &[String]) -> Result<Cron, croner::errors::CronError> {
    let is_quartz = normal.len() > 5;
    CronParser::builder()
        .seconds(if is_quartz {
            Seconds::Required
        } else {
            Seconds::Disallowed
        })
        .year(if is_quartz {
            Year::Optional
        } else {
            Year::Disallowed
        })
        .alternative_weekdays(is_quartz)
        .sloppy_ranges(true)
        .build()
        .parse(&normal.join(" "))
}

/// Says which field is wrong: the first that fails alone.
fn blame(
    fields: &[Field],
    normal: &[String],
    given: &[String],
    error: &croner::errors::CronError,
) -> String {
    for (at, field) in fields.iter().enumerate() {
        let mut alone: Vec<String> = vec!["*".to_owned(); normal.len()];
        alone[at].clone_from(&normal[at]);
        if let Err(error) = compile(&alone) {
            return format!("{} [{}]: {error}", field.name, given[at]);
        }
    }
    error.to_string()
}

/// Names become numbers, `?` becomes `*`, ranges that run over the end (`FRI-MON`, `22-2`) become lists; numbers out of range are errors.
fn normalise(field: &Field, part: &str, is_quartz: bool) -> Result<String, String> {
    let is_day = field.name.starts_with("day of");
    if part == "?" {
        return if is_day {
            Ok("*".to_owned())
        } else {
            Err("[?] is for the day of month and the day of week only".to_owned())
        };
    }
    let of_week = field.name == "day of week";
    // The last day of a Quartz week.
    if of_week && is_quartz && part.eq_ignore_ascii_case("L") {
        return Ok("7".to_owned());
    }
    let mut items = Vec::new();
    for item in part.split(',') {
        if item.is_empty() {
            return Err("a comma without a value beside it".to_owned());
        }
        let (item, special) = split_special(item, is_day);
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number_of_step(step)?)),
            None => (item, None),
        };
        let text = match range {
            "" if !special.is_empty() => String::new(),
            "*" | "" => range.to_owned(),
            _ => match range.split_once('-') {
                Some((from, to)) => {
                    let (from, to) = (value(field, from)?, value(field, to)?);
                    if from > to && !special.is_empty() {
                        return Err(format!(
                            "[{special}] cannot follow a range that runs over the end"
                        ));
                    }
                    if from > to {
                        items.push(wrapped(field, from, to, step.unwrap_or(1), is_quartz));
                        continue;
                    }
                    format!("{from}-{to}")
                }
                None => value(field, range)?.to_string(),
            },
        };
        let step = step.map_or_else(String::new, |step| format!("/{step}"));
        items.push(format!("{text}{step}{special}"));
    }
    Ok(items.join(","))
}

/// Cuts off what only days have: `L`, `W`, `#2`, `#L`.
fn split_special(item: &str, is_day: bool) -> (&str, &str) {
    if !is_day {
        return (item, "");
    }
    let at = item
        .find('#')
        .or_else(|| {
            let tail = item.trim_end_matches(['L', 'W', 'l', 'w']);
            (tail.len() < item.len()).then_some(tail.len())
        })
        .unwrap_or(item.len());
    item.split_at(at)
}

fn number_of_step(step: &str) -> Result<u16, String> {
    match step.parse::<u16>() {
        Ok(step) if step > 0 => Ok(step),
        _ => Err(format!("the step [{step}] is not a number above 0")),
    }
}

fn value(field: &Field, text: &str) -> Result<u16, String> {
    let named = field
        .names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let number = match named.and_then(|at| u16::try_from(at).ok()) {
        Some(at) => field.low + at,
        None => Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u16>().ok())
            .ok_or_else(|| format!("[{text}] is not a number{}", hint(field)))?,
    };
    if (field.low..=field.high).contains(&number) {
        return Ok(number);
    }
    Err(format!(
        "[{text}] is outside of {} to {}",
        field.low, field.high
    ))
}

fn hint(field: &Field) -> &'static str {
    match field.names.len() {
        0 => "",
        7 => " or a day such as MON",
        _ => " or a month such as JAN",
    }
}

/// A range over the end of the field, as a list.
fn wrapped(field: &Field, from: u16, to: u16, step: u16, is_quartz: bool) -> String {
    // Unix has two Sundays, 0 and 7.
    let high = if field.names.len() == 7 && !is_quartz {
        6
    } else {
        field.high
    };
    let all = (from..=high).chain(field.low..=to);
    let values: Vec<String> = all
        .step_by(usize::from(step))
        .map(|value| value.to_string())
        .collect();
    values.join(",")
}
