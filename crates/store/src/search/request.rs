//! Requests and results.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::{StoreError, View};

/// A parsed search body.
#[derive(Debug, Clone)]
pub struct SearchRequest {}

impl SearchRequest {
    /// Parses a search body (`query`, `sort`, `from`, `size`, `search_after`, `_source`,
    /// `track_total_hits`, `seq_no_primary_term`, `version`, `slice`, …). URL parameters are merged into the body
    /// by the caller. Keys not offered are [`SearchError::Unsupported`].
    pub fn parse(body: &Value) -> Result<SearchRequest, SearchError> {
        let _ = body;
        todo!()
    }

    /// Keeps the search to these shards of one index (routing), or with `None` of every index (`preference=_shards:0,1`);
    /// both can be given. `shards` of the result counts only them.
    pub fn with_shards(self, index: Option<&str>, shards: Vec<u16>) -> Self {
        let _ = (index, shards);
        todo!()
    }

    /// Adds a query that documents of `index` must match too (the filter of an alias).
    pub fn with_index_filter(self, index: &str, query: &Value) -> Result<Self, SearchError> {
        let _ = (index, query);
        todo!()
    }
}

/// Whether a total is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalRelation {
    /// Exact.
    Eq,
    /// At least that many.
    Gte,
}

/// Number of matching documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalHits {
    /// Count.
    pub value: u64,
    /// Exact or a lower bound.
    pub relation: TotalRelation,
}

/// One hit.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Concrete index.
    pub index: String,
    /// `_id`.
    pub id: String,
    /// `_routing`.
    pub routing: Option<String>,
    /// `_score`; `None` when sorted by something else.
    pub score: Option<f32>,
    /// `_version`, where asked for.
    pub version: Option<u64>,
    /// `_seq_no` (with primary term 1), where asked for.
    pub seq_no: Option<u64>,
    /// `_source` after filtering; `None` when not wanted.
    pub source: Option<Box<RawValue>>,
    /// Sort values, where a sort was given.
    pub sort: Option<Vec<Value>>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct SearchResult {
    /// `None` with `track_total_hits: false`.
    pub total: Option<TotalHits>,
    /// Highest score; `None` when sorted or empty.
    pub max_score: Option<f32>,
    /// The page.
    pub hits: Vec<Hit>,
    /// Shards searched.
    pub shards: u32,
}

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
    /// A value out of its limits (`illegal_argument_exception`).
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

/// Searches concrete, open indices of a view.
pub fn search(
    view: &View,
    indices: &[String],
    request: &SearchRequest,
) -> Result<SearchResult, SearchError> {
    let _ = (view, indices, request);
    todo!()
}

/// Counts the documents matching `query` (all, when `None`).
pub fn count(view: &View, indices: &[String], query: Option<&Value>) -> Result<u64, SearchError> {
    let _ = (view, indices, query);
    todo!()
}
