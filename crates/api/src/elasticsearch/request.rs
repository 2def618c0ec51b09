//! One request as handlers see it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::ApiState;
use super::access::Access;
use super::body::{self, Media};
use super::config::Shape;
use super::errors::{ErrorKind, EsError};
use super::output::Readable;
use super::params::Params;
use crate::auth::Caller;

/// A request after routing: parameters are known to be allowed, the body has been received.
#[derive(Debug)]
pub struct EsRequest {
    /// Engine, store and configuration.
    pub state: ApiState,
    /// The method.
    pub method: Method,
    /// The path as it was sent, for messages.
    pub path: String,
    /// Query parameters.
    pub params: Params,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks; may call this route at all.
    pub caller: Caller,
    pub(super) access: Access,
    pub(super) captured: Vec<(&'static str, String)>,
    pub(super) media: Option<Media>,
    pub(super) body: Bytes,
    /// In a lock only so that a request may be referred to from several threads, which a body alone may not.
    pub(super) stream: Mutex<Option<axum::body::Body>>,
    pub(super) is_human: bool,
}

impl EsRequest {
    /// Whose answers are given.
    pub fn shape(&self) -> Shape {
        self.state.config.shape
    }

    /// Whether `opensearch` is the shape.
    pub fn is_opensearch(&self) -> bool {
        self.shape() == Shape::OpenSearch
    }

    /// Writes numbers with their readable twins if `human` was asked for.
    pub fn readable(&self) -> Readable {
        Readable(self.is_human)
    }

    /// A part of the path by the name it has in the route, decoded; empty when the route has none.
    pub fn captured(&self, name: &str) -> &str {
        self.captured
            .iter()
            .find(|(captured, _)| *captured == name)
            .map_or("", |(_, value)| value)
    }

    /// A part of the path, or else the query parameter of that name.
    pub fn captured_or_param(&self, name: &str) -> Option<&str> {
        let captured = self.captured.iter().find(|(captured, _)| *captured == name);
        captured
            .map(|(_, value)| value.as_str())
            .or_else(|| self.params.get(name))
    }

    /// Whether a body was sent. False for streaming routes.
    pub fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// The body as it was sent (after decompression), to keep documents verbatim.
    pub fn bytes(&self) -> Bytes {
        self.body.clone()
    }

    /// Takes the body of a [streaming](super::routes::Route::streaming) route; it is not limited in size.
    pub fn take_stream(&mut self) -> axum::body::Body {
        self.stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default()
    }

    /// Format of the body; JSON when none was sent.
    pub fn body_format(&self) -> super::output::Format {
        self.media
            .map_or(super::output::Format::Json, |media| media.format)
    }

    /// The parsed body; `None` when none was sent.
    ///
    /// # Errors
    /// 400 when it cannot be parsed.
    pub fn json(&self) -> Result<Option<Value>, EsError> {
        if self.body.is_empty() {
            return Ok(None);
        }
        body::parse(&self.body, self.body_format(), self.shape()).map(Some)
    }

    /// The parsed body as an object. None sent, or something else than an object: an empty one.
    ///
    /// # Errors
    /// 400 when it cannot be parsed.
    pub fn object(&self) -> Result<Map<String, Value>, EsError> {
        match self.json()? {
            Some(Value::Object(object)) => Ok(object),
            _ => Ok(Map::new()),
        }
    }

    /// Like [`Self::object`] for calls that need a body.
    ///
    /// # Errors
    /// 400 `request body is required`; 400 when it cannot be parsed.
    pub fn required_object(&self) -> Result<Map<String, Value>, EsError> {
        if !self.has_body() {
            return Err(ErrorKind::Parse.error("request body is required"));
        }
        self.object()
    }
}
