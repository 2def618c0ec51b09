//! Templates and cluster settings.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::core::Core;
use super::{ClusterSettings, Store, TemplateKind};
use crate::index::{Templates, flatten, matches_pattern};
use crate::{Settings, StoreError};

pub(super) const REGISTRY_KEY: &str = "registry";
const REGISTRY_FORMAT: u32 = 1;

/// Kept as JSON in the `meta` keyspace under `registry`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Registry {
    format: u32,
    templates: Templates,
    persistent: Settings,
    /// Gone after a restart.
    #[serde(skip)]
    transient: Settings,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            format: REGISTRY_FORMAT,
            templates: Templates::default(),
            persistent: Settings::new(),
            transient: Settings::new(),
        }
    }
}

impl Registry {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |reason: String| StoreError::Damaged {
            object: "templates and cluster settings".to_owned(),
            reason,
        };
        let registry: Registry =
            serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
        if registry.format != REGISTRY_FORMAT {
            return Err(damaged(format!("unknown format {}", registry.format)));
        }
        Ok(registry)
    }

    fn set(&self, kind: TemplateKind) -> &BTreeMap<String, Value> {
        match kind {
            TemplateKind::Composable => &self.templates.composable,
            TemplateKind::Component => &self.templates.component,
            TemplateKind::Legacy => &self.templates.legacy,
        }
    }

    fn set_mut(&mut self, kind: TemplateKind) -> &mut BTreeMap<String, Value> {
        match kind {
            TemplateKind::Composable => &mut self.templates.composable,
            TemplateKind::Component => &mut self.templates.component,
            TemplateKind::Legacy => &mut self.templates.legacy,
        }
    }
}

impl Core {
    pub(super) fn registry(&self) -> Registry {
        self.registry
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn templates(&self) -> Templates {
        self.registry().templates
    }

    fn change_registry(
        &self,
        change: impl FnOnce(&mut Registry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _changes = self.lock_changes();
        let mut next = self.registry();
        change(&mut next)?;
        let bytes = serde_json::to_vec(&next).map_err(|cause| {
            StoreError::storage("encode", "templates and cluster settings", cause)
        })?;
        let mut batch = self.batch();
        batch.insert(self.meta(), REGISTRY_KEY, bytes);
        self.commit(batch)?;
        *self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        self.sync()
    }
}

impl Store {
    /// Stores a template body under a name.
    pub fn put_template(
        &self,
        kind: TemplateKind,
        name: &str,
        body: Value,
    ) -> Result<(), StoreError> {
        if name.is_empty() || name.contains(['*', ' ', ',', '#']) || name.starts_with('_') {
            return Err(StoreError::illegal(format!(
                "index_template [{name}] invalid, cause [name must not be empty, start with '_' or contain a space, ',', '#' or '*']"
            )));
        }
        if !body.is_object() {
            return Err(StoreError::illegal("template body must be an object"));
        }
        let has_patterns = body.get("index_patterns").or_else(|| body.get("template"));
        if kind != TemplateKind::Component && has_patterns.is_none() {
            return Err(StoreError::illegal("index patterns are missing"));
        }
        let missing = |component: &&Value| {
            component
                .as_str()
                .is_none_or(|name| !self.core.registry().templates.component.contains_key(name))
        };
        let components = body.get("composed_of").and_then(Value::as_array);
        if let Some(name_missing) = components.and_then(|names| names.iter().find(missing)) {
            return Err(StoreError::illegal(format!(
                "index template [{name}] specifies component templates [{}] that do not exist",
                name_missing.as_str().unwrap_or_default()
            )));
        }
        self.core.change_registry(|registry| {
            registry.set_mut(kind).insert(name.to_owned(), body);
            Ok(())
        })
    }

    /// All templates of a kind, sorted by name.
    pub fn templates(&self, kind: TemplateKind) -> Vec<(String, Value)> {
        self.core
            .registry()
            .set(kind)
            .iter()
            .map(|(name, body)| (name.clone(), body.clone()))
            .collect()
    }

    /// Removes a template; `name` may hold `*`.
    pub fn delete_template(&self, kind: TemplateKind, name: &str) -> Result<(), StoreError> {
        self.core.change_registry(|registry| {
            let set = registry.set_mut(kind);
            let before = set.len();
            set.retain(|candidate, _| !matches_pattern(name, candidate));
            if set.len() == before && name != "*" {
                return Err(StoreError::TemplateNotFound {
                    name: name.to_owned(),
                });
            }
            Ok(())
        })
    }

    /// Current cluster settings.
    pub fn cluster_settings(&self) -> ClusterSettings {
        let registry = self.core.registry();
        ClusterSettings {
            persistent: registry.persistent,
            transient: registry.transient,
        }
    }

    /// Merges cluster settings (nested or flat; null resets, `*` in a null key resets all that match) and
    /// returns the new ones.
    pub fn put_cluster_settings(
        &self,
        persistent: &Value,
        transient: &Value,
    ) -> Result<ClusterSettings, StoreError> {
        let persistent = flatten(persistent, "")?;
        let transient = flatten(transient, "")?;
        self.core.change_registry(|registry| {
            merge_settings(&mut registry.persistent, persistent);
            merge_settings(&mut registry.transient, transient);
            Ok(())
        })?;
        Ok(self.cluster_settings())
    }
}

fn merge_settings(settings: &mut Settings, changes: Settings) {
    for (key, value) in changes {
        if value.is_null() {
            settings.retain(|candidate, _| !matches_pattern(&key, candidate));
        } else {
            settings.insert(key, value);
        }
    }
}
