//! `_explain`: where the creation and the deletion of a policy stand, in the words of OpenSearch's state machine.

use serde_json::{Map, Value, json};
use snapkeep_engine::{Policy, PolicyState, RunState};

use super::render::{PRIMARY_TERM, seq_no};

/// One entry.
pub fn explain(policy: &Policy, state: &PolicyState) -> Value {
    let mut shown = Map::new();
    shown.insert("name".into(), policy.key.name.clone().into());
    shown.insert("creation".into(), creation(state));
    let deletion = policy.spec.extra.get("deletion").map(|_| deletion(state));
    shown.insert("deletion".into(), deletion.into());
    shown.insert("policy_seq_no".into(), seq_no(policy).into());
    shown.insert("policy_primary_term".into(), PRIMARY_TERM.into());
    shown.insert("enabled".into(), policy.spec.enabled.into());
    shown.into()
}

fn creation(state: &PolicyState) -> Value {
    let mut shown = Map::new();
    let word = if state.in_progress.is_some() {
        "CREATING"
    } else {
        "CREATION_START"
    };
    shown.insert("current_state".into(), word.into());
    shown.insert("trigger".into(), json!({"time": state.next_run_ms}));
    if let Some(run) = &state.in_progress {
        if let Some(snapshot) = &run.snapshot {
            shown.insert("started".into(), json!([snapshot]));
        }
        let snapshot = run.snapshot.as_deref().unwrap_or_default();
        let latest = json!({"status": "IN_PROGRESS", "start_time": run.started_ms,
            "info": {"message": format!("Snapshot {snapshot} creation has been started and waiting for completion.")}});
        shown.insert("latest_execution".into(), latest);
    } else if let Some(latest) = latest_creation(state) {
        shown.insert("latest_execution".into(), latest);
    }
    shown.into()
}

/// The later of the last good and the last bad run.
fn latest_creation(state: &PolicyState) -> Option<Value> {
    let ended = |last: &&snapkeep_engine::LastRun| last.ended_ms;
    let success = state.last_success.as_ref();
    let failure = state.last_failure.as_ref();
    let last = success.into_iter().chain(failure).max_by_key(ended)?;
    let is_good = success.is_some_and(|good| std::ptr::eq(good, last));
    let end = |state: RunState| {
        format!(
            "Snapshot {} creation end with state {}.",
            last.snapshot,
            if state == RunState::Success {
                "SUCCESS"
            } else {
                "FAILED"
            }
        )
    };
    let (status, info) = if is_good {
        ("SUCCESS", json!({"message": end(RunState::Success)}))
    } else {
        let cause = last.details.clone();
        let message = end(RunState::Failed);
        (
            "FAILED",
            json!({"message": message, "cause": cause.unwrap_or_else(|| end(RunState::Failed))}),
        )
    };
    Some(
        json!({"status": status, "start_time": last.started_ms, "end_time": last.ended_ms, "info": info}),
    )
}

fn deletion(state: &PolicyState) -> Value {
    let mut shown = Map::new();
    shown.insert("current_state".into(), "DELETION_START".into());
    shown.insert("trigger".into(), json!({"time": state.next_retention_ms}));
    if let Some(last) = &state.last_retention {
        let failures: Vec<String> = state
            .deletion_failures
            .iter()
            .map(|failure| format!("{}: {}", failure.snapshot, failure.reason))
            .collect();
        let cause = last
            .error
            .clone()
            .or_else(|| (!failures.is_empty()).then(|| failures.join("; ")));
        let message = format!(
            "Snapshots [{}] deletion has finished.",
            last.deleted.join(", ")
        );
        let mut info = json!({ "message": message });
        let status = match cause {
            None => "SUCCESS",
            Some(cause) => {
                info["cause"] = cause.into();
                "FAILED"
            }
        };
        let latest = json!({"status": status, "start_time": last.started_ms, "end_time": last.ended_ms, "info": info});
        shown.insert("latest_execution".into(), latest);
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::sm::render::tests::stored;
    use snapkeep_engine::{LastRetention, LastRun, PolicyKey, PolicyStats};

    fn state() -> PolicyState {
        PolicyState {
            key: PolicyKey::sm("daily"),
            next_run_ms: Some(10),
            next_retention_ms: Some(20),
            next_verification_ms: None,
            in_progress: None,
            queued: false,
            last_success: None,
            last_failure: None,
            stats: PolicyStats::default(),
            last_retention: None,
            deletion_failures: Vec::new(),
            last_verification: None,
        }
    }

    fn last(snapshot: &str, ended_ms: i64, details: Option<&str>) -> Option<LastRun> {
        Some(LastRun {
            snapshot: snapshot.into(),
            started_ms: ended_ms - 1,
            ended_ms,
            details: details.map(str::to_owned),
        })
    }

    #[test]
    fn a_new_policy_waits_for_its_triggers() {
        assert_eq!(
            explain(&stored("daily"), &state()),
            json!({"name": "daily",
                "creation": {"current_state": "CREATION_START", "trigger": {"time": 10}},
                "deletion": {"current_state": "DELETION_START", "trigger": {"time": 20}},
                "policy_seq_no": 2, "policy_primary_term": 1, "enabled": true})
        );
    }

    #[test]
    fn the_later_run_is_told() {
        let mut state = state();
        state.last_success = last("daily-1", 100, None);
        state.last_failure = last("daily-2", 200, Some("no space"));
        let failed = explain(&stored("daily"), &state);
        assert_eq!(failed["creation"]["latest_execution"]["status"], "FAILED");
        assert_eq!(
            failed["creation"]["latest_execution"]["info"]["cause"],
            "no space"
        );
        state.last_success = last("daily-3", 300, None);
        let good = explain(&stored("daily"), &state);
        assert_eq!(
            good["creation"]["latest_execution"],
            json!({"status": "SUCCESS", "start_time": 299, "end_time": 300,
                "info": {"message": "Snapshot daily-3 creation end with state SUCCESS."}})
        );
    }

    #[test]
    fn deletions_are_told_with_what_went_wrong() {
        let mut state = state();
        state.last_retention = Some(LastRetention {
            started_ms: 1,
            ended_ms: 2,
            deleted: vec!["a".into(), "b".into()],
            error: None,
        });
        let shown = explain(&stored("daily"), &state);
        let latest = &shown["deletion"]["latest_execution"];
        assert_eq!(
            latest["info"]["message"],
            "Snapshots [a, b] deletion has finished."
        );
        assert_eq!(latest["status"], "SUCCESS");
    }
}
