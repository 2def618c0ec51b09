//! Roles and the routes they may use, through the middleware: a table.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use snapkeep_api::auth::Gate;
use snapkeep_api::elasticsearch::{self, ApiState, ElasticsearchConfig, Shape};
use snapkeep_api::native::{self, NativeState};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::credentials::{Kind, Limits, NewCredential, Role};
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

struct Server {
    router: Router,
    /// `Authorization` of a viewer, an operator and an admin.
    callers: [String; 3],
    _folder: tempfile::TempDir,
}

async fn start(shape: Shape) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), &StoreOptions::default()).unwrap();
    let driver = Arc::new(StoreDriver::new(store.clone()));
    let engine = Engine::start(EngineConfig::new(folder.path().join("engine")), driver)
        .await
        .unwrap();
    let mut callers = [Role::Viewer, Role::Operator, Role::Admin].map(|role| role.to_string());
    // The first has to be an admin.
    for (caller, role) in callers
        .iter_mut()
        .rev()
        .zip([Role::Admin, Role::Operator, Role::Viewer])
    {
        let new = NewCredential {
            name: role.to_string(),
            kind: Kind::ApiKey,
            role,
            limits: Limits::default(),
            password: None,
        };
        let issued = engine.credentials().add(new).await.unwrap();
        let pair = format!("{}:{}", issued.credential.key_id, issued.secret.expose());
        *caller = format!("ApiKey {}", STANDARD.encode(pair));
    }
    let config = ElasticsearchConfig::new(shape, "uuid");
    let dialects = native::router(NativeState {
        engine: engine.clone(),
        store: store.clone(),
        shutdown: CancellationToken::new(),
    })
    .fallback_service(elasticsearch::router(ApiState::new(
        engine.clone(),
        store,
        config,
    )));
    Server {
        router: Gate::new(engine, shape, false, true).protect(dialects),
        callers,
        _folder: folder,
    }
}

impl Server {
    async fn call(&self, caller: Option<&str>, line: &str) -> (StatusCode, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(caller) = caller {
            request = request.header("authorization", caller);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The least role that is let through; whether the call then finds what it asks for does not matter here.
const TABLE: &[(Role, &[&str])] = &[
    (
        Role::Viewer,
        &[
            "GET /",
            "HEAD /",
            "GET /_cat/indices",
            "GET /_cluster/health",
            "GET /i/_search",
            "POST /i/_search",
            "POST /_msearch",
            "GET /i/_doc/1",
            "GET /_snapshot",
            "GET /_snapshot/r/s",
            "GET /_snapshot/r/s/_status",
            "GET /_security/_authenticate",
            "GET /api/v1",
            "GET /api/v1/repositories",
            "GET /api/v1/repositories/r/snapshots",
            "GET /api/v1/jobs",
            "GET /api/v1/volumes",
            "GET /api/v1/instances/i-x",
            "GET /api/v1/volume-snapshots",
            "GET /api/v1/images",
        ],
    ),
    (
        Role::Operator,
        &[
            "PUT /i",
            "DELETE /i",
            "PUT /i/_doc/1",
            "POST /_bulk",
            "DELETE /i/_doc/1",
            "POST /i/_update/1",
            "POST /i/_close",
            "POST /_aliases",
            "PUT /_snapshot/r/s",
            "POST /_snapshot/r/s/_restore",
            "POST /_snapshot/r/_verify",
            "POST /api/v1/repositories/r/snapshots",
            "POST /api/v1/repositories/r/snapshots/s/restore",
            "POST /api/v1/jobs/j/cancel",
            "POST /api/v1/volume-snapshots",
            "PATCH /api/v1/volume-snapshots/ss-x",
            "POST /api/v1/volume-snapshots/ss-x/apply",
            "POST /api/v1/volume-snapshots/ss-x/volume",
            "POST /api/v1/volume-snapshots/ss-x/image",
        ],
    ),
    (
        Role::Admin,
        &[
            "PUT /_snapshot/r",
            "DELETE /_snapshot/r",
            "DELETE /_snapshot/r/s",
            "POST /_snapshot/r/_cleanup",
            "PUT /_cluster/settings",
            "PUT /_index_template/t",
            "DELETE /_template/t",
            "PUT /api/v1/repositories/r",
            "DELETE /api/v1/repositories/r",
            "DELETE /api/v1/repositories/r/snapshots/s",
            "POST /api/v1/repositories/r/prune",
            "POST /api/v1/repositories/r/keys",
            "POST /api/v1/volumes",
            "DELETE /api/v1/volumes/vol-x",
            "POST /api/v1/instances",
            "DELETE /api/v1/instances/i-x",
            "DELETE /api/v1/volume-snapshots/ss-x",
            "GET /api/v1/credentials",
            "POST /api/v1/credentials",
            "DELETE /api/v1/credentials/c",
            "GET /api/v1/audit",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_the_role_of_the_table() {
    let server = start(Shape::Es).await;
    for (least, lines) in TABLE {
        for line in *lines {
            let (status, _) = server.call(None, line).await;
            assert_eq!(
                status,
                StatusCode::UNAUTHORIZED,
                "{line} without credentials"
            );
            for (role, caller) in Role::ALL.iter().zip(&server.callers) {
                let (status, text) = server.call(Some(caller), line).await;
                let is_refused = status == StatusCode::FORBIDDEN;
                assert_eq!(
                    is_refused,
                    role < least,
                    "{line} as {role}: {status} {text}"
                );
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{line} as {role}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_refuses_in_its_own_words() {
    let server = start(Shape::OpenSearch).await;
    let (status, text) = server.call(None, "GET /").await;
    assert_eq!((status.as_u16(), text.as_str()), (401, "Unauthorized"));
    let (status, text) = server.call(Some(&server.callers[0]), "PUT /i").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        text.contains("no permissions for [indices:admin/create] and User [name=viewer, backend_roles=[viewer], requestedTenant=null]"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_without_the_middleware_refuses_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), &StoreOptions::default()).unwrap();
    let driver = Arc::new(StoreDriver::new(store.clone()));
    let engine = Engine::start(EngineConfig::new(folder.path().join("engine")), driver)
        .await
        .unwrap();
    let config = ElasticsearchConfig::new(Shape::Es, "uuid");
    let bare = elasticsearch::router(ApiState::new(engine, store, config));
    let request = Request::get("/_cat/indices").body(Body::empty()).unwrap();
    let response = bare.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
