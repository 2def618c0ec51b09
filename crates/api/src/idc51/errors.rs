//! Everything this dialect refuses: `{"code", "message", "detail"}`, all texts. Every answer that is no success has the pair of code
//! and message, and no success has it: one of the clients takes whatever has it for an error, whatever the status.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};
use snapkeep_engine::EngineError;

use crate::auth::{Denied, Shortfall};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fault {
    Format,
    Unauthenticated,
    NotPermitted,
    Missing,
    NoSuchPath,
    NoSuchMethod,
    WrongState,
    Locked,
    TooLarge,
    TooMany,
    Internal,
    Unavailable,
}

/// How a fault is told.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The fault.
    pub fault: Fault,
    /// HTTP status.
    pub status: u16,
    /// The number that the platform behind 51idc gives it.
    pub code: &'static str,
    /// What messages begin with.
    pub word: &'static str,
    /// When it happens.
    pub when: &'static str,
}

const fn row(
    fault: Fault,
    status: u16,
    code: &'static str,
    word: &'static str,
    when: &'static str,
) -> Row {
    Row {
        fault,
        status,
        code,
        word,
        when,
    }
}

/// All of them, by status.
pub const TABLE: &[Row] = &[
    row(
        Fault::Format,
        400,
        "1100",
        "InvalidRequestFormat",
        "the body is no JSON object, a field or parameter is missing or breaks its rule",
    ),
    row(
        Fault::Unauthenticated,
        401,
        "1200",
        "AuthFailure",
        "no token, a wrong or expired one, or wrong client credentials",
    ),
    row(
        Fault::NotPermitted,
        403,
        "1400",
        "PermissionDenied",
        "the role or the limits of the credential do not allow the call",
    ),
    row(
        Fault::Missing,
        404,
        "2100",
        "ResourceNotFound",
        "no such zone, snapshot, resource or job",
    ),
    row(
        Fault::NoSuchPath,
        404,
        "1101",
        "InvalidRequestMethod",
        "a path below `/v2` that is not offered",
    ),
    row(
        Fault::NoSuchMethod,
        405,
        "1101",
        "InvalidRequestMethod",
        "a path that is offered, with another method; `Allow` names those that it has",
    ),
    row(
        Fault::WrongState,
        409,
        "1400",
        "PermissionDenied",
        "the state of the snapshot or resource, or the kind of the snapshot, does not allow the call",
    ),
    row(
        Fault::Locked,
        409,
        "5400",
        "DependencyViolation",
        "a snapshot that would be deleted is locked; nothing is deleted",
    ),
    row(
        Fault::TooLarge,
        413,
        "1100",
        "InvalidRequestFormat",
        "the body is larger than 1 MiB",
    ),
    row(
        Fault::TooMany,
        429,
        "2500",
        "QuotaExceeded",
        "the server's limit on operations at one time is reached, or too many failed attempts to sign in",
    ),
    row(
        Fault::Internal,
        500,
        "5000",
        "InternalError",
        "anything that should not happen; the server's log says more",
    ),
    row(
        Fault::Unavailable,
        503,
        "5100",
        "ServerBusy",
        "the repository cannot be reached, or the server is shutting down",
    ),
];

