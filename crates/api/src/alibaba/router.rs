//! Which request goes where.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use http::Method;

use super::call::{AlibabaResult, Call};
use super::errors::Fault;
use super::state::AlibabaState;
use super::{repos, setting, snapshot};
use crate::shared::task::to_the_end;
use crate::shared::uuid;

/// Serves everything below `/openapi`.
pub fn router(state: AlibabaState) -> Router {
    Router::new()
        .route("/openapi/{*rest}", any(serve))
        .with_state(state)
}

async fn serve(State(state): State<AlibabaState>, request: Request) -> Response {
    let request_id = new_request_id();
    let result = match Call::read(state, request).await {
        Ok(call) => to_the_end(dispatch(call))
            .await
            .unwrap_or_else(|| Err(Fault::Internal.because("see the server's log"))),
        Err(error) => Err(error),
    };
    match result {
        Ok(answer) => {
            let headers = [("x-acs-request-id", request_id.clone())];
            (headers, Json(answer.body(&request_id))).into_response()
        }
        Err(error) => error.render(&request_id),
    }
}

/// A UUID in upper case, as the real service makes them.
fn new_request_id() -> String {
    uuid::hyphenated(&rand::random()).to_uppercase()
}

async fn dispatch(call: Call) -> AlibabaResult {
    let method = call.method.clone();
    let path: Vec<String> = call.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (instance, rest) = match path.as_slice() {
        [
            "openapi",
            "es-serverless",
            "instances",
            app,
            "auto-snapshot-setting",
        ] if method == Method::PUT => {
            return setting::update_serverless(call, app).await;
        }
        ["openapi", "instances", instance, rest @ ..] => (*instance, rest),
        _ => return not_found(&call),
    };
    match (&method, rest) {
        (&Method::GET, ["snapshot-setting"]) => setting::describe(call, instance).await,
        (&Method::POST | &Method::PUT, ["snapshot-setting"]) => {
            setting::update(call, instance).await
        }
        (&Method::POST, ["snapshots"]) => snapshot::create(call, instance).await,
        (&Method::POST, ["snapshot-repos"]) => repos::add(call, instance).await,
        (&Method::GET, ["snapshot-repos"]) => repos::list(call, instance).await,
        (&Method::DELETE, ["snapshot-repos"]) => repos::delete(call, instance).await,
        (&Method::GET, ["alternative-snapshot-repos"]) => repos::alternatives(call, instance).await,
        _ => not_found(&call),
    }
}

fn not_found(call: &Call) -> AlibabaResult {
    Err(Fault::NoSuchApi.because(format!(
        "Specified api is not found: {} /{}.",
        call.method,
        call.path.join("/")
    )))
}
