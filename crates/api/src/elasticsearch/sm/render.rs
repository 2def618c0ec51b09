//! Policies as OpenSearch shows them: documents of its configuration index.

use serde_json::{Map, Value, json};
use snapkeep_engine::Policy;

/// The term that all documents have on a server of one node.
pub const PRIMARY_TERM: u64 = 1;
/// Version of the mapping of the configuration index that OpenSearch 2.19 reports.
const SCHEMA_VERSION: u64 = 21;

/// Id of the document.
pub fn document_id(name: &str) -> String {
    format!("{name}-sm-policy")
}

/// Number of the change that made the policy what it is, counted from 0.
pub fn seq_no(policy: &Policy) -> u64 {
    policy.version.saturating_sub(1)
}

/// The document with its address and version.
pub fn policy(policy: &Policy) -> Value {
    json!({
        "_id": document_id(&policy.key.name),
        "_version": policy.version,
        "_seq_no": seq_no(policy),
        "_primary_term": PRIMARY_TERM,
        "sm_policy": source(policy),
    })
}

/// The document.
fn source(policy: &Policy) -> Value {
    let kept = |key: &str| {
        let value = policy.spec.extra.get(key);
        value.map(|value| (key.to_owned(), value.clone()))
    };
    let mut shown = Map::new();
    shown.insert("name".into(), policy.key.name.clone().into());
    shown.extend(kept("description"));
    shown.insert("schema_version".into(), SCHEMA_VERSION.into());
    shown.extend(kept("creation"));
    shown.extend(kept("deletion"));
    shown.extend(kept("snapshot_config"));
    // How often the real scheduler looks whether something is due.
    let interval =
        json!({"interval": {"start_time": policy.created_ms, "period": 1, "unit": "Minutes"}});
    shown.insert("schedule".into(), interval);
    shown.insert("enabled".into(), policy.spec.enabled.into());
    shown.insert("last_updated_time".into(), policy.modified_ms.into());
    let enabled_time = policy.spec.enabled.then_some(policy.modified_ms);
    shown.insert("enabled_time".into(), enabled_time.into());
    shown.extend(kept("notification"));
    shown.into()
}

/// What is left of a document that was deleted.
pub fn deleted(policy: &Policy) -> Value {
    json!({
        "_index": ".opendistro-ism-config",
        "_id": document_id(&policy.key.name),
        "_version": policy.version + 1,
        "result": "deleted",
        "forced_refresh": true,
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": policy.version,
        "_primary_term": PRIMARY_TERM,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::elasticsearch::sm::body;
    use snapkeep_engine::PolicyKey;

    /// A policy in its third version.
    pub fn stored(name: &str) -> Policy {
        let sent = body::tests::sample();
        Policy {
            key: PolicyKey::sm(name),
            spec: body::spec(name, sent.as_object().unwrap()).unwrap(),
            version: 3,
            created_ms: 1_656_425_122_000,
            modified_ms: 1_656_425_122_909,
        }
    }

    #[test]
    fn a_policy_is_a_document_around_what_was_sent() {
        let shown = policy(&stored("daily"));
        assert_eq!(shown["_id"], "daily-sm-policy");
        assert_eq!(
            (&shown["_version"], &shown["_seq_no"]),
            (&json!(3), &json!(2))
        );
        let source = shown["sm_policy"].as_object().unwrap();
        assert_eq!(
            source.keys().collect::<Vec<_>>(),
            [
                "name",
                "description",
                "schema_version",
                "creation",
                "deletion",
                "snapshot_config",
                "schedule",
                "enabled",
                "last_updated_time",
                "enabled_time",
                "notification"
            ]
        );
        assert_eq!(source["snapshot_config"]["partial"], "true");
        assert_eq!(source["enabled_time"], 1_656_425_122_909_i64);
    }
}
