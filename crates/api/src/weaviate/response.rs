//! What a handler answers.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use super::errors::WvError;
use super::json;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer: a status and perhaps a JSON body.
#[derive(Debug)]
pub struct WvResponse {
    status: StatusCode,
    body: Option<Vec<u8>>,
    content_type: Option<HeaderValue>,
}

impl WvResponse {
    /// 200 without a body.
    pub fn empty() -> Self {
        Self::status(StatusCode::OK)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::status(StatusCode::NO_CONTENT)
    }

    /// A status without a body.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            body: None,
            content_type: None,
        }
    }

    /// 200 with a JSON body, its numbers printed as Go prints them.
    pub fn value(value: &impl Serialize) -> Self {
        Self::bytes(json::to_bytes(value))
    }

    /// 200 with a body that is JSON already; the line end that closes every body is added here.
    pub fn bytes(mut body: Vec<u8>) -> Self {
        body.push(b'\n');
        Self {
            status: StatusCode::OK,
            body: Some(body),
            content_type: Some(JSON),
        }
    }

    /// Another status for the same body.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The HTTP response.
    pub(super) fn into_http(self) -> Response {
        let mut response = Response::new(self.body.map_or_else(Body::empty, Body::from));
        *response.status_mut() = self.status;
        if let Some(content_type) = self.content_type {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
        }
        response
    }
}

impl From<Value> for WvResponse {
    fn from(value: Value) -> Self {
        Self::value(&value)
    }
}

impl From<&WvError> for WvResponse {
    fn from(error: &WvError) -> Self {
        let (typed, body) = error.render();
        let mut response = match body {
            Some(body) => Self::value(&body),
            None => Self::empty(),
        };
        response.content_type = typed.then_some(JSON);
        response.with_status(error.status())
    }
}
