//! Create, get, delete, open and close.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use snapkeep_engine::selection::Expand;
use snapkeep_store::{IndexMeta, IndexSpec, IndexState, StoreError};

use super::targets::{self, Defaults, select};
use super::{mapping_types, render, settings};
use crate::elasticsearch::call::{Call, Reply, empty, ok};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::from_engine;

/// `PUT /{index}`.
pub fn create(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let name = targets::resolve_name(call.arg("index"))?;
    let body = match call.json() {
        Ok(body) => body.unwrap_or_else(|| json!({})),
        Err(error) if call.shape() == Shape::OpenSearch => {
            return Err(ErrorKind::Parse
                .error("Failed to parse content to map")
                .caused_by(error));
        }
        Err(error) => return Err(error),
    };
    let Value::Object(mut body) = body else {
        return Err(ErrorKind::Parse.error("Failed to parse content to map"));
    };
    let spec = IndexSpec {
        settings: body.remove("settings").unwrap_or_default(),
        mappings: body.remove("mappings").unwrap_or_default(),
        aliases: body.remove("aliases").unwrap_or_default(),
    };
    if let Some(key) = body.keys().next() {
        return Err(ErrorKind::Parse.error(format!("unknown key [{key}] for create index")));
    }
    settings::check_new(&spec.settings)?;
    mapping_types::check(&spec.mappings, call.shape())
        .map_err(|error| in_frame(error, call.shape()))?;
    call.authorise_indices(std::slice::from_ref(&name))?;
    let meta = call
        .store()
        .create_index(&name, spec)
        .map_err(|error| mapping_failure(error, call.shape(), true))?;
    ok(json!({"acknowledged": true, "shards_acknowledged": true, "index": meta.name}))
}

/// Mistakes in mappings have a class of their own, and on creation a frame around them.
pub fn mapping_failure(error: StoreError, shape: Shape, is_creation: bool) -> EsError {
    let StoreError::MapperParsing { reason, .. } = error else {
        return error.into();
    };
    let inner = ErrorKind::MapperParsing.error(reason);
    if is_creation {
        in_frame(inner, shape)
    } else {
        inner
    }
}

fn in_frame(inner: EsError, shape: Shape) -> EsError {
    let lead = match shape {
        Shape::Es => "Failed to parse mapping: ",
        Shape::OpenSearch => "Failed to parse mapping [_doc]: ",
    };
    let reason = inner.reason().unwrap_or_default().to_owned();
    ErrorKind::MapperParsing
        .error(format!("{lead}{reason}"))
        .caused_by(inner)
}

/// `HEAD /{index}`.
pub fn exists(call: &Call) -> Reply {
    match select(
        call,
        Some(call.arg("index")),
        &call.params,
        Defaults::METADATA,
    ) {
        Ok(found) if !found.is_empty() => empty(200),
        Ok(_) => empty(404),
        Err(error) if error.kind() == Some(ErrorKind::IndexNotFound) => empty(404),
        Err(error) => Err(error),
    }
}

/// `GET /{index}`.
pub fn get(call: &Call) -> Reply {
    let flat = call.params.bool("flat_settings", false)?;
    let defaults = call.params.bool("include_defaults", false)?;
    let features = call.params.list("features");
    if let Some(other) = features
        .iter()
        .find(|name| !matches!(name.as_str(), "aliases" | "mappings" | "settings"))
    {
        return Err(EsError::illegal_argument(format!(
            "Invalid features specified [{other}]"
        )));
    }
    let wanted = |name: &str| features.is_empty() || features.iter().any(|feature| feature == name);
    let mut answer = Map::new();
    for meta in select(
        call,
        Some(call.arg("index")),
        &call.params,
        Defaults::METADATA,
    )? {
        let mut one = Map::new();
        if wanted("aliases") {
            one.insert("aliases".into(), render::aliases(&meta)?);
        }
        if wanted("mappings") {
            one.insert("mappings".into(), render::mappings(&meta));
        }
        if wanted("settings") {
            one.insert("settings".into(), render::settings(&meta, flat, &[]));
            if defaults {
                one.insert("defaults".into(), render::default_settings(&meta, flat));
            }
        }
        answer.insert(meta.name.clone(), Value::Object(one));
    }
    ok(Value::Object(answer))
}

