//! Registering, listing and verifying repositories.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use snapkeep_engine::RepositorySpec;

use super::body::Body;
use super::problem::Answer;
use super::router::NativeState;
use super::types::{Problem, RegisterRepository, Repositories, Repository, Verified};
use crate::auth::Caller;

/// Lists the registered repositories.
#[utoipa::path(get, path = "/api/v1/repositories", tag = "repositories", responses((status = 200, body = Repositories)))]
pub async fn list(State(state): State<NativeState>, caller: Caller) -> Answer<Json<Repositories>> {
    let mut found = state.engine.repositories().await?;
    found.retain(|repository| caller.sees_repository(&repository.name));
    Ok(Json(Repositories {
        repositories: found.into_iter().map(Repository::from).collect(),
    }))
}

/// Gives one repository.
#[utoipa::path(get, path = "/api/v1/repositories/{repository}", tag = "repositories", params(("repository" = String, Path)),
    responses((status = 200, body = Repository), (status = 404, body = Problem)))]
pub async fn get(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<Json<Repository>> {
    find(&state, &name).await.map(Json)
}

/// Registers a repository, or replaces what is registered under the name. An existing repository keeps its snapshots.
#[utoipa::path(put, path = "/api/v1/repositories/{repository}", tag = "repositories", params(("repository" = String, Path)),
    request_body = RegisterRepository, responses((status = 200, body = Repository), (status = 400, body = Problem), (status = 500, body = Problem)))]
pub async fn register(
    State(state): State<NativeState>,
    Path(name): Path<String>,
    Body(wanted): Body<RegisterRepository>,
) -> Answer<Json<Repository>> {
    let spec = RepositorySpec {
        kind: wanted.kind,
        settings: wanted.settings,
    };
    state
        .engine
        .put_repository(&name, spec, wanted.verify)
        .await?;
    find(&state, &name).await.map(Json)
}

/// Forgets a repository. What is stored in it stays, and is back when it is registered again.
#[utoipa::path(delete, path = "/api/v1/repositories/{repository}", tag = "repositories", params(("repository" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn remove(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    state.engine.remove_repository(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes a probe into the repository, reads it back and removes it.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/verify", tag = "repositories", params(("repository" = String, Path)),
    responses((status = 200, body = Verified), (status = 404, body = Problem), (status = 500, body = Problem)))]
pub async fn verify(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<Json<Verified>> {
    let verification = state.engine.verify_repository(&name).await?;
    Ok(Json(verification.into()))
}

async fn find(state: &NativeState, name: &str) -> Answer<Repository> {
    let mut repository = Repository::from(state.engine.repository(name).await?);
    // The environment also holds the password, which is never given out.
    repository.location = state
        .engine
        .repository_environment(name)
        .await
        .ok()
        .map(|environment| environment.repository);
    Ok(repository)
}
