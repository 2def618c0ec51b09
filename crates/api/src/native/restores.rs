//! Restoring indices and collections from a snapshot.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::rename::Rename;
use snapkeep_engine::{EngineError, OnConflict as EngineOnConflict, RestoreRequest};

use super::body::Body;
use super::jobs::accepted;
use super::problem::Answer;
use super::router::NativeState;
use super::snapshots::{Named, collections_of, find, indices_of};
use super::types::{Job, OnConflict, Problem, Restore};
use crate::auth::{Caller, Need};
use crate::weaviate::class::check_class_name;

/// Restores indices of a snapshot into missing or closed ones, and collections, all or none. Every shard is verified by count and digest before it becomes visible.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}/restore", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), request_body = Restore,
    responses((status = 202, body = Job), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn restore(
    State(state): State<NativeState>,
    caller: Caller,
    Path((repository, snapshot)): Path<(String, String)>,
    Body(wanted): Body<Restore>,
) -> Answer<(StatusCode, Json<Job>)> {
    let source = find(&state, &repository, &snapshot).await?;
    let named = Named::of(&wanted.indices, &wanted.collections);
    let mut indices = Vec::new();
    if named.takes_indices() {
        indices = indices_of(&caller, &source, &wanted.indices)?;
    }
    let mut collections = Vec::new();
    if named.takes_collections() {
        collections = collections_of(&caller, &source, &wanted.collections)?;
    }
    let rename = (&wanted.rename_pattern, &wanted.rename_replacement);
    let request = RestoreRequest {
        indices,
        collection_rename: renamed(&collections, rename)?,
        collections,
        tenants: (!wanted.tenants.is_empty()).then_some(wanted.tenants),
        on_conflict: match wanted.on_conflict {
            OnConflict::Fail => EngineOnConflict::Fail,
            OnConflict::Skip => EngineOnConflict::Skip,
            OnConflict::Overwrite => EngineOnConflict::Overwrite,
        },
        rename_pattern: wanted.rename_pattern,
        rename_replacement: wanted.rename_replacement,
        include_aliases: wanted.include_aliases,
        include_global_state: wanted.include_global_state,
        index_settings: wanted.index_settings,
        ignore_index_settings: wanted.ignore_index_settings,
        partial: wanted.partial,
        ..RestoreRequest::default()
    };
    authorise(&caller, &request)?;
    let ticket = state
        .engine
        .restore(&repository, &snapshot, request)
        .await?;
    accepted(&state, &ticket.job_id).await
}

/// The collections that get another name.
fn renamed(
    collections: &[String],
    rename: (&Option<String>, &Option<String>),
) -> Answer<BTreeMap<String, String>> {
    let (Some(pattern), Some(replacement)) = rename else {
        return Ok(BTreeMap::new());
    };
    let rename = Rename::new(pattern, replacement).map_err(EngineError::from)?;
    let mut names = BTreeMap::new();
    for old in collections {
        let new = rename.apply(old).map_err(EngineError::from)?;
        check_class_name(&new).map_err(|error| EngineError::Refused {
            reason: format!("collection [{old}] cannot be renamed: {error}"),
        })?;
        if new != *old {
            names.insert(old.clone(), new);
        }
    }
    Ok(names)
}

/// Both what is restored and what it is restored as must be within the caller's limits.
fn authorise(caller: &Caller, request: &RestoreRequest) -> Answer<()> {
    let mut touched = request.indices.clone();
    if let (Some(pattern), Some(replacement)) =
        (&request.rename_pattern, &request.rename_replacement)
    {
        // A mistake in them is told by the engine.
        let renamed = Rename::new(pattern, replacement).and_then(|rename| {
            let names = request.indices.iter().map(|name| rename.apply(name));
            names.collect::<Result<Vec<String>, _>>()
        });
        touched.extend(renamed.unwrap_or_default());
    }
    touched.extend(request.collections.iter().cloned());
    touched.extend(request.collection_rename.values().cloned());
    if request.include_global_state {
        // Templates and settings concern indices of all names.
        touched.push("*".to_owned());
    }
    Ok(caller.authorise(Need::operate("snapshot:restore").resources(&touched))?)
}
