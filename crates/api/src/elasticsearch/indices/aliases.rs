//! `_alias` and `_aliases`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::{Expand, matches};
use snapkeep_store::{Alias, AliasAction, IndexMeta, StoreError};

use super::render;
use super::targets::{Defaults, select};
use crate::elasticsearch::call::{Call, Reply, empty, ok, status};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::documents::bulk::token;
use crate::elasticsearch::documents::failure::alias_missing;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::{Params, split_list};
use crate::elasticsearch::search::place;

const ALL_INDICES: Defaults = Defaults {
    expand: Expand::ALL,
    ..Defaults::METADATA
};

/// `GET [/{index}]/_alias[/{name}]`.
pub fn get(call: &Call) -> Reply {
    let (answer, missing) = find(call)?;
    if missing.is_empty() {
        return ok(Value::Object(answer));
    }
    let noun = if missing.len() == 1 {
        "alias"
    } else {
        "aliases"
    };
    let mut body = Map::from_iter([
        (
            "error".to_owned(),
            json!(format!("{noun} [{}] missing", missing.join(","))),
        ),
        ("status".to_owned(), json!(404)),
    ]);
    body.extend(answer);
    status(404, Value::Object(body))
}

/// `HEAD [/{index}]/_alias/{name}`.
pub fn exists(call: &Call) -> Reply {
    match find(call) {
        Ok((answer, missing)) if missing.is_empty() && !answer.is_empty() => empty(200),
        Ok(_) => empty(404),
        Err(error) if error.kind() == Some(ErrorKind::IndexNotFound) => empty(404),
        Err(error) => Err(error),
    }
}

/// What was found, and the names that were not.
fn find(call: &Call) -> Result<(Map<String, Value>, Vec<String>), EsError> {
    call.params.check_timeouts()?;
    let names = split_list(call.arg("name"));
    let chosen = select(call, call.optional_arg("index"), &call.params, ALL_INDICES)?;
    let is_wanted = |alias: &str| {
        let mut wanted = names.is_empty();
        for name in &names {
            match name.strip_prefix('-') {
                Some(pattern) if wanted => wanted = !matches(pattern, alias),
                _ => wanted = wanted || name == "_all" || matches(name, alias),
            }
        }
        wanted
    };
    let mut answer = Map::new();
    for meta in &chosen {
        let shown = render::aliases_where(meta, is_wanted)?;
        if names.is_empty() || shown.as_object().is_some_and(|aliases| !aliases.is_empty()) {
            answer.insert(meta.name.clone(), json!({"aliases": shown}));
        }
    }
    let is_concrete =
        |name: &&String| !name.contains('*') && *name != "_all" && !name.starts_with('-');
    let missing: BTreeSet<&String> = names
        .iter()
        .filter(is_concrete)
        .filter(|name| {
            !chosen
                .iter()
                .any(|meta| meta.aliases.contains_key(name.as_str()))
        })
        .collect();
    Ok((answer, missing.into_iter().cloned().collect()))
}

/// `PUT|POST /{index}/_alias/{name}`.
pub fn put(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let body = call.json()?.unwrap_or_else(|| json!({}));
    let Value::Object(body) = body else {
        return Err(EsError::illegal_argument(format!(
            "unknown token [{}]",
            token(&body)
        )));
    };
    let mut spec = Alias::default();
    for (key, value) in &body {
        if !set_property(&mut spec, key, value)? {
            return Err(EsError::illegal_argument(format!("unknown field [{key}]")));
        }
    }
    let actions: Vec<AliasAction> =
        select(call, Some(call.arg("index")), &call.params, ALL_INDICES)?
            .iter()
            .map(|meta| AliasAction::Add {
                index: meta.name.clone(),
                alias: call.arg("name").to_owned(),
                spec: spec.clone(),
            })
            .collect();
    call.store()
        .update_aliases(&actions)
        .map_err(|error| alias_failure(call, error))?;
    ok(json!({"acknowledged": true}))
}

/// `DELETE /{index}/_alias/{name}`.
pub fn delete(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let chosen = select(call, Some(call.arg("index")), &call.params, ALL_INDICES)?;
    let patterns = split_list(call.arg("name"));
    let actions = removals(&chosen, &patterns, None);
    if actions.is_empty() {
        return Err(alias_missing(&patterns.join(",")));
    }
    call.store()
        .update_aliases(&actions)
        .map_err(|error| alias_failure(call, error))?;
    ok(json!({"acknowledged": true}))
}

