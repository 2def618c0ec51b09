//! From an HTTP request to a handler and back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde_json::Value;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use super::ApiState;
use super::access::Access;
use super::body::{Accepted, Media};
use super::config::Shape;
use super::confine::refused;
use super::errors::{ErrorKind, EsError};
use super::output::{self, Format};
use super::params::Params;
use super::path;
use super::request::EsRequest;
use super::response::{Content, EsResponse};
use super::routes::{EsResult, Found, Route, RouteTable};
use crate::auth::{Caller, Denied, Need};

const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");
const TEXT: &str = "text/plain; charset=UTF-8";

/// Serves a table of routes on every path that nothing else takes.
pub(super) fn serve(state: ApiState, routes: RouteTable) -> Router {
    let routes = Arc::new(routes);
    Router::new()
        .fallback(move |request: Request| {
            let (state, routes) = (state.clone(), Arc::clone(&routes));
            async move { answer(state, &routes, request).await }
        })
        .layer(CompressionLayer::new().gzip(true))
        .layer(RequestDecompressionLayer::new().gzip(true))
}

/// How an answer is to look; known before it is known whether there will be one.
#[derive(Debug, Clone)]
struct Look {
    shape: Shape,
    accepted: Accepted,
    format: Option<Format>,
    is_pretty: bool,
    with_trace: bool,
    is_human: bool,
    filter: Option<String>,
}

impl Look {
    fn plain(shape: Shape) -> Self {
        let accepted = Accepted::default();
        Self {
            shape,
            accepted,
            format: None,
            is_pretty: false,
            with_trace: false,
            is_human: false,
            filter: None,
        }
    }

    fn read(shape: Shape, headers: &HeaderMap, params: &Params) -> Result<Self, EsError> {
        let accepted = Accepted::of_request(headers);
        let by_name = params
            .get("format")
            .and_then(|name| Format::by_name(&name.to_ascii_lowercase()));
        Ok(Self {
            shape,
            accepted,
            format: by_name.or(accepted.media.map(|media| media.format)),
            is_pretty: params.bool("pretty", false)?,
            with_trace: params.bool("error_trace", false)?,
            is_human: params.bool("human", false)?,
            filter: params
                .get("filter_path")
                .filter(|patterns| !patterns.is_empty())
                .map(str::to_owned),
        })
    }
}

async fn answer(state: ApiState, routes: &RouteTable, request: Request) -> Response {
    let shape = state.config.shape;
    let opaque_id = request.headers().get(&OPAQUE_ID).cloned();
    let mut look = Look::plain(shape);
    let mut params = Params::default();
    let result = handle(state, routes, request, &mut look, &mut params).await;
    let rendered = match result {
        Ok(response) => render(response, &look, &params),
        Err(error) => Err(error),
    };
    let mut response = rendered.unwrap_or_else(|error| render_error(&error, &look));
    let headers = response.headers_mut();
    if shape == Shape::Es {
        headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    }
    if let Some(id) = opaque_id {
        headers.insert(OPAQUE_ID, id);
    }
    response
}

async fn handle(
    state: ApiState,
    routes: &RouteTable,
    request: Request,
    look: &mut Look,
    read_params: &mut Params,
) -> EsResult {
    let (head, body) = request.into_parts();
    let raw_path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default();
    let whole = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    *read_params = Params::new(path::query_pairs(query)?);
    let params = read_params.clone();
    *look = Look::read(state.config.shape, &head.headers, &params)?;
    let segments = path::segments(&raw_path)?;
    let route = match routes.find(&head.method, &segments, state.config.shape) {
        Found::Route(route) => route,
        Found::OtherMethods(methods) if head.method == Method::OPTIONS => {
            return Ok(options(&methods));
        }
        Found::OtherMethods(methods) => return Err(wrong_method(&head.method, &whole, &methods)),
        Found::Nothing if head.method == Method::OPTIONS => return Ok(options(&[])),
        Found::Nothing => {
            let text = format!(
                "no handler found for uri [{raw_path}] and method [{}]",
                head.method
            );
            return Err(EsError::plain_without_status(400, text));
        }
    };
    let captured = route.capture(&segments);
    let caller = Caller::of(&head.extensions);
    // Before anything of the body is read: whoever may not call learns nothing more.
    admit(&caller, &route, &captured, &params).map_err(|denied| refused(&denied, look.shape))?;
    let mut media = None;
    if !body.is_end_stream() && body.size_hint().upper() != Some(0) {
        media = Some(Media::of_request(&head.headers, state.config.shape));
    }
    let (bytes, stream) = if route.is_streaming() {
        (Bytes::new(), Some(body))
    } else {
        let bytes = receive(body, state.config.max_body_bytes).await?;
        if bytes.is_empty() {
            media = None;
        }
        (bytes, None)
    };
    let media = media.transpose()?;
    if look.format.is_none() {
        look.format = media.map(|media| media.format);
    }
    params.check_known(&raw_path, route.known())?;
    let request = EsRequest {
        caller,
        access: route.access(),
        state,
        method: head.method,
        path: raw_path,
        params,
        headers: head.headers,
        captured,
        media,
        body: bytes,
        stream: Mutex::new(stream),
        is_human: look.is_human,
    };
    // On a task of its own: a client that leaves does not stop what it asked for half-way.
    match tokio::spawn(async move { route.call(request).await }).await {
        Ok(result) => result,
        Err(failure) => {
            tracing::error!(path = whole, error = %failure, "a handler ended abnormally");
            Err(ErrorKind::Exception.error("internal error; see the server's log"))
        }
    }
}

