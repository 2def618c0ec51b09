//! `PUT|POST /_snapshot/{repository}/{snapshot}`.

use serde_json::{Map, Value, json};
use snapkeep_engine::names::check_snapshot_name;
use snapkeep_engine::selection::{self, Expand, Options};
use snapkeep_engine::{CreateSnapshot, SnapshotTicket};

use super::info::{self, Parts};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::EsError;
use crate::elasticsearch::failures::{from_engine, from_selection, invalid_name};
use crate::elasticsearch::fields;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::restore::visible;
use crate::elasticsearch::routes::EsResult;
use crate::shared::candidates;

/// Largest `metadata` in bytes of JSON.
const MAX_METADATA_BYTES: usize = 1024;

/// Takes a snapshot.
pub async fn create(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let waits = request.params.bool("wait_for_completion", false)?;
    let shape = request.shape();
    let body = request.object()?;
    let wanted = Wanted::read(&body, shape)?;
    let (repository, name) = (request.captured("repository"), request.captured("snapshot"));
    let engine = &request.state.engine;
    // Said before the indices are looked at, as real servers do; date math is resolved and checked by the engine.
    engine
        .repository(repository)
        .await
        .map_err(|error| from_engine(error, shape))?;
    if !name.starts_with('<') {
        check_snapshot_name(name).map_err(|rule| invalid_name(repository, name, rule, shape))?;
    }
    let candidates = visible(&request, candidates::of_store(&request.state.store));
    if !wanted.options.ignore_unavailable {
        request
            .reach()
            .authorise_expression(&request.state.store, &wanted.indices)?;
    }
    let indices = selection::resolve(&wanted.indices, &candidates, &wanted.options)
        .map_err(from_selection)?;
    request.authorise_indices(&indices)?;
    let create = CreateSnapshot {
        name: name.to_owned(),
        indices,
        partial: wanted.partial,
        include_global_state: wanted.include_global_state,
        metadata: wanted.metadata,
        ..CreateSnapshot::default()
    };
    let ticket = engine
        .create_snapshot(repository, create)
        .await
        .map_err(|error| from_engine(error, shape))?;
    if waits {
        finished(&request, &ticket).await
    } else {
        Ok(EsResponse::accepted())
    }
}

async fn finished(request: &EsRequest, ticket: &SnapshotTicket) -> EsResult {
    let done = request
        .state
        .engine
        .wait_snapshot(ticket)
        .await
        .map_err(|error| from_engine(error, request.shape()))?;
    let shown = info::show(
        &done,
        Parts::default(),
        &request.state.config,
        request.readable(),
    );
    Ok(EsResponse::value(json!({ "snapshot": shown })))
}

#[derive(Debug)]
struct Wanted {
    indices: Vec<String>,
    options: Options,
    partial: bool,
    include_global_state: bool,
    metadata: Option<Map<String, Value>>,
}

impl Wanted {
    /// Reads the body; unknown keys are ignored.
    fn read(body: &Map<String, Value>, shape: Shape) -> Result<Self, EsError> {
        // Without a word about wildcards OpenSearch leaves closed indices out, Elasticsearch takes all.
        let expand = match shape {
            Shape::Es => Expand::ALL,
            Shape::OpenSearch => Expand {
                open: true,
                closed: false,
                hidden: true,
            },
        };
        let options = Options {
            ignore_unavailable: fields::bool(
                body,
                &["ignore_unavailable", "ignoreUnavailable"],
                false,
            )?,
            allow_no_indices: fields::bool(body, &["allow_no_indices", "allowNoIndices"], true)?,
            expand: fields::expand_wildcards(body, expand)?,
            forbid_closed: false,
            aliases: true,
        };
        if shape == Shape::Es {
            fields::list(body, "feature_states")?;
        } else if body
            .get("settings")
            .is_some_and(|settings| !settings.is_object())
        {
            return Err(EsError::illegal_argument(
                "malformed settings section, should indices an inner object",
            ));
        }
        Ok(Self {
            indices: fields::list(body, "indices")?.unwrap_or_default(),
            options,
            partial: fields::bool(body, &["partial"], false)?,
            include_global_state: fields::bool(body, &["include_global_state"], true)?,
            metadata: metadata(body)?,
        })
    }
}

fn metadata(body: &Map<String, Value>) -> Result<Option<Map<String, Value>>, EsError> {
    let metadata = match body.get("metadata") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(metadata)) => metadata.clone(),
        Some(_) => {
            return Err(EsError::illegal_argument(
                "malformed metadata, should be an object",
            ));
        }
    };
    let size = Value::Object(metadata.clone()).to_string().len();
    if size > MAX_METADATA_BYTES {
        let problem =
            format!("metadata must be smaller than {MAX_METADATA_BYTES} bytes, but was [{size}]");
        return Err(EsError::validation(&[&problem]));
    }
    Ok(Some(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value, shape: Shape) -> Result<Wanted, String> {
        Wanted::read(body.as_object().unwrap(), shape).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_body_means_everything() {
        let es = read(json!({}), Shape::Es).unwrap();
        assert!(
            es.indices.is_empty()
                && es.include_global_state
                && !es.partial
                && es.metadata.is_none()
        );
        assert_eq!(es.options.expand, Expand::ALL);
        assert!(
            !read(json!({}), Shape::OpenSearch)
                .unwrap()
                .options
                .expand
                .closed
        );
    }

    #[test]
    fn bodies_come_in_several_spellings() {
        let wanted = read(
            json!({"indices": ["a*", "-ab"], "ignoreUnavailable": true, "partial": "true", "include_global_state": "false",
                "expandWildcards": "open", "bogus": 1, "metadata": {"by": "me"}, "settings": "x"}),
            Shape::Es,
        )
        .unwrap();
        assert_eq!(wanted.indices, ["a*", "-ab"]);
        assert!(
            wanted.options.ignore_unavailable && wanted.partial && !wanted.include_global_state
        );
        assert_eq!(wanted.options.expand, Expand::OPEN);
        assert_eq!(wanted.metadata.unwrap()["by"], "me");
    }

    #[test]
    fn wrong_types_are_told() {
        let text = |body| read(body, Shape::OpenSearch).unwrap_err();
        assert!(
            text(json!({"indices": 5}))
                .ends_with("malformed indices section, should be an array of strings")
        );
        assert!(
            text(json!({"metadata": "x"})).ends_with("malformed metadata, should be an object")
        );
        assert!(
            text(json!({"settings": "x"}))
                .ends_with("malformed settings section, should indices an inner object")
        );
        let large = json!({"metadata": {"k": "x".repeat(2000)}});
        assert!(text(large).ends_with(
            "Validation Failed: 1: metadata must be smaller than 1024 bytes, but was [2008];"
        ));
    }
}
