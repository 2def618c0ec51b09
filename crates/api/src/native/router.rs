//! The routes and their description.

use axum::{Json, Router};
use http::StatusCode;
use snapkeep_engine::Engine;
use snapkeep_store::Store;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access;
use super::problem::Refusal;
use super::types::Server;
use super::{
    credentials, events, jobs, keys, maintenance, policies, repositories, restores, snapshots,
    volumes,
};

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct NativeState {
    /// Does the work.
    pub engine: Engine,
    /// Holds the indices that snapshots are taken of.
    pub store: Store,
    /// Ends the streams of events, which would otherwise hold up a shutdown.
    pub shutdown: CancellationToken,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Snapkeep", description = "Repositories, snapshots, restores, volumes, policies, checks, keys and jobs of a Snapkeep server.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    tags(
        (name = "repositories", description = "Where snapshots are kept"),
        (name = "snapshots", description = "Indices at one moment"),
        (name = "volumes", description = "Disks, and the instances they belong to"),
        (name = "volume snapshots", description = "Disks at one moment, and what is made of them"),
        (name = "policies", description = "What is snapshotted when, and how long it is kept"),
        (name = "keys", description = "Passwords of a repository"),
        (name = "credentials", description = "Who may do what, and who did what"),
        (name = "jobs", description = "Long work, its progress and its end"),
        (name = "server", description = "The server itself")
    )
)]
struct Description;

/// The API below `/api/v1`.
pub fn router(state: NativeState) -> Router {
    let (router, description) = parts();
    let document = Json(description);
    let router = router.route(
        "/api/v1/openapi.json",
        axum::routing::get(move || std::future::ready(document.clone())),
    );
    router
        .route_layer(axum::middleware::from_fn(access::admit))
        .route("/api/v1/{*rest}", axum::routing::any(no_such_path))
        .with_state(state)
}

/// The description that is served at `/api/v1/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    parts().1
}

fn parts() -> (Router<NativeState>, utoipa::openapi::OpenApi) {
    let described = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(server))
        .routes(routes!(repositories::list))
        .routes(routes!(
            repositories::get,
            repositories::register,
            repositories::remove
        ))
        .routes(routes!(repositories::verify))
        .routes(routes!(maintenance::cleanup))
        .routes(routes!(maintenance::check))
        .routes(routes!(maintenance::prune))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::remove))
        .routes(routes!(snapshots::list, snapshots::create))
        .routes(routes!(snapshots::get, snapshots::delete))
        .routes(routes!(snapshots::status))
        .routes(routes!(snapshots::clone))
        .routes(routes!(restores::restore))
        .routes(routes!(volumes::list_volumes, volumes::add_volume))
        .routes(routes!(volumes::get_volume, volumes::remove_volume))
        .routes(routes!(volumes::list_instances, volumes::add_instance))
        .routes(routes!(volumes::get_instance, volumes::remove_instance))
        .routes(routes!(volumes::list_snapshots, volumes::create_snapshots))
        .routes(routes!(
            volumes::get_snapshot,
            volumes::rename_snapshot,
            volumes::delete_snapshot
        ))
        .routes(routes!(volumes::apply_snapshot))
        .routes(routes!(volumes::create_volume))
        .routes(routes!(volumes::capture_image))
        .routes(routes!(volumes::list_images))
        .routes(routes!(policies::lock))
        .routes(routes!(policies::list))
        .routes(routes!(policies::get, policies::put, policies::remove))
        .routes(routes!(policies::enable))
        .routes(routes!(policies::disable))
        .routes(routes!(policies::run))
        .routes(routes!(policies::runs))
        .routes(routes!(policies::preview, policies::apply_retention))
        .routes(routes!(credentials::list, credentials::add))
        .routes(routes!(credentials::rotate))
        .routes(routes!(credentials::remove))
        .routes(routes!(credentials::audit))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::cancel))
        .routes(routes!(events::stream));
    described.split_for_parts()
}

/// Tells who answers.
#[utoipa::path(get, path = "/api/v1", tag = "server", responses((status = 200, body = Server)))]
async fn server() -> Json<Server> {
    Json(Server {
        name: "snapkeep".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        openapi: "/api/v1/openapi.json".to_owned(),
    })
}

async fn no_such_path(request: axum::extract::Request) -> Refusal {
    let path = request.uri().path();
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        format!("{path} is not part of this API"),
    )
    .hint("all paths are described at /api/v1/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_with_its_answers() {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for expected in [
            "/api/v1/repositories",
            "/api/v1/repositories/{repository}/snapshots/{snapshot}/restore",
            "/api/v1/jobs/{id}/cancel",
            "/api/v1/events",
        ] {
            assert!(paths.contains_key(expected), "{expected} is not described");
        }
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(
                    operation["summary"].is_string(),
                    "{method} {path} has no summary"
                );
                assert!(
                    operation["tags"][0].is_string(),
                    "{method} {path} has no tag"
                );
                assert!(
                    !operation["responses"].as_object().unwrap().is_empty(),
                    "{method} {path} has no answer"
                );
            }
        }
    }
}
