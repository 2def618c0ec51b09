//! What goes over the wire.

use serde::{Deserialize, Serialize};
use snapkeep_engine::credentials as engine;
use utoipa::{IntoParams, ToSchema};

/// What a credential is proved with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// Name and password, for `Basic` and to obtain tokens.
    #[default]
    Password,
    /// Id and random key, for `ApiKey` and `Bearer`.
    ApiKey,
    /// Access key and secret, for signed requests.
    AccessKey,
}

/// What a credential allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialRole {
    /// Reads.
    Viewer,
    /// Also takes snapshots, restores and writes data.
    Operator,
    /// Also registers repositories, deletes snapshots, and keeps policies and credentials.
    Admin,
}

/// What a credential is confined to: lists of names, in which `*` stands for any characters. A list that is missing is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialLimits {
    /// Repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// Indices and collections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// Ids of projects (clouds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
}

/// A credential. Its secret is never given out again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// What it is proved with.
    pub kind: CredentialKind,
    /// What the secret is presented with: the name, the id of the API key, or the access key.
    pub key_id: String,
    /// What it allows.
    pub role: CredentialRole,
    /// What it is confined to.
    pub limits: CredentialLimits,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// When its secret was last changed.
    pub rotated_ms: i64,
}

/// A list of credentials.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CredentialList {
    /// Sorted by name.
    pub credentials: Vec<Credential>,
}

/// A credential to make.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredential {
    /// Its name: letters, digits and `. _ @ -`.
    pub name: String,
    /// What it is to be proved with.
    #[serde(default)]
    pub kind: CredentialKind,
    /// What it allows.
    pub role: CredentialRole,
    /// What it is confined to.
    #[serde(default)]
    pub limits: CredentialLimits,
    /// The password, 8 to 1024 bytes, for kind `password`; missing: one is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A new secret for a credential.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateCredential {
    /// The password, for kind `password`; missing: one is generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A credential with its new secret, which is shown this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// The password, the key, or the secret of the access key.
    pub secret: String,
    /// For an API key: id and key as clients send them after `ApiKey` or `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<String>,
}

/// Which records of the audit log to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Only those of this credential.
    pub principal: Option<String>,
    /// Only those since then, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// So many at most; 100 unless told, never more than 1000.
    pub limit: Option<usize>,
}

/// Who did what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When it was answered, milliseconds since 1970.
    pub at_ms: i64,
    /// Name of the credential; `local` when credentials are off; the name that was tried when nobody was recognised.
    pub principal: String,
    /// How the caller was recognised: `local`, `basic`, `api_key`, `token`, `signature`, `none`.
    pub method: String,
    /// Where the connection came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was done, as the dialect calls it.
    pub action: String,
    /// Method and path of the request.
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
    /// `done`, `failed`, `denied` or `unauthenticated`.
    pub outcome: String,
    /// Status of the answer.
    pub status: u16,
}

/// A part of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntries {
    /// The newest first.
    pub records: Vec<AuditEntry>,
}

impl From<CredentialKind> for engine::Kind {
    fn from(kind: CredentialKind) -> Self {
        match kind {
            CredentialKind::Password => Self::Password,
            CredentialKind::ApiKey => Self::ApiKey,
            CredentialKind::AccessKey => Self::AccessKey,
        }
    }
}

impl From<engine::Kind> for CredentialKind {
    fn from(kind: engine::Kind) -> Self {
        match kind {
            engine::Kind::Password => Self::Password,
            engine::Kind::ApiKey => Self::ApiKey,
            engine::Kind::AccessKey => Self::AccessKey,
        }
    }
}

impl From<CredentialRole> for engine::Role {
    fn from(role: CredentialRole) -> Self {
        match role {
            CredentialRole::Viewer => Self::Viewer,
            CredentialRole::Operator => Self::Operator,
            CredentialRole::Admin => Self::Admin,
        }
    }
}

impl From<engine::Role> for CredentialRole {
    fn from(role: engine::Role) -> Self {
        match role {
            engine::Role::Viewer => Self::Viewer,
            engine::Role::Operator => Self::Operator,
            engine::Role::Admin => Self::Admin,
        }
    }
}

impl From<CredentialLimits> for engine::Limits {
    fn from(limits: CredentialLimits) -> Self {
        Self {
            repositories: limits.repositories,
            resources: limits.resources,
            projects: limits.projects,
        }
    }
}

impl From<engine::Credential> for Credential {
    fn from(credential: engine::Credential) -> Self {
        Self {
            name: credential.name,
            kind: credential.kind.into(),
            key_id: credential.key_id,
            role: credential.role.into(),
            limits: CredentialLimits {
                repositories: credential.limits.repositories,
                resources: credential.limits.resources,
                projects: credential.limits.projects,
            },
            created_ms: credential.created_ms,
            rotated_ms: credential.rotated_ms,
        }
    }
}

impl From<snapkeep_engine::AuditRecord> for AuditEntry {
    fn from(record: snapkeep_engine::AuditRecord) -> Self {
        use snapkeep_engine::AuditOutcome as Outcome;
        let outcome = match record.outcome {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Denied => "denied",
            Outcome::Unauthenticated => "unauthenticated",
        };
        Self {
            at_ms: record.at_ms,
            principal: record.principal,
            method: record.method,
            address: record.address,
            action: record.action,
            request: record.request,
            repository: record.repository,
            resources: record.resources,
            project: record.project,
            outcome: outcome.to_owned(),
            status: record.status,
        }
    }
}
