//! Why a search is refused.

use crate::StoreError;

/// Why a search was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A feature that is not offered; names it.
    #[error("[{feature}] is not supported by this server")]
    Unsupported {
        /// Name of the feature.
        feature: String,
    },
    /// An unknown query (`parsing_exception`): `unknown query [x]`.
    #[error("unknown query [{name}]")]
    UnknownQuery {
        /// Name of the query.
        name: String,
    },
    /// A malformed body (`parsing_exception`).
    #[error("{reason}")]
    Parsing {
        /// What is wrong.
        reason: String,
    },
    /// A value out of its limits or of a wrong type (`illegal_argument_exception`).
    #[error("{reason}")]
    IllegalArgument {
        /// What is wrong.
        reason: String,
    },
    /// A scroll or point in time that is not there (any more) (`search_context_missing_exception`).
    #[error("No search context found for id [{id}]")]
    ContextMissing {
        /// The id.
        id: String,
    },
    /// Too many open contexts (429).
    #[error("{reason}")]
    TooManyContexts {
        /// Which limit.
        reason: String,
    },
    /// The store failed, or the index is missing or closed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SearchError {
    pub(super) fn parsing(reason: impl Into<String>) -> Self {
        SearchError::Parsing {
            reason: reason.into(),
        }
    }

    pub(super) fn illegal(reason: impl Into<String>) -> Self {
        SearchError::IllegalArgument {
            reason: reason.into(),
        }
    }

    pub(super) fn unsupported(feature: impl Into<String>) -> Self {
        SearchError::Unsupported {
            feature: feature.into(),
        }
    }
}
