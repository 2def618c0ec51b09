//! The body of a policy, what is wrong with it in OpenSearch's words, and the policy of the engine that does what it says.

use std::time::Duration;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::Expand;
use snapkeep_engine::{NameTemplate, PolicySpec, Retention, Schedule, ScheduleKind, Selection};

use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::fields;
use crate::elasticsearch::params::time_error;
use crate::elasticsearch::units::parse_time;

/// Format of the date in the names of snapshots, unless given. Names are in lower case, hence the `t`.
const DATE_FORMAT: &str = "yyyy-MM-dd't'HH:mm:ss";
/// Random characters at the end of a name.
const RANDOM: u8 = 8;
/// The parts of a body that are given back.
const KEPT: [&str; 5] = [
    "description",
    "creation",
    "deletion",
    "snapshot_config",
    "notification",
];

/// Refuses names that could not begin the name of a snapshot; all problems at once.
///
/// # Errors
/// 400 `illegal_argument_exception`.
pub fn check_name(name: &str) -> Result<(), EsError> {
    let forbidden = [' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?'];
    let rules = [
        (name.contains(' '), "must not contain whitespace."),
        (name.contains(','), "must not contain ','."),
        (name.contains('#'), "must not contain '#'."),
        (name.starts_with('_'), "must not start with '_'."),
        (name.to_lowercase() != name, "must be lowercase."),
        (
            name.contains(forbidden),
            "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?].",
        ),
    ];
    let problems: Vec<String> = rules
        .iter()
        .filter(|(is_broken, _)| *is_broken)
        .map(|(_, rule)| format!("Policy name {rule}"))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(EsError::illegal_argument(problems.join(" ")))
    }
}

/// Reads a body.
///
/// # Errors
/// 400 naming what is missing or cannot be used.
pub fn spec(name: &str, body: &Map<String, Value>) -> Result<PolicySpec, EsError> {
    let creation = required(body, "creation", "Must provide the creation configuration.")?;
    let creation_schedule = schedule(creation)?
        .ok_or_else(|| EsError::illegal_argument("schedule field must not be null"))?;
    let config = required(
        body,
        "snapshot_config",
        "snapshot_config field must not be null",
    )?;
    let repository = config
        .get("repository")
        .and_then(Value::as_str)
        .filter(|repository| !repository.is_empty())
        .ok_or_else(|| {
            EsError::illegal_argument("Must provide the repository in snapshot config.")
        })?;
    let mut spec = PolicySpec::new(repository, template(name, config)?);
    spec.enabled = match body.get("enabled") {
        None => true,
        Some(Value::Bool(enabled)) => *enabled,
        Some(other) => {
            return Err(ErrorKind::Parsing.error(format!(
                "Failed to parse [enabled]: [{other}] is neither true nor false"
            )));
        }
    };
    spec.selection = selection(config)?;
    spec.metadata = config.get("metadata").and_then(Value::as_object).cloned();
    spec.time_limit_ms = time(creation, "time_limit")?.map(millis);
    spec.retention_schedule = Some(creation_schedule.clone());
    spec.schedule = Some(creation_schedule);
    if let Some(deletion) = object(body, "deletion")? {
        if let Some(schedule) = schedule(deletion)? {
            spec.retention_schedule = Some(schedule);
        }
        time(deletion, "time_limit")?;
        spec.retention = retention(deletion)?;
    }
    object(body, "notification")?;
    spec.extra = shown(body, &spec)?;
    Ok(spec)
}

/// `-` and the date, then `-` and random characters, as in `daily-2026-11-21t08:00:00-x3k9q0ab`.
fn template(name: &str, config: &Map<String, Value>) -> Result<NameTemplate, EsError> {
    let format = fields::text(config, "date_format")?;
    let zone = match fields::text(config, "date_format_timezone")? {
        Some(zone) => Some(zone),
        None => fields::text(config, "timezone")?,
    };
    Ok(NameTemplate::Dated {
        prefix: format!("{name}-"),
        date_format: format.map_or_else(|| DATE_FORMAT.to_owned(), lower_case_literals),
        time_zone: zone.unwrap_or_else(|| "UTC".to_owned()),
        random: RANDOM,
    })
}

/// Text between apostrophes goes into the name as it is, and names are in lower case.
fn lower_case_literals(format: String) -> String {
    let mut is_literal = false;
    format
        .chars()
        .map(|c| {
            is_literal ^= c == '\'';
            if is_literal {
                c.to_ascii_lowercase()
            } else {
                c
            }
        })
        .collect()
}

