//! Errors as Weaviate words them: two shapes, one type.
//!
//! Handlers complain with `{"error":[{"message":…}]}`; schema writes put `"allowed":null` before it. The framework
//! in front of them (routing, media types, decoding, validation of single values) answers `{"code":n,"message":…}`;
//! a code from 600 on is an HTTP 422. Some answers have no body at all.

use std::fmt;

use http::StatusCode;
use serde_json::{Value, json};
use snapkeep_store::StoreError;

use crate::auth::Denied;

/// Codes of the framework's validation errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A value is not of its format: no uuid, no number.
    Format = 601,
    /// Something that must be there is not.
    Required = 602,
    /// A value is none of those listed.
    Enum = 606,
    /// A number is too large.
    Maximum = 608,
    /// A number is too small.
    Minimum = 609,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    /// `{"error":[{"message":…}]}`
    Application(String),
    /// `{"allowed":null,"error":[{"message":…}]}`
    Schema(String),
    /// `{"code":…,"message":…}`
    Framework { code: u16, message: String },
    /// Nothing; some such answers nevertheless name a content type.
    Empty { typed: bool },
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WvError {
    status: u16,
    body: Body,
    allow: Option<String>,
}

impl WvError {
    fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            body,
            allow: None,
        }
    }

    /// An error of a handler.
    pub fn application(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, Body::Application(message.into()))
    }

    /// 422 of a handler: the request cannot be fulfilled as it is.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::application(422, message)
    }

    /// 422 for what this server does not do; `feature` is named.
    pub fn not_offered(feature: impl fmt::Display) -> Self {
        Self::unprocessable(format!("{feature} is not offered by this server"))
    }

    /// 500 of a handler.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::application(500, message)
    }

    /// 422 of a write to the schema.
    pub fn schema(message: impl Into<String>) -> Self {
        Self::new(422, Body::Schema(message.into()))
    }

    /// The same error in the shape of schema writes.
    #[must_use]
    pub fn into_schema(mut self) -> Self {
        if let Body::Application(message) = self.body {
            self.body = Body::Schema(message);
        }
        self
    }

    /// 404 without a body or content type.
    pub fn not_found() -> Self {
        Self::new(404, Body::Empty { typed: false })
    }

    /// 404 without a body, but said to be JSON.
    pub fn not_found_typed() -> Self {
        Self::new(404, Body::Empty { typed: true })
    }

    /// A validation error of the framework.
    pub fn invalid(code: Code, message: impl Into<String>) -> Self {
        Self::new(
            422,
            Body::Framework {
                code: code as u16,
                message: message.into(),
            },
        )
    }

    /// 602: a parameter or a part of the body is missing. `place` is `body`, `query`, `path`.
    pub fn required(name: &str, place: &str) -> Self {
        Self::invalid(Code::Required, format!("{name} in {place} is required"))
    }

    /// 601: a value is not of the type it should have.
    pub fn wrong_format(name: &str, place: &str, format: &str, value: &str) -> Self {
        let message = format!("{name} in {place} must be of type {format}: {value:?}");
        Self::invalid(Code::Format, message)
    }

    /// 606: a value is none of `allowed`.
    pub fn not_among(name: &str, place: &str, allowed: &[&str]) -> Self {
        let message = format!("{name} in {place} should be one of [{}]", allowed.join(" "));
        Self::invalid(Code::Enum, message)
    }

    /// 400: the body is no JSON, or not of the type it should be; `cause` is Go's text.
    pub fn undecodable(parameter: &str, cause: impl fmt::Display) -> Self {
        let message = format!("parsing {parameter} body from \"\" failed, because {cause}");
        Self::framework(400, message)
    }

    /// An error of the framework whose code is its status.
    pub fn framework(status: u16, message: impl Into<String>) -> Self {
        Self::new(
            status,
            Body::Framework {
                code: status,
                message: message.into(),
            },
        )
    }

    /// 404: no route.
    pub fn no_such_path(path: &str) -> Self {
        Self::framework(404, format!("path {path} was not found"))
    }

    /// 405: a route, but not with this method.
    pub fn method_not_allowed(method: &str, allowed: &str) -> Self {
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        let mut error = Self::framework(405, message);
        error.allow = Some(allowed.to_owned());
        error
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The `Allow` header, if there is to be one.
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The text without the envelope: what an item of a batch or a gRPC status shows.
    pub fn message(&self) -> &str {
        match &self.body {
            Body::Application(message) | Body::Schema(message) => message,
            Body::Framework { message, .. } => message,
            Body::Empty { .. } => "not found",
        }
    }

    /// The same error with a text before its message, as Go wraps errors.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        if let Body::Application(message) | Body::Schema(message) = &mut self.body {
            *message = format!("{context}{message}");
        }
        self
    }

    /// Whether the answer carries `application/json`, and its body.
    pub fn render(&self) -> (bool, Option<Value>) {
        match &self.body {
            Body::Application(message) => (true, Some(json!({"error": [{"message": message}]}))),
            Body::Schema(message) => (
                true,
                Some(json!({"allowed": null, "error": [{"message": message}]})),
            ),
            Body::Framework { code, message } => {
                (true, Some(json!({"code": code, "message": message})))
            }
            Body::Empty { typed } => (*typed, None),
        }
    }
}

impl fmt::Display for WvError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.status, self.message())
    }
}

impl std::error::Error for WvError {}

impl From<Denied> for WvError {
    fn from(denied: Denied) -> Self {
        Self::application(
            403,
            format!(
                "authorization, forbidden action: user '{}' has insufficient permissions to {}: {denied}",
                denied.principal, denied.what
            ),
        )
    }
}

impl From<StoreError> for WvError {
    fn from(error: StoreError) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_shapes_differ_in_their_envelope() {
        let of_handler = WvError::unprocessable("no").render();
        assert_eq!(
            of_handler,
            (true, Some(json!({"error": [{"message": "no"}]})))
        );
        let of_framework = WvError::wrong_format("id", "path", "uuid", "nope");
        assert_eq!(of_framework.status(), 422);
        assert_eq!(
            of_framework.render().1,
            Some(json!({"code": 601, "message": "id in path must be of type uuid: \"nope\""}))
        );
    }

    #[test]
    fn a_schema_error_names_what_is_allowed_first() {
        let (_, body) = WvError::schema("x").render();
        assert_eq!(
            body.unwrap().to_string(),
            r#"{"allowed":null,"error":[{"message":"x"}]}"#
        );
    }
}
