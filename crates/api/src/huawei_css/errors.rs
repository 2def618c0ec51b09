//! Everything this dialect refuses, in one table: status, code and sentence. Answers, the table in `docs/huawei-css.md` and the
//! tests are made from it.
//!
//! The shape is `{"errCode": code, "externalMessage": "code : sentence (detail)"}` and nothing beside it: the SDK passes the whole
//! body on as text, and callers parse that. Only what the gateway in front of the real service answers (401) has `error_code`.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;
use snapkeep_engine::{EngineError, RestoreProblem};

use crate::auth::{Denied, Shortfall};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fault {
    InvalidParameter,
    EmptyBody,
    InvalidKeepDay,
    InvalidPeriod,
    InvalidPrefix,
    InvalidTimeZone,
    InvalidAgency,
    BucketMissing,
    BeingDeleted,
    DataGone,
    ClusterUnknown,
    NotPermitted,
    NoSuchPath,
    SnapshotUnknown,
    NotAcceptable,
    Busy,
    NotReady,
    NameUsed,
    BucketInUse,
    TooLarge,
    TooMany,
    Disabled,
    Internal,
    NotOffered,
    Unavailable,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The fault.
    pub fault: Fault,
    /// HTTP status.
    pub status: u16,
    /// Code of the service.
    pub code: &'static str,
    /// What it says in English.
    pub sentence: &'static str,
    /// What it says to `X-Language: zh-cn`.
    pub chinese: &'static str,
    /// When it is answered, for the documentation.
    pub when: &'static str,
}

const fn row(
    fault: Fault,
    status: u16,
    code: &'static str,
    sentence: &'static str,
    chinese: &'static str,
    when: &'static str,
) -> Row {
    Row {
        fault,
        status,
        code,
        sentence,
        chinese,
        when,
    }
}

/// All of them, by status.
pub const TABLE: &[Row] = &[
    row(
        Fault::InvalidParameter,
        400,
        "CSS.0001",
        "Incorrect parameters.",
        "参数错误。",
        "a value breaks a rule",
    ),
    row(
        Fault::EmptyBody,
        400,
        "CSS.0006",
        "The request body is empty.",
        "请求体为空。",
        "a call that needs a body has none",
    ),
    row(
        Fault::InvalidKeepDay,
        400,
        "CSS.5017",
        "Invalid retention of automatic snapshots.",
        "自动快照保留值非法。",
        "`keepday` is missing or not 1 to 90",
    ),
    row(
        Fault::InvalidPeriod,
        400,
        "CSS.5018",
        "Invalid time of automatic snapshots.",
        "自动快照执行时间非法。",
        "`period` is missing or not a whole hour",
    ),
    row(
        Fault::InvalidPrefix,
        400,
        "CSS.5044",
        "Invalid prefix of snapshot names.",
        "快照名称前缀非法。",
        "`prefix` is missing or breaks its rule",
    ),
    row(
        Fault::InvalidTimeZone,
        400,
        "CSS.5178",
        "Invalid time zone.",
        "时区非法。",
        "the zone in `period` cannot be read",
    ),
    row(
        Fault::InvalidAgency,
        400,
        "CSS.5130",
        "Invalid agency name.",
        "委托名称非法。",
        "`agency` is missing or breaks its rule",
    ),
    row(
        Fault::BucketMissing,
        400,
        "CSS.0048",
        "The bucket cannot be used.",
        "桶不存在或不可用。",
        "the repository behind `bucket` cannot be opened or made, or is read-only",
    ),
    row(
        Fault::BeingDeleted,
        400,
        "CSS.3016",
        "The snapshot is being deleted.",
        "快照正在删除。",
        "a snapshot is deleted or restored while it is deleted",
    ),
    row(
        Fault::DataGone,
        400,
        "CSS.6012",
        "The data of the snapshot cannot be read.",
        "快照数据无法读取。",
        "the repository does not hold what a restore needs",
    ),
    row(
        Fault::ClusterUnknown,
        403,
        "CSS.0015",
        "Resource not found or no permission.",
        "资源不存在或无访问权限。",
        "cluster or project unknown, or not of this credential",
    ),
    row(
        Fault::NotPermitted,
        403,
        "CSS.0032",
        "No permission for this operation.",
        "当前用户没有操作权限。",
        "the role of the credential does not allow the call",
    ),
    row(
        Fault::NoSuchPath,
        404,
        "CSS.0016",
        "The requested resource does not exist.",
        "请求的资源不存在。",
        "a path outside of `/v1.0/{project_id}/clusters`",
    ),
    row(
        Fault::SnapshotUnknown,
        404,
        "CSS.0028",
        "The snapshot does not exist.",
        "快照不存在。",
        "no snapshot of this id",
    ),
    row(
        Fault::NotAcceptable,
        406,
        "CSS.0001",
        "Incorrect parameters.",
        "参数错误。",
        "`Content-Type` of a body, or `Accept`, is not JSON",
    ),
    row(
        Fault::Busy,
        409,
        "CSS.0011",
        "Another operation is running on the cluster. Try again later.",
        "集群正在进行其他操作,请稍后重试。",
        "a snapshot or restore already runs on the cluster",
    ),
    row(
        Fault::NotReady,
        409,
        "CSS.0029",
        "The state of the snapshot does not allow this operation.",
        "快照状态不允许此操作。",
        "the snapshot is still building, has failed, or is locked",
    ),
    row(
        Fault::NameUsed,
        409,
        "CSS.0043",
        "The snapshot name already exists.",
        "快照名称已存在。",
        "the name of a new snapshot is taken",
    ),
    row(
        Fault::BucketInUse,
        412,
        "CSS.0004",
        "Illegal operation.",
        "非法操作。",
        "the bucket is changed while it holds snapshots; disable the function first",
    ),
    row(
        Fault::TooLarge,
        413,
        "CSS.0001",
        "Incorrect parameters.",
        "参数错误。",
        "the body is larger than 1 MiB",
    ),
    row(
        Fault::TooMany,
        413,
        "CSS.0030",
        "Too many snapshot operations.",
        "快照操作数量达到上限。",
        "the server's limit on operations at one time is reached",
    ),
    row(
        Fault::Disabled,
        415,
        "CSS.0004",
        "Illegal operation.",
        "非法操作。",
        "the snapshot function is disabled",
    ),
    row(
        Fault::Internal,
        500,
        "CSS.0005",
        "Server error.",
        "服务器错误。",
        "anything that should not happen; the server's log says more",
    ),
    row(
        Fault::NotOffered,
        501,
        "CSS.0016",
        "The requested function is not offered.",
        "不支持请求的功能。",
        "another function of the real service, or another method",
    ),
    row(
        Fault::Unavailable,
        503,
        "CSS.9999",
        "The service is unavailable. Try again later.",
        "服务暂不可用,请稍后重试。",
        "the server is shutting down",
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
    pub fn because(self, detail: impl Into<String>) -> CssError {
        CssError {
            fault: self,
            detail: detail.into(),
        }
    }

    /// A value that breaks a rule, in the words of the real service: `(name is invalid)`.
    pub fn invalid(name: &str, rule: &str) -> CssError {
        Self::InvalidParameter.because(format!("{name} is invalid: {rule}"))
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message(Language::English))]
pub struct CssError {
    /// The row of the table.
    pub fault: Fault,
    /// What is wrong in particular; may be empty.
    pub detail: String,
}

/// The language of sentences; details are in English.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// `en-us`, and whatever else is asked for.
    #[default]
    English,
    /// `zh-cn`.
    Chinese,
}

