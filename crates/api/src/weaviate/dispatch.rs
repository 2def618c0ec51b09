//! From an HTTP request to a handler and back.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use super::errors::WvError;
use super::request::{Query, WvRequest};
use super::response::WvResponse;
use super::routes::{Found, Route, RouteTable, WvResult};
use super::state::WeaviateState;
use crate::auth::Caller;

/// Most bytes of a refused request's body that are read.
const DRAINED_BYTES: usize = 256 * 1024;
/// Longest time for that.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

const CONSUMES: [&str; 2] = ["application/json", "application/yaml"];

/// Serves a table of routes below `/v1`.
pub(super) fn serve(state: WeaviateState, routes: RouteTable) -> Router {
    let routes = Arc::new(routes);
    let service = any(move |request: Request| {
        let (state, routes) = (state.clone(), Arc::clone(&routes));
        async move { answer(state, &routes, request).await }
    });
    // Repeated slashes collapse; at the front of the path that has to be said to the outer router.
    let mut router = Router::new();
    for path in ["/v1", "/v1/", "/v1/{*rest}", "//v1", "//v1/{*rest}"] {
        router = router.route(path, service.clone());
    }
    router
        .layer(CompressionLayer::new().gzip(true))
        .layer(RequestDecompressionLayer::new().gzip(true))
}

async fn answer(state: WeaviateState, routes: &RouteTable, request: Request) -> Response {
    let is_head = request.method() == Method::HEAD;
    match handle(state, routes, request).await {
        Ok(response) => response.into_http(),
        Err(error) => {
            let mut response = WvResponse::from(&error).into_http();
            if is_head {
                *response.body_mut() = Body::empty();
            }
            if let Some(allow) = error.allow().and_then(|it| HeaderValue::from_str(it).ok()) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
    }
}

async fn handle(state: WeaviateState, routes: &RouteTable, request: Request) -> WvResult {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let segments = segments(&path);
    let route = match admit(routes, &head, &segments, &body) {
        Ok(route) => route,
        Err(refusal) => {
            drain(body).await;
            return refusal;
        }
    };
    let request = WvRequest {
        body: receive(body, state.config.max_body_bytes).await?,
        caller: Caller::of(&head.extensions),
        query: Query::parse(head.uri.query().unwrap_or_default()),
        captured: route.capture(&segments),
        method: head.method,
        headers: head.headers,
        state,
    };
    // On a task of its own: a client that leaves does not stop what it asked for half-way.
    match tokio::spawn(async move { route.call(request).await }).await {
        Ok(result) => result,
        Err(failure) => {
            tracing::error!(path, error = %failure, "a handler ended abnormally");
            Err(WvError::internal("internal error; see the server's log"))
        }
    }
}

/// Finds the route and looks at the headers. The answer, if there is nothing more to do.
fn admit(
    routes: &RouteTable,
    head: &Parts,
    segments: &[String],
    body: &Body,
) -> Result<Route, WvResult> {
    let route = match routes.find(&head.method, segments) {
        Found::Route(route) => route.clone(),
        Found::OtherMethods(_) if head.method == Method::OPTIONS => {
            return Err(Ok(WvResponse::empty()));
        }
        Found::OtherMethods(methods) => {
            let error = WvError::method_not_allowed(head.method.as_str(), &methods);
            return Err(Err(error));
        }
        Found::Nothing => return Err(Err(WvError::no_such_path(head.uri.path()))),
    };
    if !body.is_end_stream() && body.size_hint().upper() != Some(0) {
        check_content_type(&head.headers).map_err(Err)?;
    }
    check_accept(&head.headers).map_err(Err)?;
    Ok(route)
}

/// Reads a body that nobody wants, so that a client that is still sending it can read its answer and keep the connection.
async fn drain(body: Body) {
    let rest = Limited::new(body, DRAINED_BYTES).collect();
    // Too long or too late: the connection ends with the answer instead, which harms nobody else.
    if let Err(_) | Ok(Err(_)) = tokio::time::timeout(DRAIN_LIMIT, rest).await {
        tracing::debug!("a refused request's body was not read to its end");
    }
}

/// The decoded segments after `/v1`; empty ones do not count.
fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .skip(1)
        .map(|segment| {
            percent_encoding::percent_decode_str(segment)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect()
}

fn check_content_type(headers: &HeaderMap) -> Result<(), WvError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/octet-stream");
    let media = given.split(';').next().unwrap_or_default().trim();
    if CONSUMES
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known))
    {
        return Ok(());
    }
    let text = format!(
        "unsupported media type {given:?}, only [{}] are allowed",
        CONSUMES.join(" ")
    );
    Err(WvError::framework(415, text))
}

fn check_accept(headers: &HeaderMap) -> Result<(), WvError> {
    let mut accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .peekable();
    let fits = |range: &str| {
        ["", "*/*", "application/*", "application/json"]
            .iter()
            .any(|known| range.eq_ignore_ascii_case(known))
    };
    if accepted.peek().is_none() || accepted.any(fits) {
        return Ok(());
    }
    let text = "unsupported media type requested, only [application/json] are available";
    Err(WvError::framework(406, text))
}

/// Collects a body, after decompression, up to the limit.
async fn receive(body: Body, limit: usize) -> Result<Bytes, WvError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let text = format!("request body is larger than the {limit} bytes allowed");
            Err(WvError::framework(
                StatusCode::PAYLOAD_TOO_LARGE.as_u16(),
                text,
            ))
        }
        Err(error) => Err(WvError::framework(
            400,
            format!("cannot read the request body: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        check_accept(&headers).is_ok()
    }

    #[test]
    fn slashes_collapse_and_segments_are_decoded() {
        assert_eq!(segments("//v1//a%2Fb/c/"), ["a/b", "c"]);
        assert!(segments("/v1/").is_empty());
    }

    #[test]
    fn json_must_be_acceptable() {
        assert!(check_accept(&HeaderMap::new()).is_ok());
        assert!(accept("text/html, application/*;q=0.8"));
        assert!(!accept("application/xml"));
    }

    #[test]
    fn a_body_has_to_say_that_it_is_json() {
        let mut headers = HeaderMap::new();
        let error = check_content_type(&headers).unwrap_err();
        assert_eq!(
            error.message(),
            "unsupported media type \"application/octet-stream\", only [application/json application/yaml] are allowed"
        );
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        assert!(check_content_type(&headers).is_ok());
    }
}