impl Fault {
    /// Its row.
    pub fn row(self) -> &'static Row {
        let found = TABLE.iter().find(|row| row.fault == self);
        debug_assert!(found.is_some(), "{self:?} is not in the table");
        found.unwrap_or(&TABLE[0])
    }

    /// The error with what is wrong in particular.
    pub fn because(self, message: impl Into<String>) -> Idc51Error {
        Idc51Error {
            fault: self,
            message: message.into(),
            detail: String::new(),
            allow: None,
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, {message}", self.fault.row().word)]
pub struct Idc51Error {
    /// The row of the table.
    pub fault: Fault,
    /// What is wrong in particular.
    pub message: String,
    /// What to do about it; may be empty.
    pub detail: String,
    /// Methods that a path has, where another was used.
    pub allow: Option<&'static str>,
}

impl Idc51Error {
    /// No point of this id.
    pub fn no_snapshot(id: &str) -> Self {
        Fault::Missing.because(format!("snapshot [{id}] does not exist"))
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        json!({
            "code": self.fault.row().code,
            "message": self.to_string(),
            "detail": self.detail,
        })
    }

    /// The answer.
    pub fn render(&self) -> Response {
        let status = StatusCode::from_u16(self.fault.row().status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, headers, self.body().to_string()).into_response();
        if let Some(allow) = self.allow {
            let value = http::HeaderValue::from_static(allow);
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    }
}

impl From<Denied> for Idc51Error {
    fn from(denied: Denied) -> Self {
        let message = denied.to_string();
        match denied.shortfall {
            Shortfall::Project(zone) => {
                Fault::NotPermitted.because(format!("zone [{zone}] is not among those of this key"))
            }
            Shortfall::Role(_) | Shortfall::Repository(_) | Shortfall::Resources(_) => {
                Fault::NotPermitted.because(message)
            }
        }
    }
}

impl From<EngineError> for Idc51Error {
    fn from(error: EngineError) -> Self {
        use EngineError as E;
        let message = error.to_string();
        let fault = match error {
            E::PointMissing { id } => return Self::no_snapshot(&id),
            E::VolumeMissing { id } => {
                return Fault::Missing
                    .because(format!("disk [{id}] does not exist"))
                    .hint("GET …/volumes and `snapkeep volume ls` show the disks that there are");
            }
            E::InstanceMissing { id } => {
                return Fault::Missing
                    .because(format!("host [{id}] does not exist"))
                    .hint("`snapkeep instance ls` shows the hosts that there are");
            }
            E::JobMissing { .. } | E::SnapshotMissing { .. } => Fault::Missing,
            E::PointPending { .. }
            | E::PointUnusable { .. }
            | E::PointInUse { .. }
            | E::ResourceBusy { .. }
            | E::VolumeInUse { .. }
            | E::VolumeSuspended { .. }
            | E::WrongResourceKind { .. }
            | E::ResourceRefused { .. }
            | E::SnapshotInUse { .. }
            | E::RepositoryInUse { .. }
            | E::RepositoryReadonly { .. } => Fault::WrongState,
            E::SnapshotLocked { .. } => Fault::Locked,
            E::ResourceRepeated { .. } | E::NothingNamed { .. } => Fault::Format,
            E::TooManyOperations { .. } => Fault::TooMany,
            E::RepositoryMissing { .. }
            | E::RepositoryCreation { .. }
            | E::RepositoryVerification { .. }
            | E::RepositoryUnavailable { .. }
            | E::VolumeUnreadable { .. }
            | E::ShuttingDown => Fault::Unavailable,
            _ => Fault::Internal,
        };
        if fault == Fault::Internal {
            tracing::error!(error = message, "a call of the 51idc dialect failed");
        }
        fault.because(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_row() {
        for (at, row) in TABLE.iter().enumerate() {
            let first = TABLE.iter().position(|other| other.fault == row.fault);
            assert_eq!(first, Some(at), "{:?}", row.fault);
            assert_eq!(row.fault.row().code, row.code);
        }
        assert!(TABLE.is_sorted_by_key(|row| row.status));
    }

    #[test]
    fn a_refusal_is_three_texts() {
        let error = Idc51Error::no_snapshot("ss-NOTHERE");
        let expected = json!({
            "code": "2100",
            "message": "ResourceNotFound, snapshot [ss-NOTHERE] does not exist",
            "detail": "",
        });
        assert_eq!(error.body(), expected);
        let response = error.render();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let line = |row: &Row| {
            let (status, code, word, when) = (row.status, row.code, row.word, row.when);
            format!("| {status} | {code} | {word} | {when} |")
        };
        let lines: Vec<String> = TABLE.iter().map(line).collect();
        let documentation = include_str!("../../../../docs/51idc.md");
        for line in &lines {
            assert!(
                documentation.contains(line.as_str()),
                "docs/51idc.md lacks a row; all of them:\n{}",
                lines.join("\n")
            );
        }
    }
}
