//! Everything this dialect refuses: `{"RequestId", "HostId", "Code", "Message"}`.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;
use snapkeep_engine::EngineError;

use crate::auth::{Denied, Shortfall};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fault {
    InstanceNotFound,
    InvalidParameter,
    MissingBody,
    InstanceActivating,
    RepositoryExists,
    RepositoryNotFound,
    NoPermission,
    NoSuchApi,
    TooLarge,
    Internal,
    Unavailable,
}

impl Fault {
    /// HTTP status and code.
    pub fn row(self) -> (u16, &'static str) {
        match self {
            Self::InstanceNotFound => (400, "InstanceNotFound"),
            Self::InvalidParameter => (400, "InvalidParameter"),
            Self::MissingBody => (400, "RequestBodyEmpty"),
            Self::InstanceActivating => (400, "InstanceActivating"),
            Self::RepositoryExists => (400, "SnapshotRepoAlreadyExists"),
            Self::RepositoryNotFound => (400, "SnapshotRepoNotFound"),
            Self::NoPermission => (403, "NoPermission"),
            Self::NoSuchApi => (404, "InvalidAction.NotFound"),
            Self::TooLarge => (413, "RequestBodyTooLarge"),
            Self::Internal => (500, "InternalServerError"),
            Self::Unavailable => (503, "ServiceUnavailable"),
        }
    }

    /// The error with its text.
    pub fn because(self, message: impl Into<String>) -> AlibabaError {
        AlibabaError {
            fault: self,
            message: message.into(),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AlibabaError {
    /// What kind.
    pub fault: Fault,
    /// In words.
    pub message: String,
}

impl AlibabaError {
    /// No such instance, in the words of the real service.
    pub fn no_instance() -> Self {
        Fault::InstanceNotFound.because("The instanceId provided does not exist.")
    }

    /// The answer.
    pub fn render(&self, request_id: &str) -> Response {
        let (status, code) = self.fault.row();
        let body = json!({
            "RequestId": request_id,
            "HostId": "snapkeep",
            "Code": code,
            "Message": self.message,
        });
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE.as_str(), "application/json"),
            ("x-acs-request-id", request_id),
        ];
        (status, headers, body.to_string()).into_response()
    }
}

impl From<Denied> for AlibabaError {
    fn from(denied: Denied) -> Self {
        match denied.shortfall {
            Shortfall::Project(_) => Self::no_instance(),
            Shortfall::Role(_) | Shortfall::Repository(_) | Shortfall::Resources(_) => {
                Fault::NoPermission.because(denied.to_string())
            }
        }
    }
}

impl From<EngineError> for AlibabaError {
    fn from(error: EngineError) -> Self {
        use EngineError as E;
        let fault = match &error {
            E::PolicyRunning { .. }
            | E::SnapshotExists { .. }
            | E::TooManyOperations { .. }
            | E::RepositoryInUse { .. } => Fault::InstanceActivating,
            E::PolicyInvalid { .. }
            | E::RepositoryReadonly { .. }
            | E::RepositoryCreation { .. } => Fault::InvalidParameter,
            E::RepositoryMissing { .. } => Fault::RepositoryNotFound,
            E::ShuttingDown => Fault::Unavailable,
            _ => Fault::Internal,
        };
        if fault == Fault::Internal {
            tracing::error!(%error, "a call of the Alibaba dialect failed");
        }
        fault.because(error.to_string())
    }
}
