//! `_index_template`, `_component_template` and the legacy `_template`.

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::matches;
use snapkeep_store::{Settings, TemplateKind};

use super::render;
use crate::elasticsearch::call::{Call, Reply, empty, ok, status};
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::split_list;

fn kind_name(kind: TemplateKind) -> &'static str {
    match kind {
        TemplateKind::Composable => "index template",
        TemplateKind::Component => "component template",
        TemplateKind::Legacy => "index_template",
    }
}

fn known_keys(kind: TemplateKind) -> &'static [&'static str] {
    match kind {
        TemplateKind::Composable => &[
            "index_patterns",
            "template",
            "composed_of",
            "priority",
            "version",
            "_meta",
            "allow_auto_create",
            "ignore_missing_component_templates",
            "deprecated",
        ],
        TemplateKind::Component => &["template", "version", "_meta", "deprecated"],
        TemplateKind::Legacy => &[
            "index_patterns",
            "settings",
            "mappings",
            "aliases",
            "order",
            "version",
        ],
    }
}

/// `PUT|POST` of a template.
pub fn put(call: &Call, kind: TemplateKind) -> Reply {
    call.params.check_timeouts()?;
    let name = call.arg("name");
    if name.contains([',', '*', '#', ' '])
        || name.starts_with('_')
        || name.chars().any(char::is_uppercase)
    {
        return Err(EsError::validation(&[&format!(
            "name [{name}] must be lower case, without [,], [*], [#] or blanks, and not start with [_]"
        )]));
    }
    let Value::Object(mut body) = call.required_json()? else {
        return Err(ErrorKind::Parse.error("Failed to parse content to map"));
    };
    if body.contains_key("data_stream") {
        return Err(EsError::illegal_argument(
            "[data_stream] in an index template is not supported by this server",
        ));
    }
    if let Some(key) = body
        .keys()
        .find(|key| !known_keys(kind).contains(&key.as_str()))
    {
        return Err(match kind {
            TemplateKind::Legacy => {
                ErrorKind::Parse.error(format!("unknown key [{key}] in the template "))
            }
            _ => ErrorKind::UnknownField.error(format!(
                "[{}] unknown field [{key}]",
                kind_name(kind).replace(' ', "_")
            )),
        });
    }
    normalise(call, kind, &mut body)?;
    if call.params.bool("create", false)?
        && call
            .store()
            .templates(kind)
            .iter()
            .any(|(existing, _)| existing == name)
    {
        return Err(EsError::illegal_argument(format!(
            "{} [{name}] already exists",
            kind_name(kind)
        )));
    }
    call.store().put_template(kind, name, Value::Object(body))?;
    ok(json!({"acknowledged": true}))
}

/// Brings patterns and settings into the form in which they are shown.
fn normalise(
    call: &Call,
    kind: TemplateKind,
    body: &mut Map<String, Value>,
) -> Result<(), EsError> {
    if kind != TemplateKind::Component {
        let patterns = match body.remove("index_patterns") {
            Some(Value::String(one)) => json!([one]),
            Some(list @ Value::Array(_))
                if list.as_array().is_some_and(|items| !items.is_empty()) =>
            {
                list
            }
            _ => return Err(EsError::validation(&["index patterns are missing"])),
        };
        body.insert("index_patterns".into(), patterns);
    }
    if kind == TemplateKind::Legacy {
        if let Some(order) = call.params.get("order") {
            body.insert("order".into(), json!(order.parse::<i64>().unwrap_or(0)));
        }
        for (key, empty) in [
            ("order", json!(0)),
            ("settings", json!({})),
            ("mappings", json!({})),
            ("aliases", json!({})),
        ] {
            body.entry(key).or_insert(empty);
        }
        if let Some(settings) = body.get_mut("settings") {
            tidy(settings)?;
        }
        return Ok(());
    }
    let template = body.entry("template").or_insert_with(|| json!({}));
    let Value::Object(template) = template else {
        return Err(EsError::illegal_argument("[template] must be an object"));
    };
    if let Some(key) = template
        .keys()
        .find(|key| !matches!(key.as_str(), "settings" | "mappings" | "aliases"))
    {
        return Err(ErrorKind::UnknownField.error(format!("[template] unknown field [{key}]")));
    }
    if let Some(settings) = template.get_mut("settings") {
        tidy(settings)?;
    }
    if kind == TemplateKind::Composable {
        for component in body
            .entry("composed_of")
            .or_insert_with(|| json!([]))
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = component.as_str().unwrap_or_default();
            if !call
                .store()
                .templates(TemplateKind::Component)
                .iter()
                .any(|(existing, _)| existing == name)
            {
                return Err(EsError::illegal_argument(format!(
                    "index template [{}] invalid, cause [index template [{}] specifies component templates [{name}] that do not exist]",
                    call.arg("name"),
                    call.arg("name")
                )));
            }
        }
    }
    Ok(())
}

