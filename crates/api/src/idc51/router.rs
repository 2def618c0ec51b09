//! Which request goes where.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::Method;

use super::call::{Call, Idc51Result};
use super::errors::Fault;
use super::state::Idc51State;
use super::{events, jobs, oauth, snapshots, volumes};
use crate::shared::task::to_the_end;

/// Serves everything below `/v2`.
pub fn router(state: Idc51State) -> Router {
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*rest}", any(serve))
        .with_state(state)
}

/// A path that is offered, with the id in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Token,
    Snapshots,
    Snapshot(&'a str),
    Apply,
    Capture(Option<&'a str>),
    CreateVolume(Option<&'a str>),
    Job(&'a str),
    UnfinishedJobs,
    Stream,
    Volumes,
}

impl<'a> Route<'a> {
    fn find(path: &[&'a str]) -> Option<Self> {
        let rest = match path {
            ["v2", "oauth2", "token"] => return Some(Self::Token),
            ["v2", "zone", _, rest @ ..] => rest,
            _ => return None,
        };
        match rest {
            ["volume_snapshots"] => Some(Self::Snapshots),
            ["volume_snapshots", "apply"] => Some(Self::Apply),
            ["volume_snapshots", "capture_instance"] => Some(Self::Capture(None)),
            ["volume_snapshots", "capture_instance", id] => Some(Self::Capture(Some(id))),
            ["volume_snapshots", "create_volume"] => Some(Self::CreateVolume(None)),
            ["volume_snapshots", "create_volume", id] => Some(Self::CreateVolume(Some(id))),
            ["volume_snapshots", id] => Some(Self::Snapshot(id)),
            ["job" | "jobs", id] => Some(Self::Job(id)),
            ["unfinished_jobs"] => Some(Self::UnfinishedJobs),
            ["notifier", "stream"] => Some(Self::Stream),
            ["volumes"] => Some(Self::Volumes),
            _ => None,
        }
    }

    /// Methods that it has.
    fn allow(self) -> &'static str {
        match self {
            Self::Snapshots => "GET, POST, PUT, DELETE",
            Self::Snapshot(_) => "PUT, DELETE",
            Self::Token | Self::Apply | Self::Capture(_) | Self::CreateVolume(_) => "POST",
            Self::Job(_) | Self::UnfinishedJobs | Self::Stream | Self::Volumes => "GET",
        }
    }
}

async fn serve(State(state): State<Idc51State>, request: Request) -> Response {
    let result = match Call::read(state, request).await {
        Ok(call) => to_the_end(dispatch(call))
            .await
            .unwrap_or_else(|| Err(Fault::Internal.because("see the server's log"))),
        Err(error) => Err(error),
    };
    match result {
        Ok(answer) => answer.into_response(),
        Err(error) => error.render(),
    }
}

async fn dispatch(call: Call) -> Idc51Result {
    let method = call.method.clone();
    let path: Vec<String> = call.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(route) = Route::find(&path) else {
        let path = path.join("/");
        return Err(Fault::NoSuchPath.because(format!("{method} /{path} is not offered")));
    };
    match (&method, route) {
        (&Method::POST, Route::Token) => oauth::token(call).await,
        (&Method::GET, Route::Snapshots) => snapshots::list(call).await,
        (&Method::POST, Route::Snapshots) => snapshots::create(call).await,
        (&Method::PUT, Route::Snapshots) => snapshots::update(call, None).await,
        (&Method::DELETE, Route::Snapshots) => snapshots::delete(call, None).await,
        (&Method::PUT, Route::Snapshot(id)) => snapshots::update(call, Some(id)).await,
        (&Method::DELETE, Route::Snapshot(id)) => snapshots::delete(call, Some(id)).await,
        (&Method::POST, Route::Apply) => snapshots::apply(call).await,
        (&Method::POST, Route::Capture(id)) => snapshots::capture_instance(call, id).await,
        (&Method::POST, Route::CreateVolume(id)) => snapshots::create_volume(call, id).await,
        (&Method::GET, Route::Job(id)) => jobs::get(call, id).await,
        (&Method::GET, Route::UnfinishedJobs) => jobs::unfinished(call).await,
        (&Method::GET, Route::Stream) => events::stream(call),
        (&Method::GET, Route::Volumes) => volumes::list(call).await,
        (_, route) => {
            let allow = route.allow();
            let path = path.join("/");
            let mut error = Fault::NoSuchMethod.because(format!("/{path} has {allow}"));
            error.allow = Some(allow);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::path::segments;

    fn found(path: &str) -> String {
        let path = segments(path);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        format!("{:?}", Route::find(&path))
    }

    #[test]
    fn words_of_the_api_are_no_ids() {
        for (path, expected) in [
            ("/v2/zone/ac1/volume_snapshots", "Some(Snapshots)"),
            ("/v2/zone/ac1/volume_snapshots/", "Some(Snapshots)"),
            (
                "/v2/zone/ac1/volume_snapshots/ss-1",
                "Some(Snapshot(\"ss-1\"))",
            ),
            ("/v2/zone/ac1/volume_snapshots/apply", "Some(Apply)"),
            (
                "/v2/zone/ac1/volume_snapshots/capture_instance",
                "Some(Capture(None))",
            ),
            (
                "/v2/zone/ac1/volume_snapshots/create_volume/%3Asnapshot_id/",
                "Some(CreateVolume(Some(\":snapshot_id\")))",
            ),
            ("/v2/zone/ac1/jobs/x", "Some(Job(\"x\"))"),
            ("/v2/zone/ac1/job", "None"),
            ("/v2/zone/ac1", "None"),
            ("/v2/zone/ac1/volume_snapshots/a/b", "None"),
            ("/v2/oauth2/token", "Some(Token)"),
            ("/v2", "None"),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
    }
}
