//! Automatic snapshots of an instance.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use snapkeep_engine::{
    EngineError, Expected, NameTemplate, Policy, PolicySpec, Retention, Schedule, ScheduleKind,
    Selection,
};

use super::call::{AlibabaResult, Answer, Call};
use super::errors::{AlibabaError, Fault};
use super::state::{AlibabaState, REPOSITORY};
use crate::auth::Need;
use crate::shared::policies;

/// When snapshots are taken unless the client says otherwise.
const DEFAULT_QUARTZ: &str = "0 0 01 ? * * *";
/// Snapshots are kept so long; the real service has no setting for it either.
const KEPT_MS: i64 = 7 * 86_400_000;
/// Indices of monitoring and audit are left out.
const INDICES: &str = "*,-.monitoring*,-.security_audit*";
const DATE_FORMAT: &str = "yyyyMMddHHmmss";

/// The setting as clients give and get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoSnapshot {
    enable: bool,
    quartz_regex: String,
    indices: String,
}

impl Default for AutoSnapshot {
    fn default() -> Self {
        Self {
            enable: false,
            quartz_regex: DEFAULT_QUARTZ.to_owned(),
            indices: "*".to_owned(),
        }
    }
}

impl AutoSnapshot {
    /// What a body asks for. Without a schedule, one that is switched off keeps the one it has.
    fn read(body: &Map<String, Value>, before: &Self) -> Result<Self, AlibabaError> {
        let enable = match body.get("enable") {
            Some(Value::Bool(enable)) => *enable,
            Some(Value::String(text)) if text == "true" => true,
            Some(Value::String(text)) if text == "false" => false,
            Some(Value::Null) | None => {
                return Err(Fault::InvalidParameter.because("The parameter enable is required."));
            }
            Some(_) => {
                return Err(
                    Fault::InvalidParameter.because("The parameter enable must be true or false.")
                );
            }
        };
        let text =
            |name: &str| match body.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
                Some(_) => Err(Fault::InvalidParameter
                    .because(format!("The parameter {name} must be a string."))),
            };
        let quartz = match (text("quartzRegex")?, enable) {
            (Some(quartz), _) => quartz,
            (None, true) => {
                return Err(Fault::InvalidParameter
                    .because("The parameter quartzRegex is required when enable is true."));
            }
            (None, false) => before.quartz_regex.as_str(),
        };
        Ok(Self {
            enable,
            quartz_regex: quartz.to_owned(),
            indices: text("indices")?.unwrap_or(&before.indices).to_owned(),
        })
    }

    fn of(policy: &Policy) -> Self {
        let kept: Self = serde_json::from_value(policy.spec.extra.clone()).unwrap_or_default();
        Self {
            enable: policy.spec.enabled,
            ..kept
        }
    }

    /// The policy of the engine.
    fn spec(&self, instance: &str, time_zone: &str) -> Result<PolicySpec, AlibabaError> {
        let schedule = quartz(&self.quartz_regex, time_zone)?;
        let template = NameTemplate::Dated {
            prefix: format!("{instance}_"),
            date_format: DATE_FORMAT.to_owned(),
            time_zone: time_zone.to_owned(),
            random: 0,
        };
        let indices = match self.indices.as_str() {
            "*" => INDICES,
            chosen => chosen,
        };
        Ok(PolicySpec {
            enabled: self.enable,
            selection: Selection {
                indices: vec![indices.to_owned()],
                ignore_unavailable: true,
                include_global_state: false,
                partial: true,
                ..Selection::default()
            },
            schedule: Some(schedule),
            retention: Retention {
                max_age_ms: Some(KEPT_MS),
                ..Retention::default()
            },
            extra: serde_json::to_value(self).unwrap_or_default(),
            ..PolicySpec::new(REPOSITORY, template)
        })
    }
}

/// A Quartz expression: six or seven fields, the second first.
fn quartz(expression: &str, time_zone: &str) -> Result<Schedule, AlibabaError> {
    let invalid = |reason: &str| {
        Fault::InvalidParameter.because(format!(
            "The parameter quartzRegex [{expression}] is invalid: {reason}."
        ))
    };
    if !matches!(expression.split_whitespace().count(), 6 | 7) {
        return Err(invalid(
            "it needs six or seven fields: sec min hour day month weekday [year]",
        ));
    }
    let schedule = Schedule {
        kind: ScheduleKind::Cron {
            expression: expression.to_owned(),
        },
        time_zone: time_zone.to_owned(),
    };
    schedule
        .validate()
        .map_err(|error| invalid(&error.to_string()))?;
    Ok(schedule)
}

