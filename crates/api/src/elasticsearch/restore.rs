//! `POST /_snapshot/{repository}/{snapshot}/_restore`.

use http::Method;
use serde_json::{Map, Value, json};
use snapkeep_engine::rename::Rename;
use snapkeep_engine::selection::{self, Candidate, Expand, Options, SelectionError};
use snapkeep_engine::{EngineError, RestoreInfo, RestoreProblem, RestoreRequest, SnapshotInfo};

use super::config::Shape;
use super::errors::{ErrorKind, EsError};
use super::failures::{from_engine, index_missing_in_snapshot};
use super::fields;
use super::request::EsRequest;
use super::response::EsResponse;
use super::routes::{EsResult, Route, RouteTable};
use crate::shared::candidates;

/// Longest replacement: what an index may be called, and some room for what a group adds.
const MAX_REPLACEMENT_BYTES: usize = 265;

/// Keys that both servers know.
const KEYS: &[&str] = &[
    "indices",
    "ignore_unavailable",
    "ignoreUnavailable",
    "allow_no_indices",
    "allowNoIndices",
    "expand_wildcards",
    "expandWildcards",
    "include_global_state",
    "include_aliases",
    "partial",
    "rename_pattern",
    "rename_replacement",
    "index_settings",
    "ignore_index_settings",
    "settings",
];

/// Adds the routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    let path = "/_snapshot/{repository}/{snapshot}/_restore";
    let names = [
        "wait_for_completion",
        "master_timeout",
        "cluster_manager_timeout",
    ];
    table.add(Route::new(Method::POST, path, restore).params(&names));
}

async fn restore(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let waits = request.params.bool("wait_for_completion", false)?;
    let shape = request.shape();
    let wanted = Wanted::read(&request.object()?, shape)?;
    let (repository, snapshot) = (request.captured("repository"), request.captured("snapshot"));
    let engine = &request.state.engine;
    let info = match engine.snapshot(repository, snapshot).await {
        Ok(info) if !info.is_running() => info,
        Ok(_) | Err(EngineError::SnapshotMissing { .. }) => {
            return Err(from_engine(missing(repository, snapshot), shape));
        }
        Err(error) => return Err(from_engine(error, shape)),
    };
    let mut restore = wanted.resolve(&info, &request)?;
    authorise(&request, &restore)?;
    if shape == Shape::OpenSearch {
        // Where the snapshot has no global state OpenSearch restores none, Elasticsearch refuses.
        restore.include_global_state &= info.include_global_state;
    }
    let ticket = engine
        .restore(repository, snapshot, restore)
        .await
        .map_err(|error| from_engine(error, shape))?;
    if ticket.planned.indices.is_empty() {
        // Nothing to wait for: real servers show the empty result without being asked to wait.
        return Ok(show(&ticket.planned));
    }
    if !waits {
        return Ok(EsResponse::accepted());
    }
    let done = engine
        .wait_restore(&ticket)
        .await
        .map_err(|error| from_engine(error, shape))?;
    Ok(show(&done))
}

/// Both what is restored and what it is restored as must be within the caller's limits.
fn authorise(request: &EsRequest, restore: &RestoreRequest) -> Result<(), EsError> {
    if restore.include_global_state {
        request.authorise_everything()?;
    }
    let mut touched = restore.indices.clone();
    if let (Some(pattern), Some(replacement)) =
        (&restore.rename_pattern, &restore.rename_replacement)
    {
        // A mistake in them is told by the engine.
        let renamed = Rename::new(pattern, replacement).and_then(|rename| {
            let names = restore.indices.iter().map(|name| rename.apply(name));
            names.collect::<Result<Vec<String>, _>>()
        });
        touched.extend(renamed.unwrap_or_default());
    }
    request.authorise_indices(&touched)
}

/// Those that the caller may see.
pub(super) fn visible(request: &EsRequest, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| request.caller.sees_resource(&candidate.name));
    candidates
}

fn missing(repository: &str, snapshot: &str) -> EngineError {
    EngineError::Restore {
        repository: repository.to_owned(),
        snapshot: snapshot.to_owned(),
        uuid: String::new(),
        problem: RestoreProblem::SnapshotMissing,
    }
}

fn show(info: &RestoreInfo) -> EsResponse {
    EsResponse::value(json!({
        "snapshot": {
            "snapshot": info.snapshot,
            "indices": info.indices,
            "shards": {
                "total": info.shards_total,
                "failed": info.shards_failed,
                "successful": info.shards_successful,
            },
        },
    }))
}

#[derive(Debug)]
struct Wanted {
    indices: Vec<String>,
    options: Options,
    feature_states: Vec<String>,
    request: RestoreRequest,
}

