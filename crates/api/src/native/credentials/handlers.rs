//! Making, listing, rotating and removing credentials.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use snapkeep_engine::credentials::{CredentialError, Issued, Kind, NewCredential, Secret};

use super::types::{AddCredential, CredentialList, IssuedCredential, RotateCredential};
use crate::native::body::Body;
use crate::native::problem::{Answer, Refusal};
use crate::native::router::NativeState;
use crate::native::types::Problem;

/// Lists the credentials, without their secrets.
#[utoipa::path(get, path = "/api/v1/credentials", tag = "credentials", responses((status = 200, body = CredentialList), (status = 403, body = Problem)))]
pub async fn list(State(state): State<NativeState>) -> Json<CredentialList> {
    let found = state.engine.credentials().list();
    Json(CredentialList {
        credentials: found.into_iter().map(Into::into).collect(),
    })
}

/// Makes a credential. The answer holds its secret, which is never told again. From the first one on, all requests need one.
#[utoipa::path(post, path = "/api/v1/credentials", tag = "credentials", request_body = AddCredential,
    responses((status = 201, body = IssuedCredential), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn add(
    State(state): State<NativeState>,
    Body(wanted): Body<AddCredential>,
) -> Answer<(StatusCode, Json<IssuedCredential>)> {
    let new = NewCredential {
        name: wanted.name,
        kind: wanted.kind.into(),
        role: wanted.role.into(),
        limits: wanted.limits.into(),
        password: wanted.password.map(Secret::new),
    };
    let issued = state.engine.credentials().add(new).await?;
    Ok((StatusCode::CREATED, Json(show(issued))))
}

/// Gives a credential a new secret. The old one, and tokens obtained with it, are void at once.
#[utoipa::path(post, path = "/api/v1/credentials/{name}/rotate", tag = "credentials", params(("name" = String, Path)), request_body = RotateCredential,
    responses((status = 200, body = IssuedCredential), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn rotate(
    State(state): State<NativeState>,
    Path(name): Path<String>,
    Body(wanted): Body<RotateCredential>,
) -> Answer<Json<IssuedCredential>> {
    let password = wanted.password.map(Secret::new);
    let issued = state.engine.credentials().rotate(&name, password).await?;
    Ok(Json(show(issued)))
}

/// Removes a credential; it is refused from now on, and so are its tokens.
#[utoipa::path(delete, path = "/api/v1/credentials/{name}", tag = "credentials", params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn remove(
    State(state): State<NativeState>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    state.engine.credentials().remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn show(issued: Issued) -> IssuedCredential {
    let secret = issued.secret.expose().to_owned();
    let encoded = (issued.credential.kind == Kind::ApiKey)
        .then(|| STANDARD.encode(format!("{}:{secret}", issued.credential.key_id)));
    IssuedCredential {
        credential: issued.credential.into(),
        secret,
        encoded,
    }
}

impl From<CredentialError> for Refusal {
    fn from(error: CredentialError) -> Self {
        use CredentialError as E;
        let (status, code) = match &error {
            E::Missing { .. } => (StatusCode::NOT_FOUND, "credential_missing"),
            E::Exists { .. } => (StatusCode::CONFLICT, "credential_exists"),
            E::LastAdmin { .. } => (StatusCode::CONFLICT, "last_admin"),
            E::InvalidName { .. } => (StatusCode::BAD_REQUEST, "invalid_name"),
            E::ServerKey(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_key"),
            E::Engine(_) => {
                tracing::warn!(%error, "request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
            _ => (StatusCode::BAD_REQUEST, "credential_refused"),
        };
        let refusal = Self::new(status, code, &error);
        match error {
            E::FirstMustBeAdmin { .. } => {
                refusal.hint("make one: snapkeep credential add admin --role admin")
            }
            _ => refusal,
        }
    }
}
