//! One record.

use serde::{Deserialize, Serialize};

use crate::credentials::Role;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done, or accepted.
    Done,
    /// It was allowed but failed.
    Failed,
    /// The caller may not do it.
    Denied,
    /// The caller was not recognised.
    Unauthenticated,
}

/// Who did what. Never holds a secret or the content of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it was answered, ms since 1970.
    pub at_ms: i64,
    /// The same moment, RFC 3339, for people who read the file.
    pub time: String,
    /// Name of the credential; `local` when credentials are off; the name that was tried when it was not recognised.
    pub principal: String,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How it was recognised: `local`, `basic`, `api_key`, `token`, `signature`, `none`.
    pub method: String,
    /// Where the connection came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was done, as the dialect calls it.
    pub action: String,
    /// Method and path of the request, without its query.
    pub request: String,
    /// The repository it touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Indices or collections it touched, the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The project it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Status of the answer.
    pub status: u16,
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those of this principal.
    pub principal: Option<String>,
    /// Only those since then, ms since 1970.
    pub since_ms: i64,
    /// So many at most.
    pub limit: usize,
}
