//! Why a credential cannot be made, changed or recognised.

use std::time::Duration;

use super::model::{Kind, Role};
use crate::error::EngineError;

/// Why the list of credentials cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The name is taken.
    #[error("a credential [{name}] exists already; rotate it, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no credential [{name}]; list them: snapkeep credential ls")]
    Missing {
        /// The name.
        name: String,
    },
    /// The name has other characters than allowed.
    #[error(
        "[{name}] cannot be the name of a credential: use 1 to 128 letters, digits and . _ @ -, beginning with a letter or digit"
    )]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The password is too short or too long.
    #[error("a password has {min} to {max} bytes; give another one, or none to have one generated")]
    InvalidPassword {
        /// Least number of bytes.
        min: usize,
        /// Greatest number of bytes.
        max: usize,
    },
    /// A password was given for a kind that has none.
    #[error("only a credential of kind password has a password of its own; keys are generated")]
    PasswordNotTaken,
    /// The first one decides over all others.
    #[error(
        "the first credential must be an admin without limits and with a password or API key, not {given}: nobody else could add more"
    )]
    FirstMustBeAdmin {
        /// Role, kind and limits asked for.
        given: String,
    },
    /// Nobody would be left to keep credentials.
    #[error(
        "[{name}] is the last admin without limits; add another one first. To run without credentials, start the server with --insecure-no-credentials"
    )]
    LastAdmin {
        /// The name.
        name: String,
    },
    /// A limit that says nothing.
    #[error(
        "a pattern of a limit is empty or longer than {max} bytes, or there are more than {max_patterns}"
    )]
    InvalidLimit {
        /// Greatest number of bytes.
        max: usize,
        /// Greatest number of patterns.
        max_patterns: usize,
    },
    /// There are as many as can be kept.
    #[error(
        "there are {limit} credentials already, which is the limit; remove some that are not used"
    )]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The server key cannot be used.
    #[error("{0}")]
    ServerKey(String),
    /// The catalogue failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl CredentialError {
    /// A credential like this cannot be the first.
    pub(super) fn not_an_unlimited_admin(role: Role, kind: Kind, has_limits: bool) -> Self {
        let limits = if has_limits { " with limits" } else { "" };
        Self::FirstMustBeAdmin {
            given: format!("{role} ({kind}){limits}"),
        }
    }
}

/// Why somebody was not recognised. Says no more than that: which part was wrong is nobody's business.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Name, key, secret, signature or token is wrong, or has expired.
    #[error("wrong credentials")]
    Wrong,
    /// Too many wrong ones came from this address or for this name.
    #[error("too many failed attempts; try again in {} s", .retry_after.as_secs().max(1))]
    TooManyAttempts {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// It could not be found out.
    #[error("credentials cannot be checked now: {0}")]
    Unavailable(String),
}