/// Asks for the role, and for the repository if exactly one is named.
fn admit(
    caller: &Caller,
    route: &Route,
    captured: &[(&'static str, String)],
    params: &Params,
) -> Result<(), Denied> {
    let Access { action, what } = route.access();
    let named = captured
        .iter()
        .find(|(name, _)| *name == "repository")
        .map(|(_, value)| value.as_str())
        .or_else(|| params.get("repository"));
    // Lists and patterns show what may be seen; see `repositories`.
    let is_one = |name: &&str| !name.contains(['*', ',']) && *name != "_all";
    let need = Need::new(action, what);
    caller.authorise(match named.filter(is_one) {
        Some(name) => need.repository(name),
        None => need,
    })
}

/// Collects a body, after decompression, up to the limit.
async fn receive(body: Body, limit: usize) -> Result<Bytes, EsError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(EsError::plain(
            413,
            format!("request body is larger than the {limit} bytes allowed"),
        )),
        Err(error) => Err(EsError::illegal_argument(format!(
            "cannot read the request body: {error}"
        ))),
    }
}

fn names(methods: &[Method], separator: &str) -> String {
    methods
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(separator)
}

fn options(methods: &[Method]) -> EsResponse {
    let mut response = EsResponse::text("");
    if let (false, Ok(allow)) = (
        methods.is_empty(),
        HeaderValue::from_str(&names(methods, ",")),
    ) {
        response.headers.push((header::ALLOW, allow));
    }
    response
}

fn wrong_method(method: &Method, uri: &str, allowed: &[Method]) -> EsError {
    let list = names(allowed, ", ");
    EsError::plain(
        405,
        format!("Incorrect HTTP method for uri [{uri}] and method [{method}], allowed: [{list}]"),
    )
    .with_allow(names(allowed, ","))
}

fn render(response: EsResponse, look: &Look, params: &Params) -> Result<Response, EsError> {
    let (content_type, body) = match response.content {
        Content::Value(value) => render_value(value, look)?,
        Content::Json(bytes) if is_untouched(look) => (
            look.accepted.content_type(Format::Json, look.shape),
            Body::from(bytes),
        ),
        Content::Json(bytes) => {
            let value = serde_json::from_slice(&bytes).map_err(|error| {
                ErrorKind::Exception.error(format!("cannot read the answer again: {error}"))
            })?;
            render_value(value, look)?
        }
        Content::Table(table) if params.bool("help", false)? => {
            (TEXT.to_owned(), Body::from(table.help()))
        }
        Content::Table(table) if look.format.is_some() => render_value(table.value(params)?, look)?,
        Content::Table(table) => (TEXT.to_owned(), Body::from(table.text(params)?)),
        Content::Text(text) => (TEXT.to_owned(), Body::from(text)),
        Content::Stream(body) => (look.accepted.content_type(Format::Json, look.shape), body),
        Content::Empty => (TEXT.to_owned(), Body::empty()),
    };
    let mut built = Response::new(body);
    *built.status_mut() = response.status;
    let headers = built.headers_mut();
    headers.extend(response.headers);
    set_type(headers, &content_type);
    Ok(built)
}

fn is_untouched(look: &Look) -> bool {
    look.filter.is_none()
        && !look.is_pretty
        && look.format.is_none_or(|format| format == Format::Json)
}

fn render_value(value: Value, look: &Look) -> Result<(String, Body), EsError> {
    let kept = match &look.filter {
        Some(patterns) => output::filter(value, patterns),
        None => value,
    };
    let format = look.format.unwrap_or(Format::Json);
    let bytes = output::encode(&kept, format, look.is_pretty)?;
    Ok((
        look.accepted.content_type(format, look.shape),
        Body::from(bytes),
    ))
}

fn render_error(error: &EsError, look: &Look) -> Response {
    let status = error.status(look.shape);
    let value = error.render(look.shape, look.with_trace);
    // An error is never filtered: what went wrong must be seen.
    let whole = Look {
        filter: None,
        ..look.clone()
    };
    let mut response = match render_value(value, &whole) {
        Ok((content_type, body)) => {
            let mut response = Response::new(body);
            set_type(response.headers_mut(), &content_type);
            response
        }
        Err(_) => Response::new(Body::empty()),
    };
    *response.status_mut() = status;
    if let Some(allow) = error
        .allow()
        .and_then(|methods| HeaderValue::from_str(methods).ok())
    {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn set_type(headers: &mut HeaderMap, content_type: &str) {
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
}
