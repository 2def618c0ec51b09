//! What holds for every call: media types, size of the body, the id of the request, project and cluster.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::errors::{CssError, Fault, Language, json_response};
use super::fields::Fields;
use super::state::HuaweiState;
use crate::auth::{Caller, Need};
use crate::shared::path::{parameter, segments};
use crate::shared::uuid::is_uuid;

/// Largest body, bytes. The longest that the rules allow has some 30 KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest id of a project, bytes.
const MAX_PROJECT_BYTES: usize = 64;

/// A request.
#[derive(Debug)]
pub struct Call {
    pub state: HuaweiState,
    pub caller: Caller,
    pub method: Method,
    /// Pieces of the path, decoded.
    pub path: Vec<String>,
    query: String,
    body: Bytes,
}

/// An answer: a status, and a body where there is one.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// 200 with a body.
    pub fn ok(body: Value) -> Self {
        Self::with(StatusCode::OK, Some(body))
    }

    /// 201 with a body.
    pub fn created(body: Value) -> Self {
        Self::with(StatusCode::CREATED, Some(body))
    }

    /// 200 and nothing else.
    pub fn empty() -> Self {
        Self::with(StatusCode::OK, None)
    }

    /// 201 and nothing else.
    pub fn created_empty() -> Self {
        Self::with(StatusCode::CREATED, None)
    }

    /// Any other.
    pub fn with(status: StatusCode, body: Option<Value>) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    /// One more header.
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => json_response(self.status.as_u16(), body.to_string()),
            None => self.status.into_response(),
        };
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// What a handler gives.
pub type CssResult = Result<Answer, CssError>;

impl Call {
    /// Reads a request and checks what it wants to send and get.
    pub async fn read(state: HuaweiState, request: Request) -> Result<Self, CssError> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY_BYTES)
            .await
            .map_err(|_| Fault::TooLarge.because(format!("at most {MAX_BODY_BYTES} bytes")))?;
        check_media_types(&parts.headers, !body.is_empty())?;
        Ok(Self {
            state,
            caller: Caller::of(&parts.extensions),
            method: parts.method,
            path: segments(parts.uri.path()),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
        })
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    /// The body, which must be there.
    pub fn fields(&self) -> Result<Fields, CssError> {
        Fields::parse(&self.body)
    }

    /// The body as JSON, whatever is in it.
    pub fn json(&self) -> Result<Value, CssError> {
        if self.body.is_empty() {
            return Err(Fault::EmptyBody.because(""));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Fault::InvalidParameter.because(format!("the body is not JSON: {error}"))
        })
    }

    /// The project in the path.
    pub fn project(&self) -> &str {
        self.path.get(1).map_or("", String::as_str)
    }

    /// Looks whether the project is one of ours and the caller may do this in it.
    pub fn authorise(&self, need: Need<'_>) -> Result<(), CssError> {
        let project = self.project();
        let well_formed = !project.is_empty()
            && project.len() <= MAX_PROJECT_BYTES
            && project
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let projects = &self.state.config.projects;
        if !well_formed || !(projects.is_empty() || projects.iter().any(|known| known == project)) {
            return Err(Fault::ClusterUnknown.because(format!("no project {project}")));
        }
        self.caller.authorise(need.project(project))?;
        Ok(())
    }

    /// The id of the cluster in the path, in lower case.
    pub fn cluster(&self) -> Result<String, CssError> {
        self.known_cluster(self.path.get(3).map_or("", String::as_str))
    }

    /// An id of a cluster in lower case, if it names ours.
    pub fn known_cluster(&self, id: &str) -> Result<String, CssError> {
        let known = &self.state.config.clusters;
        let id = id.to_ascii_lowercase();
        let is_ours = if known.is_empty() {
            is_uuid(&id)
        } else {
            known.contains(&id)
        };
        if is_ours {
            Ok(id)
        } else {
            Err(Fault::ClusterUnknown.because(format!("no cluster {id}")))
        }
    }
}

/// A body must be JSON by its type, if it names one; JSON must be acceptable.
fn check_media_types(headers: &HeaderMap, has_body: bool) -> Result<(), CssError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(kind) = text(header::CONTENT_TYPE).filter(|_| has_body) {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(Fault::NotAcceptable.because("Content-Type must be application/json"));
        }
    }
    if let Some(accept) = text(header::ACCEPT).filter(|accept| !accept.trim().is_empty()) {
        let is_json = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|part| {
                part.strip_prefix("q=")
                    .is_some_and(|q| q.parse() == Ok(0.0_f32))
            });
            matches!(kind.as_str(), "*/*" | "application/*" | "application/json") && !refused
        };
        if !accept.split(',').any(is_json) {
            return Err(Fault::NotAcceptable.because("Accept must admit application/json"));
        }
    }
    Ok(())
}

/// The language that a client asks for.
pub fn language(headers: &HeaderMap) -> Language {
    let asked = headers
        .get("x-language")
        .and_then(|value| value.to_str().ok());
    match asked {
        Some(asked) if asked.eq_ignore_ascii_case("zh-cn") => Language::Chinese,
        _ => Language::English,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Option<&'static str>, accept: Option<&'static str>, has_body: bool) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        check_media_types(&headers, has_body).is_ok()
    }

    #[test]
    fn bodies_are_json_or_of_no_type() {
        assert!(check(None, None, true));
        assert!(check(Some("application/json; charset=utf-8"), None, true));
        assert!(!check(Some("application/xml"), None, true));
        assert!(!check(
            Some("application/x-www-form-urlencoded"),
            None,
            true
        ));
        assert!(check(
            Some("application/x-www-form-urlencoded"),
            None,
            false
        ));
    }

    #[test]
    fn answers_are_json_or_not_wanted() {
        for accept in [
            "*/*",
            "application/json",
            "text/html, application/*;q=0.5",
            "",
        ] {
            assert!(check(None, Some(accept), false), "{accept}");
        }
        for accept in ["text/html", "application/xml", "application/json;q=0"] {
            assert!(!check(None, Some(accept), false), "{accept}");
        }
    }
}
