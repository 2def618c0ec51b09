//! From a body to a policy of the engine.

use std::time::Duration;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::Expand;
use snapkeep_engine::{
    NameTemplate, PolicySpec, Retention as EngineRetention, Schedule, ScheduleKind, Selection,
};

use super::body::{Body, Retention};
use super::settings;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::fields;
use crate::elasticsearch::units::{exact_millis, parse_time};

/// The policy of the engine that does what a body says; `shown` of it is what clients get back.
///
/// # Errors
/// 400 for a value in `config` of the wrong type.
pub fn spec(body: &Body, retention_schedule: Option<Schedule>) -> Result<PolicySpec, EsError> {
    let template = NameTemplate::DateMath {
        expression: body.name.clone(),
    };
    let mut spec = PolicySpec::new(&body.repository, template);
    spec.schedule = Some(schedule(&body.schedule));
    if let Some(config) = &body.config {
        spec.selection = selection(config)?;
        spec.metadata = config.get("metadata").and_then(Value::as_object).cloned();
    }
    // Without a schedule (`slm.retention_schedule` is empty) nothing is removed, also not after a run.
    if let Some(retention) = body
        .retention
        .as_ref()
        .filter(|_| retention_schedule.is_some())
    {
        spec.retention = EngineRetention {
            max_age_ms: retention.expire_after.map(millis),
            min_count: retention.min_count,
            max_count: retention.max_count,
            ..EngineRetention::default()
        };
    }
    spec.extra = shown(body);
    spec.retention_schedule = retention_schedule;
    Ok(spec)
}

/// A cron expression, or an interval.
pub fn schedule(text: &str) -> Schedule {
    match parse_time(text) {
        Ok(Some(interval)) => Schedule {
            kind: ScheduleKind::Every {
                interval_ms: millis(interval),
                anchor_ms: None,
            },
            time_zone: "UTC".to_owned(),
        },
        _ => settings::cron(text),
    }
}

fn selection(config: &Map<String, Value>) -> Result<Selection, EsError> {
    let spellings = ["ignore_unavailable", "ignoreUnavailable"];
    let selection = fields::selection(config, Expand::ALL, &spellings)?;
    fields::list(config, "feature_states")?;
    Ok(selection)
}

/// `policy` as clients get it back.
fn shown(body: &Body) -> Value {
    let mut shown = Map::new();
    shown.insert("name".into(), body.name.clone().into());
    shown.insert("schedule".into(), body.schedule.clone().into());
    shown.insert("repository".into(), body.repository.clone().into());
    if let Some(config) = &body.config {
        shown.insert("config".into(), config.clone().into());
    }
    if let Some(retention) = &body.retention {
        shown.insert("retention".into(), shown_retention(retention));
    }
    shown.into()
}

fn shown_retention(retention: &Retention) -> Value {
    let mut shown = Map::new();
    if let Some(age) = retention.expire_after {
        shown.insert("expire_after".into(), exact_millis(millis(age)).into());
    }
    for (key, count) in [
        ("min_count", retention.min_count),
        ("max_count", retention.max_count),
    ] {
        shown.extend(count.map(|count| (key.to_owned(), json!(count))));
    }
    shown.into()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> Body {
        Body::read(value.as_object().unwrap()).unwrap()
    }

    fn sample(config: Value) -> Body {
        body(
            json!({"name": "<d-{now/d}>", "schedule": "0 30 1 * * ?", "repository": "r", "config": config,
            "retention": {"expire_after": "36h", "min_count": 1, "unknown": true}}),
        )
    }

    #[test]
    fn a_policy_is_given_back_as_it_was_sent() {
        let config = json!({"indices": ["logs-*"], "partial": "true", "metadata": {"by": "me"}});
        let spec = spec(&sample(config.clone()), Some(settings::cron("0 0 * * * ?"))).unwrap();
        assert_eq!(
            spec.extra,
            json!({"name": "<d-{now/d}>", "schedule": "0 30 1 * * ?", "repository": "r", "config": config,
                "retention": {"expire_after": "36h", "min_count": 1}})
        );
        assert_eq!(spec.selection.indices, ["logs-*"]);
        assert!(spec.selection.partial && spec.selection.expand_closed);
        assert_eq!(spec.retention.max_age_ms, Some(36 * 3_600_000));
        assert_eq!(spec.metadata.unwrap()["by"], "me");
    }

    #[test]
    fn no_indices_mean_all() {
        for config in [json!({}), json!({"indices": []})] {
            let spec = spec(&sample(config), None).unwrap();
            assert_eq!(spec.selection.indices, ["*"]);
        }
        assert!(spec(&sample(json!({"indices": 5})), None).is_err());
    }

    #[test]
    fn without_a_retention_schedule_nothing_is_removed() {
        let spec = spec(&sample(json!({})), None).unwrap();
        assert_eq!(spec.retention, EngineRetention::default());
        assert_eq!(spec.extra["retention"]["expire_after"], "36h");
    }

    #[test]
    fn schedules_are_cron_or_intervals() {
        assert!(matches!(
            schedule("1h").kind,
            ScheduleKind::Every {
                interval_ms: 3_600_000,
                ..
            }
        ));
        assert!(matches!(
            schedule("0 0 * * * ?").kind,
            ScheduleKind::Cron { .. }
        ));
    }
}
