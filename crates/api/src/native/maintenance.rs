//! Cleaning up, checking and pruning repositories.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::CheckRequest;

use super::body::Body;
use super::jobs::accepted;
use super::problem::{Answer, Refusal};
use super::router::NativeState;
use super::types::{Check, Cleaned, Job, Problem, ReadData};

/// Removes what interrupted work left behind.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/cleanup", tag = "repositories", params(("repository" = String, Path)),
    responses((status = 200, body = Cleaned), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn cleanup(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<Json<Cleaned>> {
    let result = state.engine.cleanup(&name).await?;
    Ok(Json(result.into()))
}

/// Checks a repository, or repairs it first: its structure, and as much of its data as asked for. The job's result is the report.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/check", tag = "repositories", params(("repository" = String, Path)),
    request_body = Check, responses((status = 202, body = Job), (status = 404, body = Problem)))]
pub async fn check(
    State(state): State<NativeState>,
    Path(name): Path<String>,
    Body(wanted): Body<Check>,
) -> Answer<(StatusCode, Json<Job>)> {
    let request = match wanted.read_data {
        ReadData::None => CheckRequest::Structure,
        ReadData::All => CheckRequest::All,
        ReadData::Sample(share) if (0.0..=1.0).contains(&share) => CheckRequest::Sample(share),
        ReadData::Sample(share) => {
            let message = format!("the share to read is {share}; it must be between 0.0 and 1.0");
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                message,
            ));
        }
    };
    let ticket = if wanted.repair {
        state.engine.repair(&name, request).await?
    } else {
        state.engine.check(&name, request).await?
    };
    accepted(&state, &ticket.job_id).await
}

/// Reclaims the space of deleted snapshots. Runs beside snapshots and restores.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/prune", tag = "repositories", params(("repository" = String, Path)),
    responses((status = 202, body = Job), (status = 404, body = Problem)))]
pub async fn prune(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<(StatusCode, Json<Job>)> {
    let ticket = state.engine.prune(&name).await?;
    accepted(&state, &ticket.job_id).await
}
