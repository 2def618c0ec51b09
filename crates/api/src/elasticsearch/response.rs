//! Answers before they are shaped.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::output::Table;

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// A value, to be filtered and encoded as asked for.
    Value(Value),
    /// JSON that is written already (large answers with documents kept verbatim); parsed again only if the request asks for
    /// filtering or another format.
    Json(Bytes),
    /// A table of a `_cat` endpoint.
    Table(Table),
    /// Plain text.
    Text(String),
    /// A stream of JSON text; sent as it comes.
    Stream(Body),
    /// Nothing.
    Empty,
}

/// A successful answer. Statuses of 400 and above with a document as body (`GET` of a missing document) are possible too.
#[derive(Debug)]
pub struct EsResponse {
    /// The status; 200 unless set.
    pub status: StatusCode,
    /// Headers beside those that every answer has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub content: Content,
}

impl EsResponse {
    /// 200 with a body.
    pub fn new(content: Content) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            content,
        }
    }

    /// 200 with a value.
    pub fn value(value: Value) -> Self {
        Self::new(Content::Value(value))
    }

    /// 200 with a table.
    pub fn table(table: Table) -> Self {
        Self::new(Content::Table(table))
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    /// 200 with JSON that is written already.
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Json(bytes.into()))
    }

    /// 200 `{"acknowledged":true}`.
    pub fn acknowledged() -> Self {
        Self::value(json!({ "acknowledged": true }))
    }

    /// 200 `{"accepted":true}`.
    pub fn accepted() -> Self {
        Self::value(json!({ "accepted": true }))
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}
