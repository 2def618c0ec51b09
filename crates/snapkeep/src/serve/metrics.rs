//! Metrics in Prometheus' text format, and the counting of requests.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use snapkeep_api::auth::{Caller, Need};
use tokio_util::sync::CancellationToken;

/// How often finished histograms are folded, so that memory does not grow while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder of the process; later calls return the first.
pub fn install() -> Option<&'static PrometheusHandle> {
    let install = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS);
        let handle = builder
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|cause| tracing::error!(%cause, "no metrics"))
            .ok()?;
        metrics::describe_counter!(
            "snapkeep_http_requests_total",
            "Requests answered, by dialect, method and status"
        );
        metrics::describe_histogram!(
            "snapkeep_http_request_seconds",
            "Time to answer a request, by dialect"
        );
        metrics::gauge!("snapkeep_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Some(handle)
    };
    HANDLE.get_or_init(install).as_ref()
}

/// `GET /metrics`.
pub async fn render(caller: Caller) -> Response {
    if caller.authorise(Need::read("metrics")).is_err() {
        return http::StatusCode::FORBIDDEN.into_response();
    }
    match HANDLE.get().and_then(Option::as_ref) {
        Some(handle) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            handle.render(),
        )
            .into_response(),
        None => http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Folds histograms until `shutdown`.
pub async fn upkeep(handle: &'static PrometheusHandle, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => handle.run_upkeep(),
            () = shutdown.cancelled() => return,
        }
    }
}

/// Counts every request. Paths are no label: they carry names that clients choose, without bound.
pub async fn count(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let dialect = dialect_of(request.uri().path());
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "PUT" | "POST" | "DELETE") => known.to_owned(),
        _ => "OTHER".to_owned(),
    };
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    metrics::counter!("snapkeep_http_requests_total", "dialect" => dialect, "method" => method.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!("snapkeep_http_request_seconds", "dialect" => dialect)
        .record(elapsed.as_secs_f64());
    tracing::debug!(%method, path, status, milliseconds = elapsed.as_millis() as u64, "request");
    response
}

fn dialect_of(path: &str) -> &'static str {
    match path {
        "/health" | "/metrics" => "own",
        path if path == "/api/v1" || path.starts_with("/api/v1/") => "native",
        _ => "elasticsearch",
    }
}
