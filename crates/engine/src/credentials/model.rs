//! Roles, limits, principals and credentials.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// What a principal may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads: documents, snapshots, settings, jobs.
    Viewer,
    /// Also takes snapshots, restores, cancels, writes data and runs policies.
    Operator,
    /// Also registers repositories, deletes snapshots, and keeps policies, keys and credentials.
    Admin,
}

impl Role {
    /// All, in ascending order.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word for it: `viewer`, `operator` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("[{text}] is no role; roles are viewer, operator and admin"))
    }
}

/// What a principal is confined to. `None` is no limit; an empty list is nothing at all. In a pattern `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Patterns of repository names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// Patterns of names of indices and collections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// Patterns of project ids (clouds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
}

impl Limits {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        self.repositories.is_none() && self.resources.is_none() && self.projects.is_none()
    }

    /// Whether a repository lies within.
    pub fn covers_repository(&self, name: &str) -> bool {
        covers(self.repositories.as_deref(), name)
    }

    /// Whether an index or collection lies within.
    pub fn covers_resource(&self, name: &str) -> bool {
        covers(self.resources.as_deref(), name)
    }

    /// Whether a project lies within.
    pub fn covers_project(&self, id: &str) -> bool {
        covers(self.projects.as_deref(), id)
    }
}

fn covers(patterns: Option<&[String]>, name: &str) -> bool {
    patterns.is_none_or(|patterns| {
        patterns
            .iter()
            .any(|pattern| matches_pattern(pattern, name))
    })
}

/// Whether `name` is what `pattern` describes; `*` stands for any characters, also none.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut remaining) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // The earliest place for each part leaves the most room for those after it.
    for part in parts {
        match remaining.find(part) {
            Some(at) => remaining = &remaining[at + part.len()..],
            None => return false,
        }
    }
    remaining.ends_with(tail)
}

/// Somebody who was recognised: the name of a credential with what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What the secret is filed under: the name of a user, the id of an API key, an access key.
    pub id: String,
    /// The credential's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it is confined to.
    pub limits: Limits,
}

/// What a credential is proved with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A name and a password, for `Basic` and for obtaining tokens.
    Password,
    /// An id and a random key, for `ApiKey` and `Bearer`.
    ApiKey,
    /// An access key and its secret, for signed requests.
    AccessKey,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 3] = [Self::Password, Self::ApiKey, Self::AccessKey];

    /// The word for it: `password`, `api_key` or `access_key`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::AccessKey => "access_key",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("[{text}] is no kind of credential"))
    }
}

/// A credential, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// What it is proved with.
    pub kind: Kind,
    /// What the secret is presented with: the name, the id of the API key, the access key.
    pub key_id: String,
    /// What it allows.
    pub role: Role,
    /// What it is confined to.
    pub limits: Limits,
    /// When it was made, ms since 1970.
    pub created_ms: i64,
    /// When its secret was last changed, ms since 1970.
    pub rotated_ms: i64,
}

impl Credential {
    /// Whoever proves it.
    pub fn principal(&self) -> Principal {
        Principal {
            id: self.key_id.clone(),
            name: self.name.clone(),
            role: self.role,
            limits: self.limits.clone(),
        }
    }
}

/// A credential to make.
#[derive(Debug)]
pub struct NewCredential {
    /// Its name.
    pub name: String,
    /// What it is proved with.
    pub kind: Kind,
    /// What it allows.
    pub role: Role,
    /// What it is confined to.
    pub limits: Limits,
    /// The password, for a [`Kind::Password`]; none: one is generated.
    pub password: Option<Secret>,
}

/// A credential with its new secret, which is never told again.
#[derive(Debug)]
pub struct Issued {
    /// The credential.
    pub credential: Credential,
    /// The password, API key or secret of the access key.
    pub secret: Secret,
}

/// A token that was issued.
#[derive(Debug)]
pub struct Token {
    /// What to send.
    pub secret: Secret,
    /// Until when it is good, ms since 1970.
    pub expires_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_ascend_and_are_read_back() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn no_limit_covers_all_and_an_empty_one_nothing() {
        assert!(Limits::default().covers_resource("a"));
        let none = Limits {
            resources: Some(Vec::new()),
            ..Limits::default()
        };
        assert!(!none.covers_resource("a"));
        assert!(none.covers_repository("a"));
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("logs-*", "logs-", true),
            ("logs-*", "logs-2026", true),
            ("logs-*", "log-2026", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*a", "aba", true),
            ("a*a", "a", false),
            ("ab", "ab", true),
            ("ab", "abc", false),
            ("*b*b", "b", false),
            ("*é*", "café", true),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
