//! `GET /health`: whether this server can work.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};
use snapkeep_api::auth::{Caller, Need};
use snapkeep_engine::Engine;
use tokio_util::sync::CancellationToken;

/// What health depends on.
#[derive(Debug, Clone)]
pub struct HealthState {
    engine: Engine,
    shutdown: CancellationToken,
    started: Instant,
}

impl HealthState {
    /// From now on.
    pub fn new(engine: Engine, shutdown: CancellationToken) -> Self {
        Self {
            engine,
            shutdown,
            started: Instant::now(),
        }
    }
}

/// 200 when the catalogue answers, 503 when it does not or the server is shutting down. A repository in trouble is reported,
/// but does not make the server unhealthy: the others can still be used.
/// Strangers are told no more than that: the rest needs a credential, where there are any.
pub async fn health(State(state): State<HealthState>, caller: Caller) -> (StatusCode, Json<Value>) {
    let uptime = state.started.elapsed().as_secs();
    if state.shutdown.is_cancelled() {
        return unhealthy("the server is shutting down", uptime);
    }
    let repositories = match state.engine.repositories().await {
        Ok(repositories) => repositories,
        Err(cause) => return unhealthy(&cause.to_string(), uptime),
    };
    if caller.authorise(Need::read("health")).is_err() {
        return (StatusCode::OK, Json(json!({"status": "ok"})));
    }
    let troubled = repositories.iter().filter_map(|repository| {
        let trouble = repository.trouble.as_ref()?;
        Some(json!({"repository": repository.name, "trouble": trouble}))
    });
    let workers: Vec<Value> = state
        .engine
        .workers()
        .into_iter()
        .map(|worker| json!({"name": worker.name, "state": worker.state, "status": worker.status, "errors": worker.errors, "last_error": worker.last_error}))
        .collect();
    let body = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime,
        "repositories": repositories.len(),
        "troubles": troubled.collect::<Vec<_>>(),
        "workers": workers,
    });
    (StatusCode::OK, Json(body))
}

fn unhealthy(reason: &str, uptime: u64) -> (StatusCode, Json<Value>) {
    let body = json!({"status": "unavailable", "reason": reason, "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": uptime});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}