impl CssError {
    fn message(&self, language: Language) -> String {
        let row = self.fault.row();
        let sentence = match language {
            Language::English => row.sentence,
            Language::Chinese => row.chinese,
        };
        let detail = match self.detail.as_str() {
            "" => String::new(),
            detail => format!(" ({detail})"),
        };
        format!("{} : {sentence}{detail}", row.code)
    }

    /// The answer.
    pub fn render(&self, language: Language) -> Response {
        let row = self.fault.row();
        let body = json!({ "errCode": row.code, "externalMessage": self.message(language) });
        json_response(row.status, body.to_string())
    }
}

/// A JSON answer.
pub(super) fn json_response(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl From<Denied> for CssError {
    fn from(denied: Denied) -> Self {
        let fault = match denied.shortfall {
            Shortfall::Role(_) => Fault::NotPermitted,
            Shortfall::Project(_) | Shortfall::Repository(_) | Shortfall::Resources(_) => {
                Fault::ClusterUnknown
            }
        };
        fault.because(denied.to_string())
    }
}

impl From<EngineError> for CssError {
    fn from(error: EngineError) -> Self {
        use EngineError as E;
        let fault = match &error {
            E::SnapshotExists { .. } => Fault::NameUsed,
            E::SnapshotMissing { .. } => Fault::SnapshotUnknown,
            E::SnapshotInUse { .. } | E::RepositoryInUse { .. } | E::PolicyRunning { .. } => {
                Fault::Busy
            }
            E::SnapshotLocked { .. } => Fault::NotReady,
            E::TooManyOperations { .. } => Fault::TooMany,
            E::RepositoryMissing { .. }
            | E::RepositoryCreation { .. }
            | E::RepositoryVerification { .. }
            | E::RepositoryReadonly { .. } => Fault::BucketMissing,
            E::RepositoryUnavailable { .. } => Fault::DataGone,
            E::Restore { problem, .. } => match problem {
                RestoreProblem::SnapshotMissing => Fault::SnapshotUnknown,
                RestoreProblem::UnsupportedState(_) => Fault::NotReady,
                _ => Fault::InvalidParameter,
            },
            E::InvalidSnapshotName { .. }
            | E::InvalidRepositoryName { .. }
            | E::InvalidIndexName { .. }
            | E::IndexMissing { .. }
            | E::Rename(_)
            | E::Refused { .. }
            | E::PolicyInvalid { .. } => Fault::InvalidParameter,
            E::ShuttingDown => Fault::Unavailable,
            _ => Fault::Internal,
        };
        if fault == Fault::Internal {
            tracing::error!(%error, "a call of the Huawei CSS dialect failed");
        }
        fault.because(error.to_string())
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
            assert!((400..600).contains(&row.status) && row.status != 429);
        }
        assert!(TABLE.is_sorted_by_key(|row| row.status));
    }

    #[test]
    fn a_message_is_code_sentence_and_detail() {
        let error = Fault::InvalidParameter.because("name is invalid");
        assert_eq!(
            error.to_string(),
            "CSS.0001 : Incorrect parameters. (name is invalid)"
        );
        assert_eq!(
            Fault::Disabled.because("").to_string(),
            "CSS.0004 : Illegal operation."
        );
        assert_eq!(
            error.message(Language::Chinese),
            "CSS.0001 : 参数错误。 (name is invalid)"
        );
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let lines: Vec<String> = TABLE
            .iter()
            .map(|row| {
                format!(
                    "| {} | {} | {} | {} |",
                    row.status, row.code, row.sentence, row.when
                )
            })
            .collect();
        let documentation = include_str!("../../../../docs/huawei-css.md");
        for line in &lines {
            assert!(
                documentation.contains(line.as_str()),
                "docs/huawei-css.md lacks a row; all of them:\n{}",
                lines.join("\n")
            );
        }
    }
}
