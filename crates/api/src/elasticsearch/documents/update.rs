//! The body of an update: `doc`, `upsert` and how they are meant.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapkeep_store::Update;
use snapkeep_store::search::SourceFilter;

use crate::elasticsearch::body;
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::output::Format;
use crate::elasticsearch::search::source;

/// What an update's body asks for.
#[derive(Debug)]
pub struct UpdateBody {
    /// For the store.
    pub update: Update,
    /// `_source`: the document to be returned in `get`.
    pub fetch_source: Option<SourceFilter>,
    /// Optimistic concurrency, where the body gives it.
    pub if_seq_no: Option<u64>,
    /// Optimistic concurrency, where the body gives it.
    pub if_primary_term: Option<u64>,
}

/// The keys in their first form: documents stay the bytes they are.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    doc: Option<&'a RawValue>,
    #[serde(borrow)]
    upsert: Option<&'a RawValue>,
    doc_as_upsert: Option<bool>,
    detect_noop: Option<bool>,
    #[serde(borrow)]
    script: Option<&'a RawValue>,
    scripted_upsert: Option<bool>,
    _source: Option<serde_json::Value>,
    if_seq_no: Option<u64>,
    if_primary_term: Option<u64>,
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

/// Reads the body of `_update`, or the second line of a bulk update.
///
/// # Errors
/// 400 for malformed JSON, an unknown key, or a script (not offered).
pub fn parse(bytes: &Bytes, shape: Shape) -> Result<UpdateBody, EsError> {
    let keys: Keys<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let malformed = body::parse(bytes, Format::Json, shape).err();
        malformed.unwrap_or_else(|| {
            ErrorKind::XContentParse.error(format!("[UpdateRequest] failed to parse: {error}"))
        })
    })?;
    if let Some(name) = keys.unknown.keys().next() {
        return Err(
            ErrorKind::UnknownField.error(format!("[1:2] [UpdateRequest] unknown field [{name}]"))
        );
    }
    if keys.script.is_some() || keys.scripted_upsert == Some(true) {
        return Err(EsError::illegal_argument(
            "[script] is not supported by this server; send [doc] or [upsert]",
        ));
    }
    if keys.doc.is_none() && keys.upsert.is_none() {
        return Err(EsError::validation(&["script or doc is missing"]));
    }
    let slice = |raw: &RawValue| bytes.slice_ref(raw.get().as_bytes());
    let update = Update {
        doc: keys.doc.map(slice),
        upsert: keys.upsert.map(slice),
        doc_as_upsert: keys.doc_as_upsert.unwrap_or(false),
        detect_noop: keys.detect_noop.unwrap_or(true),
    };
    let fetch_source = keys._source.as_ref().map(source::of_value).transpose()?;
    Ok(UpdateBody {
        update,
        fetch_source,
        if_seq_no: keys.if_seq_no,
        if_primary_term: keys.if_primary_term,
    })
}