fn tidy(settings: &mut Value) -> Result<(), EsError> {
    let mut flat = Settings::new();
    flatten(settings, "", &mut flat);
    super::settings::check_new(settings)?;
    *settings = render::shaped(&flat, false);
    Ok(())
}

fn flatten(value: &Value, path: &str, into: &mut Settings) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(value, &below, into);
            }
        }
        Value::Null => {}
        other => {
            let name = if path.starts_with("index.") {
                path.to_owned()
            } else {
                format!("index.{path}")
            };
            let text = match other {
                Value::Number(_) | Value::Bool(_) => Value::from(other.to_string()),
                kept => kept.clone(),
            };
            into.insert(name, text);
        }
    }
}

fn find(call: &Call, kind: TemplateKind) -> Vec<(String, Value)> {
    let patterns = split_list(call.arg("name"));
    let all = call.store().templates(kind);
    all.into_iter()
        .filter(|(name, _)| {
            patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, name))
        })
        .collect()
}

/// `GET` of templates.
pub fn get(call: &Call, kind: TemplateKind) -> Reply {
    call.params.check_timeouts()?;
    let flat = call.params.bool("flat_settings", false)?;
    let name = call.arg("name");
    let found = find(call, kind);
    let is_concrete = !name.is_empty() && !name.contains('*');
    if found.is_empty() && is_concrete {
        return match kind {
            TemplateKind::Legacy => status(404, json!({})),
            _ => Err(ErrorKind::ResourceNotFound
                .error(format!("{} matching [{name}] not found", kind_name(kind)))),
        };
    }
    let shown = found.into_iter().map(|(name, mut body)| {
        if flat {
            flatten_settings(&mut body, kind);
        }
        (name, body)
    });
    let list = |key: &str, shown: &mut dyn Iterator<Item = (String, Value)>| -> Vec<Value> {
        shown
            .map(|(name, body)| json!({"name": name, key: body}))
            .collect()
    };
    let mut shown = shown;
    ok(match kind {
        TemplateKind::Legacy => Value::Object(shown.collect()),
        TemplateKind::Composable => json!({"index_templates": list("index_template", &mut shown)}),
        TemplateKind::Component => {
            json!({"component_templates": list("component_template", &mut shown)})
        }
    })
}

fn flatten_settings(body: &mut Value, kind: TemplateKind) {
    let place = if kind == TemplateKind::Legacy {
        body.get_mut("settings")
    } else {
        body.pointer_mut("/template/settings")
    };
    if let Some(settings) = place {
        let mut flat = Settings::new();
        flatten(settings, "", &mut flat);
        *settings = render::shaped(&flat, true);
    }
}

/// `HEAD` of a template.
pub fn exists(call: &Call, kind: TemplateKind) -> Reply {
    empty(if find(call, kind).is_empty() {
        404
    } else {
        200
    })
}

/// `DELETE` of templates by name or pattern.
pub fn delete(call: &Call, kind: TemplateKind) -> Reply {
    call.params.check_timeouts()?;
    let found = find(call, kind);
    let missing = split_list(call.arg("name"))
        .into_iter()
        .find(|pattern| pattern != "*" && !found.iter().any(|(name, _)| matches(pattern, name)));
    if let Some(name) = missing {
        return Err(match kind {
            TemplateKind::Component => ErrorKind::ResourceNotFound
                .error(format!("component template matching [{name}] not found")),
            _ => ErrorKind::IndexTemplateMissing.error(format!("index_template [{name}] missing")),
        });
    }
    if kind == TemplateKind::Component {
        refuse_used(call, &found)?;
    }
    for (name, _) in found {
        call.store().delete_template(kind, &name)?;
    }
    ok(json!({"acknowledged": true}))
}

fn refuse_used(call: &Call, components: &[(String, Value)]) -> Result<(), EsError> {
    for (template, body) in call.store().templates(TemplateKind::Composable) {
        let used = body["composed_of"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        for name in used {
            if components.iter().any(|(component, _)| component == name) {
                return Err(EsError::illegal_argument(format!(
                    "component templates [{name}] cannot be removed as they are still in use by index templates [{template}]"
                )));
            }
        }
    }
    Ok(())
}