/// The policy of an instance, if it has one.
async fn current(state: &AlibabaState, instance: &str) -> Result<Option<Policy>, AlibabaError> {
    match state.engine.policy(&state.policy_key(instance)).await {
        Ok(policy) => Ok(Some(policy)),
        Err(EngineError::PolicyMissing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the policy of an instance if it has none, switched off.
pub async fn ensure(call: &Call, instance: &str, need: Need<'_>) -> Result<(), AlibabaError> {
    match current(&call.state, instance).await? {
        None => put(call, instance, &AutoSnapshot::default(), need).await,
        Some(policy) => Ok(policies::authorise(&call.caller, need, &policy.spec)?),
    }
}

async fn put(
    call: &Call,
    instance: &str,
    wanted: &AutoSnapshot,
    need: Need<'_>,
) -> Result<(), AlibabaError> {
    let state = &call.state;
    let spec = wanted.spec(instance, &state.config.time_zone)?;
    policies::authorise(&call.caller, need, &spec)?;
    state.repository(instance).await?;
    state
        .engine
        .put_policy(&state.policy_key(instance), spec, Expected::Anything)
        .await?;
    Ok(())
}

/// `GET …/snapshot-setting`. This one answer has keys in capitals.
pub async fn describe(call: Call, instance: &str) -> AlibabaResult {
    call.authorise(instance, Need::read("DescribeSnapshotSetting"))?;
    let policy = current(&call.state, instance).await?;
    let setting = policy.as_ref().map(AutoSnapshot::of).unwrap_or_default();
    Ok(Answer::Capital(json!({
        "Enable": setting.enable,
        "QuartzRegex": setting.quartz_regex,
        "Indices": setting.indices,
    })))
}

/// `POST` or `PUT …/snapshot-setting`.
pub async fn update(call: Call, instance: &str) -> AlibabaResult {
    let need = Need::administer("UpdateSnapshotSetting");
    let setting = change(call, instance, need).await?;
    Ok(Answer::Capital(shown(&setting)))
}

/// `PUT /openapi/es-serverless/instances/{app}/auto-snapshot-setting`.
pub async fn update_serverless(call: Call, app: &str) -> AlibabaResult {
    let need = Need::administer("UpdateAutoSnapshotSetting");
    let setting = change(call, app, need).await?;
    Ok(Answer::Lower(shown(&setting)))
}

fn shown(setting: &AutoSnapshot) -> Value {
    json!({
        "enable": setting.enable,
        "quartzRegex": setting.quartz_regex,
        "indices": setting.indices,
    })
}

/// Changes the setting. Switching automatic snapshots off takes a last one; changing the time takes none.
async fn change(call: Call, instance: &str, need: Need<'_>) -> Result<AutoSnapshot, AlibabaError> {
    call.authorise(instance, need.repository(REPOSITORY))?;
    let state = &call.state;
    let _turn = state.turn.lock().await;
    let policy = current(state, instance).await?;
    let before = policy.as_ref().map(AutoSnapshot::of).unwrap_or_default();
    let wanted = AutoSnapshot::read(&call.object()?, &before)?;
    quartz(&wanted.quartz_regex, &state.config.time_zone)?;
    if before.enable && !wanted.enable {
        ensure(&call, instance, need).await?;
        let last = state.engine.run_policy(&state.policy_key(instance)).await;
        if let Err(error) = last {
            tracing::warn!(instance, %error, "automatic snapshots end without a last one");
        }
    }
    put(&call, instance, &wanted, need).await?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<AutoSnapshot, AlibabaError> {
        AutoSnapshot::read(body.as_object().unwrap(), &AutoSnapshot::default())
    }

    #[test]
    fn the_documented_body_becomes_a_policy() {
        let setting = read(json!({"enable": true, "quartzRegex": "0 0 01 ? * * *"})).unwrap();
        let spec = setting.spec("es-cn-abcdefghijklmn", "+08:00").unwrap();
        assert!(spec.enabled);
        assert_eq!(spec.retention.max_age_ms, Some(604_800_000));
        assert_eq!(spec.selection.indices, [INDICES]);
        assert_eq!(spec.schedule.unwrap().time_zone, "+08:00");
        let NameTemplate::Dated { prefix, random, .. } = spec.name_template else {
            panic!("names have a date")
        };
        assert_eq!((prefix.as_str(), random), ("es-cn-abcdefghijklmn_", 0));
    }

    #[test]
    fn a_schedule_is_needed_only_when_it_is_switched_on() {
        assert!(read(json!({"enable": true})).is_err());
        assert!(read(json!({"quartzRegex": "0 0 01 ? * * *"})).is_err());
        assert!(read(json!({"enable": 1})).is_err());
        let off = read(json!({"enable": "false"})).unwrap();
        assert_eq!(off.quartz_regex, DEFAULT_QUARTZ);
    }

    #[test]
    fn schedules_are_those_of_quartz() {
        for good in ["0 0 01 ? * * *", "0 0/30 * * * ? *", "0 15 10 ? * MON-FRI"] {
            assert!(quartz(good, "+08:00").is_ok(), "{good}");
        }
        for bad in ["", "0 1 * * *", "0 0 25 ? * * *", "x y z ? * * *"] {
            let refused = quartz(bad, "+08:00").unwrap_err();
            assert_eq!(refused.fault, Fault::InvalidParameter, "{bad}");
        }
    }
}
