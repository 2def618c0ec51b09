//! Scan-based search over a [`crate::View`]: filter, sort, paging, `_source` filtering.

mod context;
mod request;

pub use context::{Contexts, SearchContextStats};
pub use request::{
    Hit, SearchError, SearchRequest, SearchResult, TotalHits, TotalRelation, count, search,
};
