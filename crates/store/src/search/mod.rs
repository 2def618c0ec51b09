//! Scan-based search over a [`crate::View`]: filter, sort, paging, `_source` filtering.
//!
//! No inverted index: a query is a filter over the documents of each shard, read in parallel ranges with
//! bounded memory. What is not offered is refused by name, never answered approximately. Scores are
//! simple: each matching scoring clause counts its boost, a filter counts nothing.

mod context;
mod dates;
mod document;
mod error;
mod execute;
mod hits;
mod matcher;
mod query;
mod query_string;
mod request;
mod sort;
mod source_filter;
mod text;
mod window;

pub use context::{Contexts, SearchContextStats};
pub use error::SearchError;
pub use execute::{count, search};
pub use request::{Hit, SearchRequest, SearchResult, TotalHits, TotalRelation};
pub use source_filter::SourceFilter;

/// Whether a text can be the value of a date field.
pub(crate) fn is_date(text: &str) -> bool {
    dates::parse(text).is_some()
}

#[cfg(test)]
mod tests;
