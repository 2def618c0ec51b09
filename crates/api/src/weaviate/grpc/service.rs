//! Which call goes where, and gRPC around it.

use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use prost::Message;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::super::errors::WvError;
use super::super::state::{MAX_MESSAGE_BYTES, WeaviateState};
use super::proto::{HealthCheckRequest, HealthCheckResponse, ServingStatus};
use super::{aggregate, batch, search, tenants};
use crate::auth::Caller;

/// Services that [`health`] knows.
const SERVICES: [&str; 3] = ["", "weaviate.v1.Weaviate", "grpc.health.v1.Health"];

/// The services.
pub(in crate::weaviate) fn router(state: WeaviateState) -> Router {
    Router::new()
        .route("/weaviate.v1.Weaviate/{method}", post(weaviate))
        .route("/grpc.health.v1.Health/{method}", post(health))
        .with_state(state)
}

/// What a call works with.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub state: WeaviateState,
    pub caller: Caller,
}

async fn weaviate(
    State(state): State<WeaviateState>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    match method.as_str() {
        "Search" => unary(state, request, search::search).await,
        "Aggregate" => unary(state, request, aggregate::aggregate).await,
        "BatchObjects" => unary(state, request, batch::objects).await,
        "BatchReferences" => unary(state, request, batch::references).await,
        "BatchDelete" => unary(state, request, batch::delete).await,
        "TenantsGet" => unary(state, request, tenants::get).await,
        other => refuse(&format!("weaviate.v1.Weaviate/{other}")),
    }
}

async fn health(
    State(state): State<WeaviateState>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    match method.as_str() {
        "Check" => unary(state, request, check).await,
        other => refuse(&format!("grpc.health.v1.Health/{other}")),
    }
}

/// Answers without asking who it is: clients look before they log in.
async fn check(_: Context, request: HealthCheckRequest) -> Result<HealthCheckResponse, WvError> {
    if SERVICES.contains(&request.service.as_str()) {
        return Ok(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        });
    }
    Err(WvError::application(
        StatusCode::NOT_FOUND.as_u16(),
        format!("unknown service {}", request.service),
    ))
}

fn refuse(method: &str) -> Response {
    let status = Status::unimplemented(format!("{method} is not offered by this server"));
    status.into_http::<Body>()
}

/// One request, one reply. On a task of its own: a client that leaves does not stop a write half-way.
async fn unary<Req, Reply, F, Answer>(state: WeaviateState, request: Request, call: F) -> Response
where
    Req: Message + Default + 'static,
    Reply: Message + Default + 'static,
    F: Fn(Context, Req) -> Answer + Copy + Send + 'static,
    Answer: Future<Output = Result<Reply, WvError>> + Send + 'static,
{
    let context = Context {
        state,
        caller: Caller::of(request.extensions()),
    };
    let service = tower::service_fn(move |request: tonic::Request<Req>| {
        let answer = call(context.clone(), request.into_inner());
        async move {
            match tokio::spawn(answer).await {
                Ok(Ok(reply)) => Ok(tonic::Response::new(reply)),
                Ok(Err(error)) => Err(status(&error)),
                Err(failure) => {
                    tracing::error!(error = %failure, "a gRPC call ended abnormally");
                    Err(Status::internal("internal error; see the server's log"))
                }
            }
        }
    });
    let mut grpc = Grpc::new(ProstCodec::<Reply, Req>::default())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    grpc.unary(service, request).await.map(Body::new)
}

/// As upstream, most errors are UNKNOWN with the text that REST answers.
fn status(error: &WvError) -> Status {
    let code = match error.status() {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        _ => Code::Unknown,
    };
    Status::new(code, error.message())
}

/// UNIMPLEMENTED, naming what is not offered.
pub(super) fn not_offered(feature: &str) -> WvError {
    WvError::application(
        StatusCode::NOT_IMPLEMENTED.as_u16(),
        format!("{feature} is not offered by this server"),
    )
}

/// Seconds since a moment, as replies tell them.
pub(super) fn took(since: std::time::Instant) -> f32 {
    since.elapsed().as_secs_f32()
}

/// A tenant, which is absent when empty.
pub(super) fn tenant(name: String) -> Option<String> {
    (!name.is_empty()).then_some(name)
}
