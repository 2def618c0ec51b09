//! Request bodies: JSON whatever the content type says, so that plain `curl -d` works; nothing is an empty object.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::problem::Refusal;

/// A parsed request body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                Refusal::new(rejection.status(), "invalid_body", rejection.body_text())
            })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Body).map_err(|cause| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                format!("the request body cannot be used: {cause}"),
            )
            .hint("request bodies are described at /api/v1/openapi.json")
        })
    }
}
