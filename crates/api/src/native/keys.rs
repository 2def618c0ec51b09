//! Passwords of a repository. Any of them opens it; none is ever given out.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::body::Body;
use super::problem::{Answer, Refusal};
use super::router::NativeState;
use super::types::{AddKey, Key, KeyAdded, Keys, Problem};

/// Lists the passwords of a repository: who added them and when.
#[utoipa::path(get, path = "/api/v1/repositories/{repository}/keys", tag = "keys", params(("repository" = String, Path)),
    responses((status = 200, body = Keys), (status = 404, body = Problem)))]
pub async fn list(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<Json<Keys>> {
    let found = state.engine.keys(&name).await?;
    Ok(Json(Keys {
        keys: found.into_iter().map(Key::from).collect(),
    }))
}

/// Adds a password to a repository.
#[utoipa::path(post, path = "/api/v1/repositories/{repository}/keys", tag = "keys", params(("repository" = String, Path)),
    request_body = AddKey, responses((status = 201, body = KeyAdded), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn add(
    State(state): State<NativeState>,
    Path(name): Path<String>,
    Body(wanted): Body<AddKey>,
) -> Answer<(StatusCode, Json<KeyAdded>)> {
    if wanted.password.is_empty() {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "key_refused",
            "an empty password protects nothing; choose another",
        ));
    }
    let label = wanted.label.unwrap_or_else(|| "snapkeep".to_owned());
    let id = state
        .engine
        .add_key(&name, &wanted.password, &label)
        .await?;
    Ok((StatusCode::CREATED, Json(KeyAdded { id })))
}

/// Removes a password from a repository. The one that the server uses stays.
#[utoipa::path(delete, path = "/api/v1/repositories/{repository}/keys/{key}", tag = "keys",
    params(("repository" = String, Path), ("key" = String, Path, description = "Id of the key, or its beginning where only one has it")),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(state): State<NativeState>,
    Path((name, key)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let known = state.engine.keys(&name).await?;
    if key.is_empty() || !known.iter().any(|candidate| candidate.id.starts_with(&key)) {
        let message = format!("repository [{name}] has no key {key}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "key_missing", message)
            .hint("list them: snapkeep key ls"));
    }
    state.engine.remove_key(&name, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
