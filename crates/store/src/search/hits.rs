//! From candidates to hits.

use super::request::{Hit, SearchRequest};
use super::{SearchError, window::Candidate};
use crate::{DocumentRef, StoreError};

/// Builds the hit of a document.
pub(super) fn hit(
    request: &SearchRequest,
    index: &str,
    document: &DocumentRef<'_>,
    candidate: &Candidate,
    has_sort: bool,
) -> Result<Hit, SearchError> {
    let source = request
        .source
        .apply(document.source)
        .map_err(|cause| damaged(document.id, &cause))?;
    Ok(Hit {
        index: index.to_owned(),
        id: document.id.to_owned(),
        routing: document.routing.map(str::to_owned),
        score: (!has_sort || request.track_scores).then_some(candidate.score),
        version: request.with_version.then_some(document.version),
        seq_no: request.with_seq_no.then_some(document.seq_no),
        source,
        sort: has_sort.then(|| {
            candidate
                .keys
                .iter()
                .map(super::sort::Key::to_json)
                .collect()
        }),
    })
}

/// Stored bytes that are no JSON: they were checked when they were written.
pub(super) fn damaged(id: &str, cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        object: format!("document [{id}]"),
        reason: cause.to_string(),
    }
}
