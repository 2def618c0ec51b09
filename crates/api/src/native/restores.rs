//! Restoring indices from a snapshot.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::RestoreRequest;

use super::body::Body;
use super::jobs::accepted;
use super::problem::Answer;
use super::router::NativeState;
use super::snapshots::{find, indices_of};
use super::types::{Job, Problem, Restore};

/// Restores indices of a snapshot into missing or closed ones. Every shard is verified by count and digest before it becomes visible.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/snapshots/{snapshot}/restore", tag = "snapshots",
    params(("repository" = String, Path), ("snapshot" = String, Path)), request_body = Restore,
    responses((status = 202, body = Job), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn restore(
    State(state): State<NativeState>,
    Path((repository, snapshot)): Path<(String, String)>,
    Body(wanted): Body<Restore>,
) -> Answer<(StatusCode, Json<Job>)> {
    let source = find(&state, &repository, &snapshot).await?;
    let request = RestoreRequest {
        indices: indices_of(&source, &wanted.indices)?,
        rename_pattern: wanted.rename_pattern,
        rename_replacement: wanted.rename_replacement,
        include_aliases: wanted.include_aliases,
        include_global_state: wanted.include_global_state,
        index_settings: wanted.index_settings,
        ignore_index_settings: wanted.ignore_index_settings,
        partial: wanted.partial,
        ..RestoreRequest::default()
    };
    let ticket = state
        .engine
        .restore(&repository, &snapshot, request)
        .await?;
    accepted(&state, &ticket.job_id).await
}
