//! The cluster settings that policies obey: `slm.retention_schedule` and `slm.minimum_interval`.

use serde_json::Value;
use snapkeep_engine::{Engine, Expected, OriginKind, Schedule, ScheduleKind};
use snapkeep_store::Store;

use super::body::Body;
use super::spec::spec;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::failures::from_engine;
use crate::elasticsearch::params::time_error;
use crate::elasticsearch::units::parse_time;

const RETENTION_SCHEDULE: &str = "slm.retention_schedule";
const MINIMUM_INTERVAL: &str = "slm.minimum_interval";

/// What holds where nothing is set.
pub const DEFAULTS: [(&str, &str); 2] = [
    (MINIMUM_INTERVAL, "15m"),
    (RETENTION_SCHEDULE, "0 30 1 * * ?"),
];

/// A cron schedule as Elasticsearch means it: in UTC.
pub fn cron(expression: &str) -> Schedule {
    Schedule {
        kind: ScheduleKind::Cron {
            expression: expression.to_owned(),
        },
        time_zone: "UTC".to_owned(),
    }
}

/// Whether a text is a cron expression of Elasticsearch: six fields or seven.
pub fn is_cron(text: &str) -> bool {
    matches!(text.split_whitespace().count(), 6 | 7) && cron(text).validate().is_ok()
}

/// When retention runs; none: never.
pub fn retention_schedule(store: &Store) -> Option<Schedule> {
    let expression = setting(store, RETENTION_SCHEDULE);
    (!expression.trim().is_empty()).then(|| cron(&expression))
}

/// The shortest time between two snapshots of a policy: as text, and in milliseconds.
pub fn minimum_interval(store: &Store) -> (String, i64) {
    let text = setting(store, MINIMUM_INTERVAL);
    let interval = parse_time(&text).ok().flatten().unwrap_or_default();
    let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    (text, millis)
}

fn setting(store: &Store, key: &str) -> String {
    let set = store.cluster_settings();
    let value = set.transient.get(key).or_else(|| set.persistent.get(key));
    let default = || {
        let known = DEFAULTS.iter().find(|(name, _)| *name == key);
        known.map_or_else(String::new, |(_, value)| (*value).to_owned())
    };
    match value {
        None => default(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Refuses values that cannot be used; `given` are the settings about to be stored, by their full names.
///
/// # Errors
/// 400 naming the setting.
pub fn check_settings<'a>(
    given: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<(), EsError> {
    for (key, value) in given {
        let Some(text) = value.as_str() else { continue };
        if key == MINIMUM_INTERVAL {
            parse_time(text).map_err(|error| time_error(key, text, &error))?;
        }
        if key == RETENTION_SCHEDULE && !text.is_empty() && !is_cron(text) {
            return Err(EsError::illegal_argument(format!(
                "invalid cron expression [{text}] for SLM retention schedule [{RETENTION_SCHEDULE}]"
            )));
        }
    }
    Ok(())
}

/// Brings the policies in line with the settings after these have changed.
///
/// # Errors
/// Those of the engine.
pub async fn follow_settings(engine: &Engine, store: &Store) -> Result<(), EsError> {
    let wanted = retention_schedule(store);
    let failed = |error| from_engine(error, Shape::Es);
    let policies = engine.policies(Some(OriginKind::Slm)).await;
    for policy in policies.map_err(failed)? {
        let Some(shown) = policy.spec.extra.as_object() else {
            continue;
        };
        let mut spec = spec(&Body::read(shown)?, wanted.clone())?;
        spec.enabled = policy.spec.enabled;
        if spec != policy.spec {
            engine
                .put_policy(&policy.key, spec, Expected::Present)
                .await
                .map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_has_six_fields_or_seven() {
        for text in ["0 30 1 * * ?", "0 30 1 * * ? 2026", "0 0 12 ? * MON-FRI"] {
            assert!(is_cron(text), "{text}");
        }
        for text in ["30 1 * * *", "hourly", "0 99 1 * * ?", ""] {
            assert!(!is_cron(text), "{text}");
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        let check = |key, value: &str| check_settings([(key, &Value::from(value))]);
        assert!(check(RETENTION_SCHEDULE, "0 0 * * * ?").is_ok());
        assert!(check(RETENTION_SCHEDULE, "").is_ok());
        assert!(check(RETENTION_SCHEDULE, "never").is_err());
        assert!(check(MINIMUM_INTERVAL, "1s").is_ok());
        assert!(check(MINIMUM_INTERVAL, "1 fortnight").is_err());
        assert!(check("slm.other", "x").is_ok());
    }
}