fn removals(
    indices: &[Arc<IndexMeta>],
    patterns: &[String],
    must_exist: Option<bool>,
) -> Vec<AliasAction> {
    let mut actions = Vec::new();
    for meta in indices {
        for alias in meta.aliases.keys() {
            if patterns
                .iter()
                .any(|pattern| pattern == "_all" || matches(pattern, alias))
            {
                actions.push(AliasAction::Remove {
                    index: meta.name.clone(),
                    alias: alias.clone(),
                    must_exist,
                });
            }
        }
    }
    actions
}

/// One entry of `actions`, not yet bound to indices.
#[derive(Default)]
struct Step {
    verb: String,
    indices: Vec<String>,
    aliases: Vec<String>,
    must_exist: Option<bool>,
    spec: Alias,
}

/// `POST /_aliases`: all steps, or none.
///
/// What is removed is looked up as things stood before the first step, as Elasticsearch does.
pub fn update(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let text = call.bytes();
    let body = call.required_json()?;
    let steps = body
        .get("actions")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if let Some(key) = body
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .find(|key| *key != "actions")
    {
        return Err(ErrorKind::UnknownField.error(format!("[aliases] unknown field [{key}]")));
    }
    if steps.is_empty() {
        return Err(EsError::validation(&[
            "Must specify at least one alias action",
        ]));
    }
    let mut actions = Vec::new();
    let mut results = Vec::new();
    let mut missing = None;
    for value in steps {
        let step = parse_step(value, &text)?;
        let found = bind(call, &step)?;
        let error = (step.verb == "remove" && found.is_empty())
            .then(|| alias_missing(&step.aliases.join(",")));
        results.push(result_of(&step, error.as_ref(), call.shape()));
        match error {
            Some(error) if step.must_exist == Some(true) => return Err(error),
            Some(error) => missing = missing.or(Some(error)),
            None => actions.extend(found),
        }
    }
    if let (true, Some(error)) = (actions.is_empty(), &missing) {
        return Err(error.clone());
    }
    call.store()
        .update_aliases(&actions)
        .map_err(|error| alias_failure(call, error))?;
    let mut answer = json!({"acknowledged": true});
    if call.shape() == Shape::Es {
        answer["errors"] = json!(missing.is_some());
        if missing.is_some() {
            answer["action_results"] = json!(results);
        }
    }
    ok(answer)
}

fn result_of(step: &Step, error: Option<&EsError>, shape: Shape) -> Value {
    let mut result = json!({
        "action": {"type": step.verb, "indices": step.indices, "aliases": step.aliases},
        "status": error.map_or(200, |error| error.status(shape).as_u16()),
    });
    if let Some(error) = error {
        result["error"] = Value::Object(error.object(shape, true, false));
    }
    result
}

fn bind(call: &Call, step: &Step) -> Result<Vec<AliasAction>, EsError> {
    let expression = step.indices.join(",");
    let defaults = if step.verb == "remove_index" {
        Defaults {
            aliases: false,
            ..ALL_INDICES
        }
    } else {
        ALL_INDICES
    };
    let chosen = select(call, Some(&expression), &Params::default(), defaults)?;
    Ok(match step.verb.as_str() {
        "remove" => removals(&chosen, &step.aliases, step.must_exist),
        "remove_index" => chosen
            .iter()
            .map(|meta| AliasAction::RemoveIndex {
                index: meta.name.clone(),
            })
            .collect(),
        _ => chosen
            .iter()
            .flat_map(|meta| {
                let add = |alias: &String| AliasAction::Add {
                    index: meta.name.clone(),
                    alias: alias.clone(),
                    spec: step.spec.clone(),
                };
                step.aliases.iter().map(add)
            })
            .collect(),
    })
}

