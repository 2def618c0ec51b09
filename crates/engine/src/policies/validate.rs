//! What a policy may say.

use super::naming;
use super::schedule::zone_of;
use crate::error::EngineError;
use crate::model::{Gfs, PolicyKey, PolicyOrigin, PolicySpec, Retention, Schedule};

/// Largest policy, bytes of JSON.
const MOST_BYTES: usize = 256 << 10;
/// Longest name of a policy, bytes.
const LONGEST_NAME: usize = 1024;
/// Longest lock and age, milliseconds: a hundred years.
pub(super) const LONGEST_MS: i64 = 100 * 366 * 86_400_000;
/// Shortest limit of time, milliseconds.
const SHORTEST_LIMIT_MS: i64 = 1000;
/// Most periods of a kind.
const MOST_PERIODS: u32 = 100_000;

/// Refuses what cannot be used, naming the field.
pub(super) fn check(key: &PolicyKey, spec: &PolicySpec, now_ms: i64) -> Result<(), EngineError> {
    let found = check_key(key)
        .map_err(|reason| ("name", reason))
        .and_then(|()| check_spec(spec, now_ms));
    found.map_err(|(field, reason)| EngineError::PolicyInvalid {
        policy: key.clone(),
        field,
        reason,
    })
}

type Problem = (&'static str, String);

fn check_key(key: &PolicyKey) -> Result<(), String> {
    if key.name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if key.name.len() > LONGEST_NAME {
        return Err(format!("it is longer than {LONGEST_NAME} bytes"));
    }
    if key.name.chars().any(char::is_control) {
        return Err("it holds control characters".to_owned());
    }
    match &key.origin {
        PolicyOrigin::HuaweiCss { cluster: place } | PolicyOrigin::Alibaba { instance: place }
            if place.is_empty() || place.contains('/') =>
        {
            Err(format!(
                "[{place}] cannot be the id of a cluster or instance"
            ))
        }
        _ => Ok(()),
    }
}

fn check_spec(spec: &PolicySpec, now_ms: i64) -> Result<(), Problem> {
    let size = serde_json::to_vec(spec).map_or(usize::MAX, |json| json.len());
    if size > MOST_BYTES {
        return Err((
            "policy",
            format!("it is larger than {MOST_BYTES} bytes of JSON"),
        ));
    }
    let selection = &spec.selection;
    if selection.indices.is_empty()
        && selection.collections.is_empty()
        && !selection.include_global_state
    {
        let reason = "it selects nothing; name indices or collections, or include the global state";
        return Err(("selection", reason.to_owned()));
    }
    naming::name(&spec.name_template, now_ms).map_err(|reason| ("name_template", reason))?;
    check_schedule("schedule", spec.schedule.as_ref())?;
    check_schedule("retention_schedule", spec.retention_schedule.as_ref())?;
    check_schedule("verification.full", spec.verification.full.as_ref())?;
    check_retention(&spec.retention)?;
    let span = |field, value: Option<i64>, least: i64| match value {
        Some(value) if !(least..=LONGEST_MS).contains(&value) => Err((
            field,
            format!("[{value}] is outside of {least} to {LONGEST_MS} milliseconds"),
        )),
        _ => Ok(()),
    };
    span("lock_ms", spec.lock_ms, 1)?;
    span("time_limit_ms", spec.time_limit_ms, SHORTEST_LIMIT_MS)?;
    match spec.verification.sample_after_run {
        Some(share) if !(share > 0.0 && share <= 1.0) => Err((
            "verification.sample_after_run",
            format!("[{share}] must be above 0 and at most 1"),
        )),
        _ => Ok(()),
    }
}

fn check_schedule(field: &'static str, schedule: Option<&Schedule>) -> Result<(), Problem> {
    schedule
        .map_or(Ok(()), Schedule::validate)
        .map_err(|error| (field, error.to_string()))
}

fn check_retention(rules: &Retention) -> Result<(), Problem> {
    if let Some(age) = rules.max_age_ms
        && !(1..=LONGEST_MS).contains(&age)
    {
        let reason = format!("[{age}] is outside of 1 to {LONGEST_MS} milliseconds");
        return Err(("retention.max_age_ms", reason));
    }
    if rules.max_count == Some(0) {
        let reason = "[0] would keep nothing; give at least 1";
        return Err(("retention.max_count", reason.to_owned()));
    }
    if let (Some(least), Some(most)) = (rules.min_count, rules.max_count)
        && least > most
    {
        let reason = format!("[{least}] is more than the maximum [{most}]");
        return Err(("retention.min_count", reason));
    }
    if let Some(gfs) = rules.gfs {
        let Gfs {
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
        } = gfs;
        let counts = [hourly, daily, weekly, monthly, yearly];
        if counts.iter().all(|count| *count == 0) {
            let reason = "it keeps nothing; give at least one count above 0";
            return Err(("retention.gfs", reason.to_owned()));
        }
        if counts.iter().any(|count| *count > MOST_PERIODS) {
            let reason = format!("a count is above {MOST_PERIODS}");
            return Err(("retention.gfs", reason));
        }
    }
    if let Some(zone) = &rules.time_zone {
        zone_of(zone).map_err(|error| ("retention.time_zone", error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NameTemplate, ScheduleKind};

    fn spec() -> PolicySpec {
        let template = NameTemplate::EpochMillis {
            prefix: "snapshot".to_owned(),
        };
        PolicySpec::new("backups", template)
    }

    fn problem(change: impl FnOnce(&mut PolicySpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        check(&PolicyKey::native("daily"), &spec, 0)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_problem_names_the_policy_and_the_field() {
        check(&PolicyKey::native("daily"), &spec(), 0).unwrap();
        let schedule = |expression: &str| {
            Some(Schedule {
                kind: ScheduleKind::Cron {
                    expression: expression.to_owned(),
                },
                time_zone: "UTC".to_owned(),
            })
        };
        let cron = problem(|spec| spec.schedule = schedule("0 25 * * *"));
        assert!(
            cron.starts_with(
                "policy [native/daily]: schedule: invalid cron expression [0 25 * * *]: hour [25]"
            ),
            "{cron}"
        );
        let full = problem(|spec| spec.verification.full = schedule("x"));
        assert!(full.contains("verification.full"), "{full}");
        let least = problem(|spec| {
            spec.retention.min_count = Some(5);
            spec.retention.max_count = Some(4);
        });
        assert!(
            least.contains("retention.min_count: [5] is more than the maximum [4]"),
            "{least}"
        );
        for (field, text) in [
            (
                "gfs",
                problem(|spec| spec.retention.gfs = Some(Gfs::default())),
            ),
            (
                "max_count",
                problem(|spec| spec.retention.max_count = Some(0)),
            ),
            (
                "max_age_ms",
                problem(|spec| spec.retention.max_age_ms = Some(0)),
            ),
            (
                "time_zone",
                problem(|spec| spec.retention.time_zone = Some("Mars".into())),
            ),
            ("lock_ms", problem(|spec| spec.lock_ms = Some(i64::MAX))),
            (
                "time_limit_ms",
                problem(|spec| spec.time_limit_ms = Some(1)),
            ),
            (
                "sample_after_run",
                problem(|spec| spec.verification.sample_after_run = Some(f64::NAN)),
            ),
            (
                "name_template",
                problem(|spec| {
                    spec.name_template = NameTemplate::EpochMillis { prefix: "A".into() }
                }),
            ),
            (
                "selection",
                problem(|spec| {
                    spec.selection.indices.clear();
                    spec.selection.include_global_state = false;
                }),
            ),
            (
                "policy",
                problem(|spec| spec.extra = "x".repeat(MOST_BYTES).into()),
            ),
        ] {
            assert!(text.contains(&format!("{field}: ")), "{text}");
        }
        let nameless = check(&PolicyKey::native(""), &spec(), 0).unwrap_err();
        assert!(nameless.to_string().contains("name: it is empty"));
    }
}
