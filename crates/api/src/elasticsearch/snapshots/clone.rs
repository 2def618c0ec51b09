//! `PUT /_snapshot/{repository}/{snapshot}/_clone/{target_snapshot}`.

use snapkeep_engine::selection::{self, Options, SelectionError};
use snapkeep_engine::{EngineError, SnapshotInfo};

use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::failures::{from_engine, index_missing_in_snapshot, snapshot_missing};
use crate::elasticsearch::fields;
use crate::elasticsearch::request::EsRequest;
use crate::elasticsearch::response::EsResponse;
use crate::elasticsearch::restore::visible;
use crate::elasticsearch::routes::EsResult;
use crate::shared::candidates;

/// Makes a snapshot of a part of another.
pub async fn clone(request: EsRequest) -> EsResult {
    request.params.check_timeouts()?;
    let body = request.required_object()?;
    // Other than create, this call takes a number for the name it spells.
    let patterns = match body.get("indices") {
        Some(serde_json::Value::Number(number)) => vec![number.to_string()],
        _ => fields::list(&body, "indices")?.unwrap_or_default(),
    };
    if patterns.is_empty() {
        return Err(EsError::validation(&["indices patterns are empty"]));
    }
    let options = Options {
        ignore_unavailable: fields::bool(
            &body,
            &["ignore_unavailable", "ignoreUnavailable"],
            false,
        )?,
        ..Options::default()
    };
    let (repository, source) = (request.captured("repository"), request.captured("snapshot"));
    let shape = request.shape();
    let engine = &request.state.engine;
    let info = match engine.snapshot(repository, source).await {
        Ok(info) if !info.is_running() => info,
        Ok(_) | Err(EngineError::SnapshotMissing { .. }) => {
            return Err(snapshot_missing(repository, source));
        }
        Err(error) => return Err(from_engine(error, shape)),
    };
    let indices = selection::resolve(
        &patterns,
        &visible(&request, candidates::of_snapshot(&info)),
        &options,
    )
    .map_err(|error| match error {
        SelectionError::Missing(name) | SelectionError::Closed(name) => {
            index_missing_in_snapshot(&name)
        }
    })?;
    if indices.is_empty() {
        return Err(nothing(&info, &patterns));
    }
    let target = request.captured("target_snapshot");
    engine
        .clone_snapshot(repository, source, target, &indices)
        .await
        .map_err(|error| from_engine(error, shape))?;
    Ok(EsResponse::acknowledged())
}

fn nothing(info: &SnapshotInfo, patterns: &[String]) -> EsError {
    let source = format!("{}/{}", info.name, info.uuid);
    ErrorKind::Snapshot.error(format!(
        "[{}:{source}] No indices in the source snapshot [{source}] matched requested pattern [{}]",
        info.repository,
        patterns.join(",")
    ))
}