impl Wanted {
    /// Reads the body; other than create, restore refuses keys that it does not know.
    fn read(body: &Map<String, Value>, shape: Shape) -> Result<Self, EsError> {
        let own: &[&str] = match shape {
            Shape::Es => &["feature_states"],
            Shape::OpenSearch => &[
                "rename_alias_pattern",
                "rename_alias_replacement",
                "storage_type",
                "source_remote_store_repository",
            ],
        };
        if let Some(unknown) = body
            .keys()
            .find(|key| !KEYS.contains(&key.as_str()) && !own.contains(&key.as_str()))
        {
            return Err(EsError::illegal_argument(format!(
                "Unknown parameter {unknown}"
            )));
        }
        refuse_what_is_not_offered(body)?;
        if body
            .get("settings")
            .is_some_and(|settings| !settings.is_object())
        {
            return Err(EsError::illegal_argument("malformed settings section"));
        }
        let index_settings = match body.get("index_settings") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(settings)) => settings.clone(),
            Some(_) => {
                return Err(EsError::illegal_argument(
                    "malformed index_settings section",
                ));
            }
        };
        let ignore_index_settings = match body.get("ignore_index_settings") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(_) | Value::Array(_)) => {
                fields::list(body, "ignore_index_settings")?.unwrap_or_default()
            }
            Some(_) => {
                let text = "malformed ignore_index_settings section, should be an array of strings";
                return Err(EsError::illegal_argument(text));
            }
        };
        let rename_replacement = fields::text(body, "rename_replacement")?;
        if let (Shape::Es, Some(length)) = (shape, rename_replacement.as_ref().map(String::len))
            && length > MAX_REPLACEMENT_BYTES
        {
            let problem = format!(
                "rename_replacement UTF-8 byte length [{length}] exceeds maximum allowed length [{MAX_REPLACEMENT_BYTES}] bytes"
            );
            return Err(EsError::validation(&[&problem]));
        }
        let options = Options {
            ignore_unavailable: fields::bool(
                body,
                &["ignore_unavailable", "ignoreUnavailable"],
                false,
            )?,
            allow_no_indices: fields::bool(body, &["allow_no_indices", "allowNoIndices"], true)?,
            expand: fields::expand_wildcards(body, Expand::ALL)?,
            forbid_closed: false,
            aliases: false,
        };
        Ok(Self {
            indices: fields::list(body, "indices")?.unwrap_or_default(),
            options,
            feature_states: fields::list(body, "feature_states")?.unwrap_or_default(),
            request: RestoreRequest {
                indices: Vec::new(),
                rename_pattern: fields::text(body, "rename_pattern")?,
                rename_replacement,
                include_aliases: fields::bool(body, &["include_aliases"], true)?,
                include_global_state: fields::bool(body, &["include_global_state"], false)?,
                index_settings,
                ignore_index_settings,
                partial: fields::bool(body, &["partial"], false)?,
                ..RestoreRequest::default()
            },
        })
    }

    fn resolve(
        mut self,
        info: &SnapshotInfo,
        request: &EsRequest,
    ) -> Result<RestoreRequest, EsError> {
        let is_none = |state: &String| state.eq_ignore_ascii_case("none");
        if !self.feature_states.is_empty() && !self.feature_states.iter().all(is_none) {
            let states = self.feature_states.join(", ");
            return Err(ErrorKind::SnapshotRestore.error(format!(
                "[{}:{}/{}] requested feature states [[{states}]] are not present in snapshot",
                info.repository, info.name, info.uuid
            )));
        }
        // What the caller says about wildcards concerns indices of a cluster; in a snapshot none is closed or hidden.
        self.options.expand = Expand::ALL;
        let candidates = visible(request, candidates::of_snapshot(info));
        request
            .reach()
            .authorise_expression(&request.state.store, &self.indices)?;
        self.request.indices = selection::resolve(&self.indices, &candidates, &self.options)
            .map_err(|error| match error {
                SelectionError::Missing(name) | SelectionError::Closed(name) => {
                    index_missing_in_snapshot(&name)
                }
            })?;
        Ok(self.request)
    }
}

/// Extras of OpenSearch that a restore into the embedded store cannot honour are refused by name, never passed over.
fn refuse_what_is_not_offered(body: &Map<String, Value>) -> Result<(), EsError> {
    for key in [
        "rename_alias_pattern",
        "rename_alias_replacement",
        "source_remote_store_repository",
    ] {
        if body.get(key).is_some_and(|value| !value.is_null()) {
            return Err(EsError::illegal_argument(format!(
                "[{key}] is not supported"
            )));
        }
    }
    match body.get("storage_type").and_then(Value::as_str) {
        None | Some("local") => Ok(()),
        Some(other) => Err(EsError::illegal_argument(format!(
            "storage_type [{other}] is not supported; use [local]"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value, shape: Shape) -> Result<Wanted, String> {
        Wanted::read(body.as_object().unwrap(), shape).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_restore_aliases_and_no_global_state() {
        let wanted = read(json!({}), Shape::Es).unwrap();
        assert!(
            wanted.request.include_aliases
                && !wanted.request.include_global_state
                && !wanted.request.partial
        );
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = |body, shape| read(body, shape).unwrap_err();
        assert!(text(json!({"bogus": 1}), Shape::Es).ends_with("Unknown parameter bogus"));
        assert!(text(json!({"metadata": {}}), Shape::Es).ends_with("Unknown parameter metadata"));
        assert!(
            text(json!({"feature_states": []}), Shape::OpenSearch)
                .ends_with("Unknown parameter feature_states")
        );
        assert!(read(json!({"storage_type": "local"}), Shape::OpenSearch).is_ok());
        assert!(
            text(
                json!({"storage_type": "remote_snapshot"}),
                Shape::OpenSearch
            )
            .contains("is not supported")
        );
        assert!(text(json!({"indices": 5}), Shape::Es).ends_with("should be an array of strings"));
    }

    #[test]
    fn replacements_are_bounded_in_the_es_shape() {
        let body = json!({"rename_pattern": ".+", "rename_replacement": "x".repeat(300)});
        assert_eq!(
            read(body.clone(), Shape::Es).unwrap_err(),
            "action_request_validation_exception: Validation Failed: 1: rename_replacement UTF-8 byte length [300] exceeds \
             maximum allowed length [265] bytes;"
        );
        assert!(read(body, Shape::OpenSearch).is_ok());
    }

    #[test]
    fn settings_to_ignore_are_a_list_or_a_comma_string() {
        let wanted = read(
            json!({"ignore_index_settings": "index.a, index.b*"}),
            Shape::Es,
        )
        .unwrap();
        assert_eq!(
            wanted.request.ignore_index_settings,
            ["index.a", "index.b*"]
        );
    }
}
