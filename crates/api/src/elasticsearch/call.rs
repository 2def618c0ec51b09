//! Handlers that block: the store's calls do, so a whole handler runs on one blocking thread, with a single hop.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use snapkeep_engine::Engine;
use snapkeep_store::Store;

use super::config::ElasticsearchConfig;
use super::errors::{ErrorKind, EsError};
use super::output::Format;
use super::request::EsRequest;
use super::response::{Content, EsResponse};
use super::routes::EsResult;
use super::state::blocking;

/// What a blocking handler returns.
pub type Reply = EsResult;

/// A request on a blocking thread.
#[derive(Debug)]
pub struct Call(EsRequest);

impl Deref for Call {
    type Target = EsRequest;

    fn deref(&self) -> &EsRequest {
        &self.0
    }
}

impl Call {
    /// Indices and documents.
    pub fn store(&self) -> &Store {
        &self.state.store
    }

    /// Snapshots and restores.
    pub fn engine(&self) -> &Engine {
        &self.state.engine
    }

    /// Identity and limits.
    pub fn config(&self) -> &ElasticsearchConfig {
        &self.state.config
    }

    /// A part of the path, or the query parameter of that name; empty when neither is given.
    pub fn arg(&self, name: &str) -> &str {
        self.optional_arg(name).unwrap_or_default()
    }

    /// Like [`Self::arg`].
    pub fn optional_arg(&self, name: &str) -> Option<&str> {
        self.captured_or_param(name)
    }

    /// The parsed body.
    ///
    /// # Errors
    /// 400 when there is none or it cannot be parsed.
    pub fn required_json(&self) -> Result<Value, EsError> {
        self.json()?.ok_or_else(body_required)
    }

    /// The body as JSON text: the bytes as they came, or translated from the other formats.
    ///
    /// # Errors
    /// 400 when there is none or it cannot be translated.
    pub fn required_json_bytes(&self) -> Result<Bytes, EsError> {
        if !self.has_body() {
            return Err(body_required());
        }
        match self.body_format() {
            Format::Json => Ok(self.bytes()),
            _ => Ok(self.required_json()?.to_string().into()),
        }
    }

    /// Waits for something asynchronous.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::runtime::Handle::current().block_on(future)
    }
}

fn body_required() -> EsError {
    ErrorKind::Parse.error("request body is required")
}

/// Makes a handler for the table of routes from a blocking one.
pub fn on<H>(
    handler: H,
) -> impl Fn(EsRequest) -> Pin<Box<dyn Future<Output = EsResult> + Send>> + Clone + Send + Sync + 'static
where
    H: Fn(&Call) -> Reply + Clone + Send + Sync + 'static,
{
    move |request| {
        let handler = handler.clone();
        Box::pin(blocking(move || handler(&Call(request))))
    }
}

/// 200 with a value.
///
/// # Errors
/// None; the type is that of handlers.
pub fn ok(value: Value) -> Reply {
    Ok(EsResponse::value(value))
}

/// A value with another status.
///
/// # Errors
/// None; the type is that of handlers.
pub fn status(code: u16, value: Value) -> Reply {
    Ok(EsResponse::value(value).with_status(code_of(code)))
}

/// An answer to `HEAD`.
///
/// # Errors
/// None; the type is that of handlers.
pub fn empty(code: u16) -> Reply {
    // The body is never sent; it gives the answer the type that clients expect.
    Ok(EsResponse::json("{}").with_status(code_of(code)))
}

/// JSON that is written already, with the `Location` of what was made.
///
/// # Errors
/// None; the type is that of handlers.
pub fn raw(code: u16, text: String, location: Option<String>) -> Reply {
    let mut response = EsResponse::new(Content::Json(text.into())).with_status(code_of(code));
    if let Some(value) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        response.headers.push((header::LOCATION, value));
    }
    Ok(response)
}

fn code_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
