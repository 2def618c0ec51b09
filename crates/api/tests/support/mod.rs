//! A dialect with a real engine and store behind it, spoken to without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use snapkeep_api::auth::without_credentials;
use snapkeep_api::elasticsearch::{ApiState, ElasticsearchConfig, Shape, router};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::{Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};
use tempfile::TempDir;
use tower::ServiceExt;

/// The server under test; its data is gone with it.
pub struct Server {
    router: Router,
    _dir: TempDir,
}

/// Status and body of an answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The parsed body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status, type and reason of an error.
    pub fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("type"), text("reason"))
    }

    /// The parsed body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

impl Server {
    /// Starts one that holds nothing.
    pub async fn start(shape: Shape) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        let driver = Arc::new(StoreDriver::new(store.clone()));
        let engine = Engine::start(EngineConfig::new(dir.path().join("engine")), driver)
            .await
            .unwrap();
        let config = ElasticsearchConfig::new(shape, store.uuid());
        let router = without_credentials(router(ApiState::new(engine, store, config)));
        Self { router, _dir: dir }
    }

    /// Sends `"METHOD /path"`; a body that is empty is none.
    pub async fn send(&self, line: &str, body: impl Into<String>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let body: String = body.into();
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            let media = if path.contains("_bulk") || path.contains("_msearch") {
                "application/x-ndjson"
            } else {
                "application/json"
            };
            request = request.header(header::CONTENT_TYPE, media);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status: StatusCode = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status: status.as_u16(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Sends a request without a body.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "").await
    }
}
