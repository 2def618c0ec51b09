//! Errors of this API: one table from the engine's errors to status, code and hint.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use snapkeep_engine::selection::SelectionError;
use snapkeep_engine::{CreationFailure, EngineError, RestoreProblem};

use super::types::{Problem, ProblemDetail};

/// An answer other than success.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    detail: ProblemDetail,
}

/// What handlers return.
pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    /// An error with a status, a word for programs and a text for people.
    pub fn new(status: StatusCode, code: &str, message: impl ToString) -> Self {
        Self {
            status,
            detail: ProblemDetail {
                code: code.to_owned(),
                message: message.to_string(),
                hint: None,
            },
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.detail.hint = Some(hint.to_owned());
        self
    }
}

/// Why a repository is refused is mostly a matter of where it is to lie or how it is locked up.
fn creation_hint(cause: &CreationFailure) -> Option<&'static str> {
    match cause {
        CreationFailure::LocationOutsideRoots { .. } | CreationFailure::MissingLocation => Some(
            "a location must lie below a folder given as --repo-root (default: repositories below the data folder)",
        ),
        CreationFailure::ByteSize { .. } => {
            Some("write a rate as bytes a second, such as 50mb; 0 is unlimited")
        }
        _ => None,
    }
}

/// Status, code and hint of every error of the engine.
fn classify(error: &EngineError) -> (StatusCode, &'static str, Option<&'static str>) {
    use EngineError as E;
    match error {
        E::RepositoryMissing { .. } => (
            StatusCode::NOT_FOUND,
            "repository_missing",
            Some("list what is registered: snapkeep repo ls"),
        ),
        E::SnapshotMissing { .. } => (
            StatusCode::NOT_FOUND,
            "snapshot_missing",
            Some("list what is there: snapkeep snapshot ls REPOSITORY"),
        ),
        E::IndexMissing { .. } => (StatusCode::NOT_FOUND, "index_missing", None),
        E::CollectionMissing { .. } => (StatusCode::NOT_FOUND, "collection_missing", None),
        E::TenantMissing { .. } => (StatusCode::NOT_FOUND, "tenant_missing", None),
        E::JobMissing { .. } => (
            StatusCode::NOT_FOUND,
            "job_missing",
            Some("list jobs: snapkeep job ls"),
        ),
        E::InvalidRepositoryName { .. }
        | E::InvalidSnapshotName { .. }
        | E::InvalidIndexName { .. }
        | E::InvalidDateMath { .. } => (StatusCode::BAD_REQUEST, "invalid_name", None),
        E::RepositoryTypeUnknown { .. } => {
            (StatusCode::BAD_REQUEST, "repository_type_unknown", None)
        }
        E::RepositoryCreation { cause, .. } => (
            StatusCode::BAD_REQUEST,
            "repository_refused",
            creation_hint(cause),
        ),
        E::RepositoryVerification { .. } => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "repository_not_accessible",
            None,
        ),
        E::RepositoryUnavailable { .. } => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "repository_unavailable",
            None,
        ),
        E::RepositoryReadonly { .. } => (StatusCode::CONFLICT, "repository_readonly", None),
        E::RepositoryInUse { .. } => (
            StatusCode::CONFLICT,
            "repository_in_use",
            Some("see what runs: snapkeep job ls --running"),
        ),
        E::SnapshotExists { .. } => (
            StatusCode::CONFLICT,
            "snapshot_exists",
            Some("choose another name, or delete that snapshot first"),
        ),
        E::SnapshotInUse { .. } => (
            StatusCode::CONFLICT,
            "snapshot_in_use",
            Some("see what runs: snapkeep job ls --running"),
        ),
        E::TooManyOperations { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_operations",
            Some("try again when one has ended"),
        ),
        E::Restore {
            problem: RestoreProblem::OpenIndexExists { .. },
            ..
        } => (
            StatusCode::BAD_REQUEST,
            "restore_refused",
            Some("restore beside it: --rename '(.+)=restored-$1'"),
        ),
        E::Restore { .. } | E::Rename(_) => (StatusCode::BAD_REQUEST, "restore_refused", None),
        E::ClonePartialIndex { .. } | E::CloneNothing { .. } => {
            (StatusCode::BAD_REQUEST, "clone_refused", None)
        }
        E::CleanupWhileRunning { .. } => (
            StatusCode::CONFLICT,
            "snapshot_running",
            Some("try again when it has ended"),
        ),
        E::SnapshotLocked { .. } => (
            StatusCode::CONFLICT,
            "snapshot_locked",
            Some("nobody can delete it before that moment; a lock cannot be taken back"),
        ),
        E::LockShortened { .. } => (StatusCode::CONFLICT, "lock_shortened", None),
        E::LockRefused { .. } => (StatusCode::CONFLICT, "lock_refused", None),
        E::VolumeMissing { .. } => (StatusCode::NOT_FOUND, "volume_missing", None),
        E::InstanceMissing { .. } => (StatusCode::NOT_FOUND, "instance_missing", None),
        E::PointMissing { .. } => (
            StatusCode::NOT_FOUND,
            "volume_snapshot_missing",
            Some("list what is there: snapkeep volume snapshots"),
        ),
        E::PointPending { .. } => (
            StatusCode::CONFLICT,
            "volume_snapshot_pending",
            Some("see how far it is: snapkeep job ls --running"),
        ),
        E::PointUnusable { .. } => (StatusCode::CONFLICT, "volume_snapshot_unusable", None),
        E::PointInUse { .. } => (
            StatusCode::CONFLICT,
            "volume_snapshot_in_use",
            Some("see what runs: snapkeep job ls --running"),
        ),
        E::ResourceBusy { .. } => (
            StatusCode::CONFLICT,
            "resource_busy",
            Some("see what runs: snapkeep job ls --running"),
        ),
        E::VolumeInUse { .. } => (StatusCode::CONFLICT, "volume_in_use", None),
        E::VolumeSuspended { .. } => (StatusCode::CONFLICT, "volume_suspended", None),
        E::VolumeUnreadable { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "volume_unreadable", None)
        }
        E::ResourceRefused { .. } | E::ResourceRepeated { .. } | E::NothingNamed { .. } => {
            (StatusCode::BAD_REQUEST, "resource_refused", None)
        }
        E::WrongResourceKind { .. } => (StatusCode::BAD_REQUEST, "wrong_resource_kind", None),
        E::PolicyMissing { .. } => (
            StatusCode::NOT_FOUND,
            "policy_missing",
            Some("list what there is: snapkeep policy ls"),
        ),
        E::PolicyExists { .. } => (StatusCode::CONFLICT, "policy_exists", None),
        E::PolicyConflict { .. } => (StatusCode::CONFLICT, "policy_changed", None),
        E::PolicyInvalid { .. } => (StatusCode::BAD_REQUEST, "policy_refused", None),
        E::PolicyRunning { .. } => (
            StatusCode::CONFLICT,
            "policy_running",
            Some("see how far it is: snapkeep policy show POLICY"),
        ),
        E::Key { .. } => (StatusCode::BAD_REQUEST, "key_refused", None),
        E::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down", None),
        E::Configuration(_) => (StatusCode::BAD_REQUEST, "configuration", None),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal", None),
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let (status, code, hint) = classify(&error);
        if status.is_server_error() {
            tracing::warn!(code, %error, "request failed");
        }
        let refusal = Self::new(status, code, &error);
        match hint {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }
}

impl From<SelectionError> for Refusal {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::Missing(_) => Self::new(StatusCode::NOT_FOUND, "index_missing", error),
            SelectionError::Closed(_) => Self::new(StatusCode::BAD_REQUEST, "index_closed", error),
        }
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
            rejection.body_text(),
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Problem { error: self.detail })).into_response()
    }
}
