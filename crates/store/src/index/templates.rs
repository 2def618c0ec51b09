//! Index templates: which apply to a new index, and what they add.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{IndexSpec, flatten, merge_template_mappings, normalise_mappings};
use crate::{Settings, StoreError};

/// All templates, by kind and name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Templates {
    pub(crate) composable: BTreeMap<String, Value>,
    pub(crate) component: BTreeMap<String, Value>,
    pub(crate) legacy: BTreeMap<String, Value>,
}

/// What a new index starts from.
pub(crate) struct Resolved {
    pub(crate) settings: Settings,
    pub(crate) mappings: Value,
    pub(crate) aliases: Value,
}

/// Whether `name` matches a pattern with `*`.
pub(crate) fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    while let Some((part, after)) = rest.split_once('*') {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
        rest = after;
    }
    name.len() >= rest.len() && name.ends_with(rest)
}

fn applies(template: &Value, name: &str) -> bool {
    let patterns = template
        .get("index_patterns")
        .or_else(|| template.get("template"));
    match patterns {
        Some(Value::String(pattern)) => matches_pattern(pattern, name),
        Some(Value::Array(patterns)) => patterns
            .iter()
            .filter_map(Value::as_str)
            .any(|pattern| matches_pattern(pattern, name)),
        _ => false,
    }
}

fn rank(template: &Value, key: &str) -> i64 {
    template.get(key).and_then(Value::as_i64).unwrap_or(0)
}

impl Templates {
    /// Templates first, the request last: one composable template by priority, else all legacy ones by
    /// ascending order.
    pub(crate) fn resolve(&self, name: &str, spec: &IndexSpec) -> Result<Resolved, StoreError> {
        let mut resolved = Resolved {
            settings: Settings::new(),
            mappings: Value::Object(Map::new()),
            aliases: Value::Object(Map::new()),
        };
        for part in self.parts(name) {
            resolved.add(part)?;
        }
        resolved.add_parts(&spec.settings, &spec.mappings, &spec.aliases)?;
        resolved.settings.retain(|_, value| !value.is_null());
        Ok(resolved)
    }

    fn parts(&self, name: &str) -> Vec<&Value> {
        let best = self
            .composable
            .values()
            .filter(|template| applies(template, name))
            .max_by_key(|template| rank(template, "priority"));
        if let Some(best) = best {
            let components = best
                .get("composed_of")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| self.component.get(name.as_str()?));
            return components
                .chain([best])
                .filter_map(|template| template.get("template"))
                .collect();
        }
        let mut legacy: Vec<&Value> = self
            .legacy
            .values()
            .filter(|template| applies(template, name))
            .collect();
        legacy.sort_by_key(|template| rank(template, "order"));
        legacy
    }
}

impl Resolved {
    fn add(&mut self, part: &Value) -> Result<(), StoreError> {
        let get = |key| part.get(key).unwrap_or(&Value::Null);
        self.add_parts(get("settings"), get("mappings"), get("aliases"))
    }

    fn add_parts(
        &mut self,
        settings: &Value,
        mappings: &Value,
        aliases: &Value,
    ) -> Result<(), StoreError> {
        self.settings.extend(flatten(settings, "index.")?);
        merge_template_mappings(&mut self.mappings, &normalise_mappings(mappings)?);
        match (self.aliases.as_object_mut(), aliases) {
            (_, Value::Null) => {}
            (Some(all), Value::Object(added)) => all.extend(added.clone()),
            _ => {
                return Err(StoreError::illegal(
                    "malformed aliases, should be an object",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_with_stars_match() {
        for (pattern, name) in [
            ("*", "a"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a*b*c", "axbxc"),
            ("a", "a"),
        ] {
            assert!(matches_pattern(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a*", "b"),
            ("a*c", "ab"),
            ("a*ab", "ab"),
            ("a", "ab"),
            ("*x*", "abc"),
        ] {
            assert!(!matches_pattern(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_composable_template_of_highest_priority_wins_over_legacy_ones() {
        let mut templates = Templates::default();
        let mut put = |kind: u8, name: &str, body: Value| {
            let set = match kind {
                0 => &mut templates.composable,
                1 => &mut templates.component,
                _ => &mut templates.legacy,
            };
            set.insert(name.to_owned(), body);
        };
        put(
            2,
            "old",
            json!({"index_patterns": ["log*"], "settings": {"number_of_shards": 9}}),
        );
        put(
            1,
            "base",
            json!({"template": {"settings": {"number_of_shards": 2, "codec": "x"}, "mappings": {"properties": {"a": {"type": "long"}}}}}),
        );
        put(
            0,
            "low",
            json!({"index_patterns": ["log*"], "priority": 1, "template": {}}),
        );
        put(
            0,
            "high",
            json!({"index_patterns": ["log*"], "priority": 5, "composed_of": ["base"], "template": {"settings": {"number_of_shards": 3}, "aliases": {"all": {}}}}),
        );
        let spec = IndexSpec {
            settings: json!({"number_of_replicas": 0}),
            mappings: json!({"properties": {"b": {"type": "ip"}}}),
            aliases: Value::Null,
        };
        let resolved = templates.resolve("logs", &spec).unwrap();
        assert_eq!(resolved.settings["index.number_of_shards"], "3");
        assert_eq!(resolved.settings["index.codec"], "x");
        assert_eq!(resolved.settings["index.number_of_replicas"], "0");
        assert_eq!(
            resolved.mappings,
            json!({"properties": {"a": {"type": "long"}, "b": {"type": "ip"}}})
        );
        assert_eq!(resolved.aliases, json!({"all": {}}));
        assert!(templates.resolve("other", &spec).unwrap().settings.len() == 1);
    }
}