fn parse_step(value: &Value, text: &[u8]) -> Result<Step, EsError> {
    let entry = value.as_object().and_then(|object| object.iter().next());
    let Some((verb, Value::Object(fields))) = entry else {
        return Err(ErrorKind::UnknownField.error(
            "[aliases] each action must be an object with one of [add], [remove], [remove_index]",
        ));
    };
    if !matches!(verb.as_str(), "add" | "remove" | "remove_index") {
        return Err(unknown_verb(verb, text));
    }
    let mut step = Step {
        verb: verb.clone(),
        ..Step::default()
    };
    for (key, value) in fields {
        match key.as_str() {
            "index" | "indices" => step.indices.extend(strings(key, value)?),
            "alias" | "aliases" if verb != "remove_index" => {
                step.aliases.extend(strings(key, value)?)
            }
            "must_exist" => step.must_exist = value.as_bool(),
            _ if verb == "add" && set_property(&mut step.spec, key, value)? => {}
            _ => {
                return Err(
                    ErrorKind::UnknownField.error(format!("[{verb}] unknown field [{key}]"))
                );
            }
        }
    }
    if step.indices.is_empty() {
        return Err(EsError::illegal_argument(
            "One of [index] or [indices] is required",
        ));
    }
    if step.aliases.is_empty() && verb != "remove_index" {
        return Err(EsError::illegal_argument(
            "One of [alias] or [aliases] is required",
        ));
    }
    Ok(step)
}

/// An action that there is not, with the places of its name and of what it holds.
fn unknown_verb(verb: &str, text: &[u8]) -> EsError {
    let (line, column) = place(text, verb).unwrap_or((1, 1));
    // The name, its quotes and the colon stand before what it holds.
    let name_column = column.saturating_sub(verb.chars().count() + 3).max(1);
    let inner = ErrorKind::UnknownField.error(format!(
        "[{line}:{name_column}] [alias_action] unknown field [{verb}]"
    ));
    ErrorKind::UnknownField
        .error(format!(
            "[{line}:{column}] [aliases] failed to parse field [actions]"
        ))
        .with_roots(vec![inner.clone()])
        .caused_by(inner)
}

/// OpenSearch words one of the rules for names in its own way.
fn alias_failure(call: &Call, error: StoreError) -> EsError {
    let StoreError::InvalidAliasName { name, reason } = &error else {
        return error.into();
    };
    if call.shape() == Shape::OpenSearch && reason.starts_with("an index or data stream exists") {
        let taken = call.store().index(name);
        let text =
            format!("Invalid alias name [{name}], an index exists with the same name as the alias");
        return ErrorKind::InvalidAliasName
            .error(text)
            .field("index", name.as_str())
            .field(
                "index_uuid",
                taken.map_or("_na_".to_owned(), |meta| meta.uuid.clone()),
            );
    }
    error.into()
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, EsError> {
    let wrong =
        || EsError::illegal_argument(format!("[{key}] must be a string or a list of strings"));
    match value {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

/// Sets a property of an alias; false when there is none of that name.
fn set_property(spec: &mut Alias, key: &str, value: &Value) -> Result<bool, EsError> {
    let text = || match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Null => Ok(None),
        other => Err(EsError::illegal_argument(format!(
            "[{key}] must be a string, found [{}]",
            token(other)
        ))),
    };
    match key {
        "filter" => spec.filter = (!value.is_null()).then(|| value.clone()),
        "routing" => {
            spec.index_routing = text()?;
            spec.search_routing.clone_from(&spec.index_routing);
        }
        "index_routing" | "indexRouting" | "index-routing" => spec.index_routing = text()?,
        "search_routing" | "searchRouting" | "search-routing" => spec.search_routing = text()?,
        "is_write_index" => spec.is_write_index = value.as_bool(),
        "is_hidden" => spec.is_hidden = value.as_bool(),
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_sets_both_directions() {
        let step = parse_step(&json!({"add": {"index": "i", "aliases": ["a", "b"], "routing": 7, "filter": {"match_all": {}}}}), b"").unwrap();
        assert_eq!(step.aliases, ["a", "b"]);
        assert_eq!(
            (
                step.spec.index_routing.as_deref(),
                step.spec.search_routing.as_deref()
            ),
            (Some("7"), Some("7"))
        );
        assert!(step.spec.filter.is_some());
    }

    #[test]
    fn unknown_words_are_named() {
        let reason = |value: Value| parse_step(&value, b"").err().unwrap().to_string();
        assert!(
            reason(json!({"add": {"index": "i", "alias": "a", "nosuch": 1}}))
                .contains("[add] unknown field [nosuch]")
        );
        assert!(reason(json!({"rename": {}})).contains("failed to parse field [actions]"));
        assert!(reason(json!({"remove": {"index": "i"}})).contains("[alias]"));
        assert!(
            reason(json!({"remove": {"index": "i", "alias": "a", "filter": {}}}))
                .contains("unknown field [filter]")
        );
    }
}
