//! Which request goes where.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderValue, Method};

use super::call::{Answer, Call, CssResult, language};
use super::errors::{CssError, Fault};
use super::state::HuaweiState;
use super::{clusters, identity, ids, policy, setting, snapshots};
use crate::shared::task::to_the_end;

/// Serves everything below `/v1.0`, `/v2.0` and `/v3`.
pub fn router(state: HuaweiState) -> Router {
    Router::new()
        .route("/v1.0/{*rest}", any(serve))
        .route("/v2.0/{*rest}", any(serve))
        .route("/v3/{*rest}", any(serve))
        .with_state(state)
}

/// Answers with the id of the request, in the language asked for.
async fn serve(State(state): State<HuaweiState>, request: Request) -> Response {
    let language = language(request.headers());
    let result = match Call::read(state, request).await {
        Ok(call) => to_the_end(dispatch(call))
            .await
            .unwrap_or_else(|| Err(Fault::Internal.because("see the server's log"))),
        Err(error) => Err(error),
    };
    let mut response = match result {
        Ok(answer) => answer.into_response(),
        Err(error) => error.render(language),
    };
    if let Ok(id) = HeaderValue::from_str(&ids::new_request_id()) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn dispatch(call: Call) -> CssResult {
    let method = call.method.clone();
    let path: Vec<String> = call.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::GET, ["v1.0", _, "clusters"]) => clusters::list(call).await,
        (_, ["v1.0", _, "clusters", _, rest @ ..]) => of_cluster(call, &method, rest).await,
        (_, ["v2.0", _, "clusters", _, rest @ ..]) => match (&method, rest) {
            (&Method::POST, ["snapshots", "policy", "open"]) => policy::open(call).await,
            (&Method::PUT, ["snapshots", "policy", "close"]) => policy::close(call).await,
            _ => not_offered(&call),
        },
        (_, ["v1.0" | "v2.0", _, "clusters", ..]) => not_offered(&call),
        (&Method::GET, ["v3", "projects"]) => identity::projects(&call),
        (&Method::POST, ["v3", "auth", "tokens"]) => identity::token(call).await,
        (_, ["v3", "projects" | "auth", ..]) => not_offered(&call),
        _ => Err(Fault::NoSuchPath.because(format!("{method} /{}", path.join("/")))),
    }
}

async fn of_cluster(call: Call, method: &Method, rest: &[&str]) -> CssResult {
    match (method, rest) {
        (&Method::GET, []) => clusters::get(call).await,
        (&Method::POST, ["index_snapshot"]) => snapshots::create(call).await,
        (&Method::GET, ["index_snapshots"]) => snapshots::list(call).await,
        (&Method::DELETE, ["index_snapshots"]) => setting::stop(call).await,
        (&Method::POST, ["index_snapshot", "policy"]) => policy::put(call).await,
        (&Method::GET, ["index_snapshot", "policy"]) => policy::get(call).await,
        (&Method::POST, ["index_snapshot", "setting"]) => setting::put(call).await,
        (&Method::POST, ["index_snapshot", "auto_setting"]) => setting::automatic(call).await,
        (&Method::POST, ["index_snapshot", id, "restore"]) => snapshots::restore(call, id).await,
        (&Method::DELETE, ["index_snapshot", id]) => snapshots::delete(call, id).await,
        _ => not_offered(&call),
    }
}

fn not_offered(call: &Call) -> Result<Answer, CssError> {
    let path = call.path.join("/");
    Err(Fault::NotOffered.because(format!("{} /{path}", call.method)))
}
