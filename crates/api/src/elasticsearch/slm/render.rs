//! Policies and their totals as Elasticsearch shows them.

use serde_json::{Map, Value, json};
use snapkeep_engine::{LastRun, Policy, PolicyRun, PolicyState, PolicyStats, PolicyTotals};

use crate::elasticsearch::output::Readable;
use crate::elasticsearch::units;

/// One policy with its state.
pub fn policy(policy: &Policy, state: &PolicyState, readable: Readable) -> Value {
    let mut shown = Map::new();
    shown.insert("version".into(), policy.version.into());
    readable.instant(
        &mut shown,
        "modified_date",
        "modified_date_millis",
        policy.modified_ms,
    );
    shown.insert("policy".into(), policy.spec.extra.clone());
    for (key, last) in [
        ("last_success", &state.last_success),
        ("last_failure", &state.last_failure),
    ] {
        if let Some(last) = last {
            shown.insert(key.into(), invocation(last, readable));
        }
    }
    // Real servers have a time of -1 where nothing is due any more.
    let next = state.next_run_ms.or_else(|| {
        let schedule = policy.spec.schedule.as_ref()?;
        schedule.next_after(jiff::Timestamp::now().as_millisecond())
    });
    readable.instant(
        &mut shown,
        "next_execution",
        "next_execution_millis",
        next.unwrap_or(-1),
    );
    if let Some(run) = &state.in_progress
        && let Some(running) = in_progress(run, readable)
    {
        shown.insert("in_progress".into(), running);
    }
    shown.insert("stats".into(), stats(&policy.key.name, &state.stats));
    shown.into()
}

fn invocation(last: &LastRun, readable: Readable) -> Value {
    let mut shown = Map::new();
    shown.insert("snapshot_name".into(), last.snapshot.clone().into());
    readable.instant(
        &mut shown,
        "start_time_string",
        "start_time",
        last.started_ms,
    );
    readable.instant(&mut shown, "time_string", "time", last.ended_ms);
    if let Some(details) = &last.details {
        shown.insert("details".into(), details.clone().into());
    }
    shown.into()
}

/// A run whose snapshot has a name already.
fn in_progress(run: &PolicyRun, readable: Readable) -> Option<Value> {
    let mut shown = Map::new();
    shown.insert("name".into(), run.snapshot.clone()?.into());
    shown.insert("uuid".into(), run.snapshot_uuid.clone()?.into());
    shown.insert("state".into(), "STARTED".into());
    readable.instant(
        &mut shown,
        "start_time",
        "start_time_millis",
        run.started_ms,
    );
    Some(shown.into())
}

/// Counts of one policy.
pub fn stats(id: &str, stats: &PolicyStats) -> Value {
    json!({
        "policy": id,
        "snapshots_taken": stats.taken,
        "snapshots_failed": stats.failed,
        "snapshots_deleted": stats.deleted,
        "snapshot_deletion_failures": stats.deletion_failures,
    })
}

/// Counts of all policies.
pub fn totals(totals: &PolicyTotals, policies: Vec<Value>) -> Value {
    let retention_ms = i64::try_from(totals.retention_ms).unwrap_or(i64::MAX);
    json!({
        "retention_runs": totals.retention_runs,
        "retention_failed": totals.retention_failed,
        "retention_timed_out": totals.retention_timed_out,
        "retention_deletion_time": units::readable_millis(retention_ms),
        "retention_deletion_time_millis": retention_ms,
        "total_snapshots_taken": totals.stats.taken,
        "total_snapshots_failed": totals.stats.failed,
        "total_snapshots_deleted": totals.stats.deleted,
        "total_snapshot_deletion_failures": totals.stats.deletion_failures,
        "policy_stats": policies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_engine::{NameTemplate, PolicyKey, PolicySpec};

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn a_policy_has_its_keys_in_the_order_of_real_servers() {
        let template = NameTemplate::DateMath {
            expression: "d".into(),
        };
        let mut spec = PolicySpec::new("r", template);
        spec.extra = json!({"name": "d"});
        let key = PolicyKey::slm("daily");
        let shown = Policy {
            key: key.clone(),
            spec,
            version: 3,
            created_ms: 1,
            modified_ms: 1_556_048_137_314,
        };
        let last = LastRun {
            snapshot: "d-x".into(),
            started_ms: 5,
            ended_ms: 7,
            details: Some("why".into()),
        };
        let state = PolicyState {
            key,
            next_run_ms: Some(4_081_800_600_000),
            next_retention_ms: None,
            next_verification_ms: None,
            in_progress: None,
            queued: false,
            last_success: None,
            last_failure: Some(last),
            stats: PolicyStats {
                failed: 1,
                ..PolicyStats::default()
            },
            last_retention: None,
            deletion_failures: Vec::new(),
            last_verification: None,
        };
        let plain = policy(&shown, &state, Readable(false));
        assert_eq!(
            keys(&plain),
            [
                "version",
                "modified_date_millis",
                "policy",
                "last_failure",
                "next_execution_millis",
                "stats"
            ]
        );
        assert_eq!(
            plain["last_failure"],
            json!({"snapshot_name": "d-x", "start_time": 5, "time": 7, "details": "why"})
        );
        assert_eq!(plain["stats"]["snapshots_failed"], 1);
        let human = policy(&shown, &state, Readable(true));
        assert_eq!(human["modified_date"], "2019-04-23T19:35:37.314Z");
        assert_eq!(human["next_execution"], "2099-05-07T01:30:00.000Z");
    }
}
