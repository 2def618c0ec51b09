//! What goes wrong with searches, in Elasticsearch's frames.

use serde_json::{Value, json};
use snapkeep_store::IndexMeta;
use snapkeep_store::search::SearchError;

use super::body::place;
use crate::elasticsearch::call::Call;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::documents::failure::Located;
use crate::elasticsearch::errors::{ErrorKind, EsError};

/// An error found while reading the request; `text` is its body, for line and column.
pub fn of_request(error: SearchError, text: &[u8]) -> EsError {
    let reason = error.to_string();
    match error {
        SearchError::UnknownQuery { name } => {
            let (line, column) = place(text, &name).unwrap_or((1, 1));
            let cause = ErrorKind::NamedObjectNotFound
                .error(format!("[{line}:{column}] unknown field [{name}]"));
            ErrorKind::Parsing
                .error(reason)
                .field("line", line)
                .field("col", column)
                .caused_by(cause)
        }
        SearchError::Parsing { .. } => {
            let named = reason
                .rsplit_once('[')
                .and_then(|(_, rest)| rest.split_once(']'));
            let found = named.and_then(|(name, _)| place(text, name));
            let (line, column) = found.unwrap_or((1, 1));
            ErrorKind::Parsing
                .error(reason)
                .field("line", line)
                .field("col", column)
        }
        SearchError::Unsupported { .. } | SearchError::IllegalArgument { .. } => {
            EsError::illegal_argument(reason)
        }
        SearchError::ContextMissing { .. } => ErrorKind::SearchContextMissing.error(reason),
        SearchError::TooManyContexts { .. } => ErrorKind::RejectedExecution.error(reason),
        SearchError::Store(error) => error.into(),
        _ => ErrorKind::Exception.error(reason),
    }
}

/// An error found while searching `meta` (any of the indices): every shard says the same.
pub fn of_shards(
    call: &Call,
    meta: Option<&IndexMeta>,
    error: SearchError,
    text: &[u8],
) -> EsError {
    let SearchError::IllegalArgument { reason } = &error else {
        return of_request(error, text);
    };
    let is_about_fields =
        reason.starts_with("No mapping found for") || reason.starts_with("failed to create query");
    let inner = match meta {
        Some(meta) if is_about_fields => {
            let inner = ErrorKind::QueryShard
                .error(reason.clone())
                .of_index(&meta.name, &meta.uuid);
            match reason.split_once("For input string: ") {
                Some((_, input)) => inner
                    .caused_by(ErrorKind::NumberFormat.error(format!("For input string: {input}"))),
                None => inner,
            }
        }
        _ => EsError::illegal_argument(reason.clone()),
    };
    all_failed(call, meta, inner)
}

/// The frame around an error that every shard answers.
pub fn all_failed(call: &Call, meta: Option<&IndexMeta>, inner: EsError) -> EsError {
    let place = json!({
        "shard": 0,
        "index": meta.map(|meta| meta.name.as_str()),
        "node": call.config().node_id,
        "reason": inner.object(call.shape(), true, false),
    });
    let cause = match (inner.kind(), call.shape()) {
        (Some(ErrorKind::IllegalArgument), _) => Some(inner.clone().caused_by(inner.clone())),
        (_, Shape::OpenSearch) => Some(inner.clone()),
        (_, Shape::Es) => None,
    };
    frame(call, vec![place], inner, cause)
}

/// A scroll that is gone.
pub fn scroll_gone(call: &Call, error: SearchError) -> EsError {
    let inner = of_request(error, b"");
    if inner.kind() != Some(ErrorKind::SearchContextMissing) {
        return inner;
    }
    let place =
        json!({"shard": -1, "index": null, "reason": inner.object(call.shape(), true, false)});
    frame(call, vec![place], inner.clone(), Some(inner))
}

fn frame(call: &Call, shards: Vec<Value>, inner: EsError, cause: Option<EsError>) -> EsError {
    let status = inner.status(call.shape()).as_u16();
    let error = ErrorKind::SearchPhaseExecution
        .error("all shards failed")
        .field("phase", "query")
        .field("grouped", true)
        .field("failed_shards", shards)
        .with_roots(vec![inner])
        .with_status(status);
    match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}
