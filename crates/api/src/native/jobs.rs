//! Jobs: progress, end and cancel.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;

use super::problem::Answer;
use super::router::NativeState;
use super::types::{Job, JobFilter, Jobs, Problem};
use crate::auth::{Caller, Need};

/// Lists jobs, the newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobFilter), responses((status = 200, body = Jobs), (status = 400, body = Problem)))]
pub async fn list(
    State(state): State<NativeState>,
    caller: Caller,
    filter: Result<Query<JobFilter>, QueryRejection>,
) -> Answer<Json<Jobs>> {
    let Query(filter) = filter?;
    let found = state.engine.jobs().await?;
    let jobs = found
        .into_iter()
        .filter(|job| caller.sees_repository(&job.repository))
        .map(Job::from)
        .filter(|job| !filter.running || !job.state.is_finished())
        .collect();
    Ok(Json(Jobs { jobs }))
}

/// Gives one job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = Job), (status = 404, body = Problem)))]
pub async fn get(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Job>> {
    let job = state.engine.job(&id).await?;
    caller.authorise(Need::read("job:get").repository(&job.repository))?;
    Ok(Json(job.into()))
}

/// Asks a job to stop. It ends within two seconds and leaves the repository as it was.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)), responses((status = 202, body = Job), (status = 404, body = Problem)))]
pub async fn cancel(
    State(state): State<NativeState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<(StatusCode, Json<Job>)> {
    let job = state.engine.job(&id).await?;
    caller.authorise(Need::operate("job:cancel").repository(&job.repository))?;
    let job = state.engine.cancel_job(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// 202 with the job as it is now.
pub async fn accepted(state: &NativeState, id: &str) -> Answer<(StatusCode, Json<Job>)> {
    let job = state.engine.job(id).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}