fn selection(config: &Map<String, Value>) -> Result<Selection, EsError> {
    let usual = Expand {
        open: true,
        closed: false,
        hidden: true,
    };
    fields::selection(config, usual, &["ignore_unavailable"])
}

/// `{"cron": {"expression", "timezone"}}` below `schedule`.
fn schedule(part: &Map<String, Value>) -> Result<Option<Schedule>, EsError> {
    let Some(given) = object(part, "schedule")? else {
        return Ok(None);
    };
    let Some(cron) = object(given, "cron")? else {
        return Err(EsError::illegal_argument(
            "a schedule of snapshot management must be a cron schedule",
        ));
    };
    let text = |key: &str| {
        cron.get(key).and_then(Value::as_str).ok_or_else(|| {
            EsError::illegal_argument(format!("cron schedule must have a field [{key}]"))
        })
    };
    let schedule = Schedule {
        kind: ScheduleKind::Cron {
            expression: text("expression")?.to_owned(),
        },
        time_zone: text("timezone")?.to_owned(),
    };
    schedule
        .validate()
        .map_err(|error| EsError::illegal_argument(error.to_string()))?;
    Ok(Some(schedule))
}

fn retention(deletion: &Map<String, Value>) -> Result<Retention, EsError> {
    let condition = required(deletion, "condition", "condition must not be null.")?;
    let max_age = time(condition, "max_age")?;
    let max_count = count(condition, "max_count")?;
    let min_count = count(condition, "min_count")?.unwrap_or(1);
    if max_age.is_none() && max_count.is_none() {
        return Err(EsError::illegal_argument(
            "Please provide max_age or max_count.",
        ));
    }
    if min_count < 1 {
        return Err(EsError::illegal_argument(
            "min_count should be bigger than 0.",
        ));
    }
    if max_count.is_some_and(|max_count| max_count <= min_count) {
        return Err(EsError::illegal_argument(
            "max_count should be bigger than min_count.",
        ));
    }
    let pattern = fields::text(deletion, "snapshot_pattern")?;
    Ok(Retention {
        max_age_ms: max_age.map(millis),
        min_count: u32::try_from(min_count).ok(),
        max_count: max_count.and_then(|count| u32::try_from(count).ok()),
        also_matching: pattern.into_iter().collect(),
        ..Retention::default()
    })
}

/// What clients get back: what was sent, and the schedules and limits that follow from it.
fn shown(body: &Map<String, Value>, spec: &PolicySpec) -> Result<Value, EsError> {
    let mut shown = Map::new();
    for key in KEPT {
        if let Some(value) = body.get(key).filter(|value| !value.is_null()) {
            shown.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(Value::Object(deletion)) = shown.get_mut("deletion") {
        if !deletion.contains_key("schedule") {
            let same = body.get("creation").and_then(|part| part.get("schedule"));
            deletion.insert("schedule".to_owned(), same.cloned().unwrap_or_default());
        }
        if let Some(Value::Object(condition)) = deletion.get_mut("condition") {
            condition.insert("min_count".to_owned(), json!(spec.retention.min_count));
        }
    }
    Ok(Value::Object(shown))
}

fn object<'a>(
    body: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, EsError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ErrorKind::Parsing.error(format!(
            "Failed to parse object: expecting token of type [START_OBJECT] for [{key}]"
        ))),
    }
}

fn required<'a>(
    body: &'a Map<String, Value>,
    key: &str,
    text: &str,
) -> Result<&'a Map<String, Value>, EsError> {
    object(body, key)?.ok_or_else(|| EsError::illegal_argument(text))
}

fn time(part: &Map<String, Value>, key: &str) -> Result<Option<Duration>, EsError> {
    match fields::text(part, key)? {
        None => Ok(None),
        Some(text) => parse_time(&text).map_err(|error| time_error(key, &text, &error)),
    }
}

