//! The body of `PUT /_slm/policy/{id}`: what it may say, and what is wrong with it in Elasticsearch's words.

use std::time::Duration;

use serde_json::{Map, Value};
use snapkeep_engine::names::{SnapshotNameRule, check_snapshot_name, resolve_date_math};

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::name_rule;
use crate::elasticsearch::params::time_error;
use crate::elasticsearch::units::parse_time;

/// The key in a snapshot's metadata that names its policy.
pub const POLICY_KEY: &str = "policy";

/// Longest id in bytes, as for an index.
const MAX_ID_BYTES: usize = 255;
/// Largest metadata of a snapshot in bytes of JSON, the name of the policy included.
const MAX_METADATA_BYTES: usize = 1024;
/// Characters that no file may have in its name.
const FORBIDDEN: [char; 10] = [' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?'];

/// A policy as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Name of the snapshots, with date math.
    pub name: String,
    /// Cron expression or interval.
    pub schedule: String,
    /// Repository.
    pub repository: String,
    /// What goes into the snapshots.
    pub config: Option<Map<String, Value>>,
    /// How long they are kept.
    pub retention: Option<Retention>,
}

/// `retention`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retention {
    /// `expire_after`.
    pub expire_after: Option<Duration>,
    /// `min_count`.
    pub min_count: Option<u32>,
    /// `max_count`.
    pub max_count: Option<u32>,
}

impl Body {
    /// Reads a body. Unknown keys are ignored, as Elasticsearch does here.
    pub fn read(body: &Map<String, Value>) -> Result<Self, EsError> {
        let name = text(body, "snapshot_lifecycle", "name")?;
        let schedule = text(body, "snapshot_lifecycle", "schedule")?;
        let repository = text(body, "snapshot_lifecycle", "repository")?;
        let config = object(body, "config")?;
        let retention = match object(body, "retention")? {
            None => None,
            Some(retention) => Some(Retention::read(&retention)?),
        };
        match (name, schedule, repository) {
            (Some(name), Some(schedule), Some(repository)) => Ok(Self {
                name,
                schedule,
                repository,
                config,
                retention,
            }),
            (name, schedule, repository) => {
                let missing: Vec<&str> = [
                    ("name", name.is_none()),
                    ("schedule", schedule.is_none()),
                    ("repository", repository.is_none()),
                ]
                .iter()
                .filter(|(_, is_missing)| *is_missing)
                .map(|(key, _)| *key)
                .collect();
                Err(EsError::illegal_argument(format!(
                    "Required [{}]",
                    missing.join(", ")
                )))
            }
        }
    }

    /// Checks everything that can be checked without looking at the server: id, name, schedule, metadata, repository.
    /// `is_cron` tells whether a text is a cron expression.
    pub fn check(
        &self,
        id: &str,
        now_ms: i64,
        is_cron: impl Fn(&str) -> bool,
    ) -> Result<(), EsError> {
        let mut problems = id_problems(id);
        problems.extend(name_problem(&self.name, now_ms)?);
        problems.extend(schedule_problem(&self.schedule, is_cron));
        problems.extend(self.metadata_problem(id));
        if self.repository.trim().is_empty() {
            problems.push(format!(
                "invalid repository name [{}]: cannot be empty",
                self.repository
            ));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = problems.iter().map(String::as_str).collect();
        Err(EsError::validation(&texts))
    }

    /// What every snapshot of the policy carries: the metadata of `config` and the id of the policy.
    pub fn metadata(&self, id: &str) -> Map<String, Value> {
        let given = self
            .config
            .as_ref()
            .and_then(|config| config.get("metadata"))
            .and_then(Value::as_object);
        let mut metadata = given.cloned().unwrap_or_default();
        metadata.insert(POLICY_KEY.to_owned(), id.into());
        metadata
    }

    fn metadata_problem(&self, id: &str) -> Option<String> {
        let given = self.config.as_ref()?.get("metadata")?;
        let Some(metadata) = given.as_object() else {
            return Some(format!(
                "invalid configuration.metadata [{}]: must be an object if present",
                plain(given)
            ));
        };
        if metadata.contains_key(POLICY_KEY) {
            return Some(format!(
                "invalid configuration.metadata: field name [{POLICY_KEY}] is reserved and will be added automatically"
            ));
        }
        let own = given.to_string().len();
        let whole = Value::Object(self.metadata(id)).to_string().len();
        (whole > MAX_METADATA_BYTES).then(|| {
            format!(
                "invalid configuration.metadata: must be smaller than [{}] bytes, but is [{own}] bytes",
                MAX_METADATA_BYTES.saturating_sub(whole - own)
            )
        })
    }
}

impl Retention {
    fn read(body: &Map<String, Value>) -> Result<Self, EsError> {
        let parser = "snapshot_retention";
        let expire_after = match text(body, parser, "expire_after").map_err(in_retention)? {
            None => None,
            Some(text) => parse_time(&text).map_err(|error| {
                in_retention(not_built(time_error("expire_after", &text, &error)))
            })?,
        };
        let min_count = count(body, "min_count")?;
        let max_count = count(body, "max_count")?;
        for (value, word) in [(min_count, "minimum"), (max_count, "maximum")] {
            if let Some(value) = value.filter(|value| *value < 1) {
                return Err(refused(format!(
                    "{word} snapshot count must be at least 1, but was: {value}"
                )));
            }
        }
        if let (Some(min), Some(max)) = (min_count, max_count)
            && min > max
        {
            return Err(refused(format!(
                "minimum snapshot count {min} cannot be larger than maximum snapshot count {max}"
            )));
        }
        let small = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        Ok(Self {
            expire_after,
            min_count: small(min_count),
            max_count: small(max_count),
        })
    }
}

/// A retention that contradicts itself; told from the outside in, as the parsers are nested.
fn refused(reason: String) -> EsError {
    in_retention(not_built(EsError::illegal_argument(reason)))
}

fn not_built(cause: EsError) -> EsError {
    ErrorKind::XContentParse
        .error("Failed to build [snapshot_retention] after last required field arrived")
        .caused_by(cause)
}

fn in_retention(cause: EsError) -> EsError {
    ErrorKind::XContentParse
        .error("[snapshot_lifecycle] failed to parse field [retention]")
        .caused_by(cause)
}

fn text(body: &Map<String, Value>, parser: &str, key: &str) -> Result<Option<String>, EsError> {
    match body.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong_type(parser, key, other)),
    }
}