/// `DELETE /{index}`: a restore that is making the index is cancelled, a snapshot that reads it stands in the way.
pub fn delete(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let expression = call.arg("index");
    if expression.is_empty() {
        return Err(EsError::validation(&["index / indices is missing"]));
    }
    refuse_wildcards(call, expression)?;
    let chosen = select(call, Some(expression), &call.params, Defaults::DELETE)
        .map_err(|error| explain_alias(call, error))?;
    refuse_while_snapshotted(call, &chosen, "delete")?;
    for meta in &chosen {
        if meta.state == IndexState::Restoring {
            call.wait(call.engine().cancel_restore_of(&meta.name))
                .map_err(|error| from_engine(error, call.shape()))?;
            continue;
        }
        match call.store().delete_index(&meta.name) {
            // Somebody else was faster; gone is gone.
            Ok(()) | Err(StoreError::IndexNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ok(json!({"acknowledged": true}))
}

/// `POST /{index}/_open`.
pub fn open(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let expression = call.arg("index");
    refuse_wildcards(call, expression)?;
    let closed = Expand {
        open: false,
        closed: true,
        hidden: false,
    };
    for meta in select(
        call,
        Some(expression),
        &call.params,
        Defaults {
            expand: closed,
            ..Defaults::METADATA
        },
    )? {
        call.store().open_index(&meta.name)?;
    }
    ok(json!({"acknowledged": true, "shards_acknowledged": true}))
}

/// `POST /{index}/_close`.
pub fn close(call: &Call) -> Reply {
    call.params.check_timeouts()?;
    let expression = call.arg("index");
    refuse_wildcards(call, expression)?;
    let chosen = select(call, Some(expression), &call.params, Defaults::METADATA)?;
    let restoring: Vec<_> = chosen
        .iter()
        .filter(|meta| meta.state == IndexState::Restoring)
        .cloned()
        .collect();
    if !restoring.is_empty() {
        let names = with_uuids(&restoring);
        return Err(EsError::illegal_argument(format!(
            "Cannot close indices that are being restored: [{names}]"
        )));
    }
    refuse_while_snapshotted(call, &chosen, "close")?;
    let mut closed = Map::new();
    for meta in &chosen {
        call.store().close_index(&meta.name)?;
        closed.insert(meta.name.clone(), json!({"closed": true}));
    }
    let done = !chosen.is_empty();
    ok(json!({"acknowledged": true, "shards_acknowledged": done, "indices": closed}))
}

/// Elasticsearch 8 wants names for what destroys, unless the cluster setting says otherwise; OpenSearch takes wildcards.
fn refuse_wildcards(call: &Call, expression: &str) -> Result<(), EsError> {
    const SETTING: &str = "action.destructive_requires_name";
    let set = call.store().cluster_settings();
    let given = set
        .transient
        .get(SETTING)
        .or_else(|| set.persistent.get(SETTING));
    let names_required = given.map_or(call.shape() == Shape::Es, |value| value == "true");
    let is_broad = expression.contains('*')
        || expression.split(',').any(|item| item == "_all")
        || expression.is_empty();
    if names_required && is_broad {
        return Err(EsError::illegal_argument(
            "Wildcard expressions or all indices are not allowed",
        ));
    }
    Ok(())
}

/// Naming an alias where only indices can be meant has its own text.
fn explain_alias(call: &Call, error: EsError) -> EsError {
    if error.kind() != Some(ErrorKind::IndexNotFound) {
        return error;
    }
    let indices = call.visible_indices();
    let named = call
        .arg("index")
        .split(',')
        .find(|item| indices.iter().any(|meta| meta.aliases.contains_key(*item)));
    match named {
        Some(alias) => EsError::illegal_argument(format!(
            "The provided expression [{alias}] matches an alias, specify the corresponding concrete indices instead."
        )),
        None => error,
    }
}

fn refuse_while_snapshotted(
    call: &Call,
    chosen: &[Arc<IndexMeta>],
    verb: &str,
) -> Result<(), EsError> {
    let busy = call.engine().indices_in_snapshots();
    let held: Vec<_> = chosen
        .iter()
        .filter(|meta| busy.contains(&meta.name))
        .cloned()
        .collect();
    if held.is_empty() {
        return Ok(());
    }
    Err(ErrorKind::SnapshotInProgress.error(format!(
        "Cannot {verb} indices that are being snapshotted: [{}]. Try again after snapshot finishes or cancel the currently running snapshot.",
        with_uuids(&held)
    )))
}

fn with_uuids(indices: &[Arc<IndexMeta>]) -> String {
    let names: Vec<String> = indices
        .iter()
        .map(|meta| format!("[{}/{}]", meta.name, meta.uuid))
        .collect();
    names.join(", ")
}