fn count(part: &Map<String, Value>, key: &str) -> Result<Option<i64>, EsError> {
    match part.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value
                .as_i64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                .filter(|number| i32::try_from(*number).is_ok());
            let wrong = || EsError::illegal_argument(format!("{key} is no number: {value}"));
            number.map(Some).ok_or_else(wrong)
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The body of OpenSearch's documentation.
    pub fn sample() -> Value {
        json!({
            "description": "Daily snapshot policy",
            "creation": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}, "time_limit": "1h"},
            "deletion": {
                "schedule": {"cron": {"expression": "0 1 * * *", "timezone": "America/Los_Angeles"}},
                "condition": {"max_age": "7d", "max_count": 21, "min_count": 7},
                "time_limit": "1h",
                "snapshot_pattern": "external-backup-*"
            },
            "snapshot_config": {
                "date_format": "yyyy-MM-dd-HH:mm", "timezone": "America/Los_Angeles", "indices": "a,b*", "repository": "r",
                "ignore_unavailable": "true", "include_global_state": "false", "partial": "true", "metadata": {"any_key": "any_value"}
            },
            "notification": {"channel": {"id": "x"}, "conditions": {"creation": true}}
        })
    }

    fn read(body: &Value) -> Result<PolicySpec, String> {
        spec("daily", body.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_body_is_understood_and_given_back() {
        let spec = read(&sample()).unwrap();
        assert_eq!(spec.extra, sample());
        assert_eq!(spec.selection.indices, ["a", "b*"]);
        assert!(spec.selection.partial && !spec.selection.include_global_state);
        assert_eq!(spec.retention.max_age_ms, Some(7 * 86_400_000));
        assert_eq!(spec.retention.also_matching, ["external-backup-*"]);
        assert_eq!(spec.time_limit_ms, Some(3_600_000));
        let zone = spec.retention_schedule.unwrap().time_zone;
        assert_eq!(zone, "America/Los_Angeles");
        let NameTemplate::Dated {
            prefix,
            date_format,
            time_zone,
            random,
        } = spec.name_template
        else {
            panic!("not dated")
        };
        assert_eq!(
            (
                prefix.as_str(),
                date_format.as_str(),
                time_zone.as_str(),
                random
            ),
            ("daily-", "yyyy-MM-dd-HH:mm", "America/Los_Angeles", 8)
        );
    }

    #[test]
    fn what_is_not_given_is_filled_in() {
        let mut body = sample();
        body["deletion"] = json!({"condition": {"max_count": 5}});
        let spec = read(&body).unwrap();
        assert_eq!(spec.retention_schedule, spec.schedule);
        assert_eq!(spec.retention.min_count, Some(1));
        assert_eq!(spec.extra["deletion"]["condition"]["min_count"], 1);
        assert_eq!(
            spec.extra["deletion"]["schedule"],
            body["creation"]["schedule"]
        );
    }

    #[test]
    fn mistakes_are_told_as_by_real_servers() {
        let broken = |path: &str, value: Value| {
            let mut body = sample();
            *body.pointer_mut(path).unwrap() = value;
            read(&body).unwrap_err()
        };
        for (path, value, text) in [
            (
                "/creation",
                Value::Null,
                "Must provide the creation configuration.",
            ),
            (
                "/snapshot_config",
                Value::Null,
                "snapshot_config field must not be null",
            ),
            (
                "/snapshot_config/repository",
                json!(""),
                "Must provide the repository in snapshot config.",
            ),
            (
                "/deletion/condition",
                json!({"min_count": 3}),
                "Please provide max_age or max_count.",
            ),
            (
                "/deletion/condition",
                json!({"max_count": 3, "min_count": 3}),
                "max_count should be bigger than min_count.",
            ),
            (
                "/deletion/condition",
                json!({"max_count": 3, "min_count": 0}),
                "min_count should be bigger than 0.",
            ),
            (
                "/creation/schedule",
                json!({"interval": {}}),
                "a schedule of snapshot management must be a cron schedule",
            ),
        ] {
            assert_eq!(
                broken(path, value),
                format!("illegal_argument_exception: {text}"),
                "{path}"
            );
        }
        let zone = broken("/creation/schedule/cron/timezone", json!("Mars/Base"));
        assert!(zone.contains("unknown time zone [Mars/Base]"), "{zone}");
    }

    #[test]
    fn names_must_be_fit_to_begin_a_snapshot() {
        assert!(check_name("daily-1").is_ok());
        assert_eq!(
            check_name("_A,b").unwrap_err().to_string(),
            "illegal_argument_exception: Policy name must not contain ','. Policy name must not start with '_'. \
             Policy name must be lowercase. Policy name must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]."
        );
    }

    #[test]
    fn literals_in_a_date_format_become_lower_case() {
        assert_eq!(
            lower_case_literals("yyyy-MM-dd'T'HH:mm".into()),
            "yyyy-MM-dd't'HH:mm"
        );
    }
}
