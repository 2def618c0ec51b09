//! What belongs to no index: templates and cluster settings, as one JSON object
//! `{"settings":{…flat…},"templates":{…},"component_templates":{…},"index_templates":{…}}`.

use serde_json::{Map, Value, json};
use snapkeep_store::{Store, StoreError, TemplateKind};

const KINDS: [(&str, TemplateKind); 3] = [
    ("templates", TemplateKind::Legacy),
    ("component_templates", TemplateKind::Component),
    ("index_templates", TemplateKind::Composable),
];

/// Describes the state. Transient settings are not part of it, as in Elasticsearch.
pub(super) fn capture(store: &Store) -> Value {
    let settings: Map<String, Value> = store.cluster_settings().persistent.into_iter().collect();
    let mut state = Map::new();
    state.insert("settings".to_owned(), Value::Object(settings));
    for (key, kind) in KINDS {
        state.insert(
            key.to_owned(),
            Value::Object(store.templates(kind).into_iter().collect()),
        );
    }
    Value::Object(state)
}

/// Makes the persistent settings those of `state` and merges its templates by name.
pub(super) fn restore(store: &Store, state: &Value) -> Result<(), StoreError> {
    let empty = Map::new();
    let wanted = state
        .get("settings")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut changes: Map<String, Value> = store
        .cluster_settings()
        .persistent
        .into_keys()
        .map(|key| (key, Value::Null))
        .collect();
    changes.extend(wanted.clone());
    store.put_cluster_settings(&Value::Object(changes), &json!({}))?;
    // Components first: composable templates may be refused when they name one that is missing.
    for (key, kind) in KINDS {
        for (name, body) in state.get(key).and_then(Value::as_object).unwrap_or(&empty) {
            store.put_template(kind, name, body.clone())?;
        }
    }
    Ok(())
}