fn object(body: &Map<String, Value>, key: &str) -> Result<Option<Map<String, Value>>, EsError> {
    match body.get(key) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(other) => Err(wrong_type("snapshot_lifecycle", key, other)),
    }
}

/// A whole number; also as text, which the parsers of Elasticsearch take.
fn count(body: &Map<String, Value>, key: &str) -> Result<Option<i64>, EsError> {
    let number = match body.get(key) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => return Err(in_retention(wrong_type("snapshot_retention", key, other))),
    };
    let limit = i64::from(i32::MAX);
    match number.filter(|number| (-limit..=limit).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => {
            let given = body.get(key).map(plain).unwrap_or_default();
            let cause = ErrorKind::NumberFormat.error(format!("For input string: \"{given}\""));
            let error = ErrorKind::XContentParse
                .error(format!(
                    "[snapshot_retention] failed to parse field [{key}]"
                ))
                .caused_by(cause);
            Err(in_retention(error))
        }
    }
}

fn wrong_type(parser: &str, key: &str, value: &Value) -> EsError {
    let kind = match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    ErrorKind::XContentParse.error(format!(
        "[{parser}] {key} doesn't support values of type: {kind}"
    ))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn id_problems(id: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if id.contains(FORBIDDEN) {
        let rule = name_rule(SnapshotNameRule::Characters, Shape::Es);
        problems.push(format!("invalid policy id [{id}]: {rule}"));
    }
    if id.starts_with('_') {
        problems.push(format!("invalid policy id [{id}]: must not start with '_'"));
    }
    if id.len() > MAX_ID_BYTES {
        problems.push(format!(
            "invalid policy id [{id}]: name is too long, ({} > {MAX_ID_BYTES} bytes)",
            id.len()
        ));
    }
    problems
}

/// What the name would break once its date math is resolved.
fn name_problem(name: &str, now_ms: i64) -> Result<Option<String>, EsError> {
    if name.trim().is_empty() {
        return Ok(Some(format!(
            "invalid snapshot name [{name}]: cannot be empty"
        )));
    }
    let resolved = resolve_date_math(name, now_ms)
        .map_err(|error| ErrorKind::Parse.error(error.to_string()))?;
    Ok(check_snapshot_name(&resolved).err().map(|rule| {
        format!(
            "invalid snapshot name [{name}]: {}",
            name_rule(rule, Shape::Es)
        )
    }))
}

fn schedule_problem(schedule: &str, is_cron: impl Fn(&str) -> bool) -> Option<String> {
    if schedule.trim().is_empty() {
        return Some(format!(
            "invalid schedule [{schedule}]: schedule must not be empty"
        ));
    }
    match parse_time(schedule) {
        Ok(Some(interval)) if interval.as_millis() == 0 => Some(format!(
            "invalid schedule [{schedule}]: time unit must be at least 1 millisecond"
        )),
        Ok(Some(_)) => None,
        _ if is_cron(schedule) => None,
        _ => Some(format!(
            "invalid schedule [{schedule}]: must be a valid cron expression or time unit"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Body, Value> {
        Body::read(body.as_object().unwrap()).map_err(|error| error.render(Shape::Es, false))
    }

    fn sample() -> Value {
        json!({"name": "<snap-{now/d}>", "schedule": "0 30 1 * * ?", "repository": "r"})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = sample();
        body[key] = value;
        body
    }

    fn check(id: &str, body: Value) -> String {
        let is_cron = |text: &str| text.split(' ').count() >= 6;
        match read(body).unwrap().check(id, 0, is_cron) {
            Ok(()) => String::new(),
            Err(error) => error.render(Shape::Es, false)["error"]["reason"]
                .as_str()
                .unwrap()
                .to_owned(),
        }
    }

    #[test]
    fn what_is_missing_is_told_in_one_go() {
        let error = read(json!({"name": "x", "bogus": 1})).unwrap_err();
        assert_eq!(error["error"]["type"], "illegal_argument_exception");
        assert_eq!(error["error"]["reason"], "Required [schedule, repository]");
    }

    #[test]
    fn types_are_strict() {
        let error = read(with("schedule", json!(5))).unwrap_err();
        assert_eq!(error["error"]["type"], "x_content_parse_exception");
        assert_eq!(
            error["error"]["reason"],
            "[snapshot_lifecycle] schedule doesn't support values of type: VALUE_NUMBER"
        );
    }

    #[test]
    fn a_retention_must_not_contradict_itself() {
        let cause = |retention| {
            let error = read(with("retention", retention)).unwrap_err();
            assert_eq!(
                error["error"]["reason"],
                "[snapshot_lifecycle] failed to parse field [retention]"
            );
            error["error"]["caused_by"]["caused_by"]["reason"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            cause(json!({"min_count": 5, "max_count": 3})),
            "minimum snapshot count 5 cannot be larger than maximum snapshot count 3"
        );
        assert_eq!(
            cause(json!({"max_count": 0})),
            "maximum snapshot count must be at least 1, but was: 0"
        );
        assert_eq!(
            cause(json!({"expire_after": "5x"})),
            "failed to parse setting [expire_after] with value [5x] as a time value: unit is missing or unrecognized"
        );
        let kept = read(with(
            "retention",
            json!({"expire_after": "30d", "min_count": "5"}),
        ));
        assert_eq!(
            kept.unwrap().retention.unwrap(),
            Retention {
                expire_after: Some(Duration::from_secs(30 * 86_400)),
                min_count: Some(5),
                max_count: None
            }
        );
    }

    #[test]
    fn every_rule_has_its_text() {
        assert_eq!(check("daily", sample()), "");
        for (id, body, expected) in [
            (
                "_x",
                sample(),
                "Validation Failed: 1: invalid policy id [_x]: must not start with '_';",
            ),
            (
                "d",
                with("name", json!("UPPER")),
                "Validation Failed: 1: invalid snapshot name [UPPER]: must be lowercase;",
            ),
            (
                "d",
                with("schedule", json!("  ")),
                "Validation Failed: 1: invalid schedule [  ]: schedule must not be empty;",
            ),
            (
                "d",
                with("schedule", json!("* * * * *")),
                "Validation Failed: 1: invalid schedule [* * * * *]: must be a valid cron expression or time unit;",
            ),
            (
                "d",
                with("schedule", json!("0s")),
                "Validation Failed: 1: invalid schedule [0s]: time unit must be at least 1 millisecond;",
            ),
            (
                "d",
                with("config", json!({"metadata": "x"})),
                "Validation Failed: 1: invalid configuration.metadata [x]: must be an object if present;",
            ),
            (
                "d",
                with("config", json!({"metadata": {"policy": "x"}})),
                "Validation Failed: 1: invalid configuration.metadata: field name [policy] is reserved and will be added automatically;",
            ),
            (
                "d",
                with("repository", json!("")),
                "Validation Failed: 1: invalid repository name []: cannot be empty;",
            ),
        ] {
            assert_eq!(check(id, body), expected);
        }
        assert_eq!(check("d", with("schedule", json!("1h"))), "");
        let characters = check("a b", sample());
        assert!(
            characters.starts_with(
                "Validation Failed: 1: invalid policy id [a b]: must not contain the following characters ["
            ),
            "{characters}"
        );
    }

    #[test]
    fn metadata_leaves_room_for_the_policy() {
        let text = check(
            "d",
            with("config", json!({"metadata": {"k": "x".repeat(1010)}})),
        );
        assert_eq!(
            text,
            "Validation Failed: 1: invalid configuration.metadata: must be smaller than [1011] bytes, but is [1018] bytes;"
        );
        let body = read(with("config", json!({"metadata": {"by": "me"}}))).unwrap();
        assert_eq!(
            Value::Object(body.metadata("daily")),
            json!({"by": "me", "policy": "daily"})
        );
    }
}
