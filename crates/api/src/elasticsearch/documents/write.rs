//! Writing one document: `_doc`, `_create`, `_update` and deletes.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use snapkeep_engine::selection::matches;
use snapkeep_store::search::SourceFilter;
use snapkeep_store::{
    Store, StoreError, VersionType, WriteKind, WriteOp, WriteOptions, WriteOutcome, WriteResult,
};

use super::bulk::{refuse_pipeline, version_type};
use super::{read, update};
use crate::elasticsearch::body;
use crate::elasticsearch::call::{Call, Reply, raw};
use crate::elasticsearch::config::Shape;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::indices::targets;
use crate::elasticsearch::output::Format;
use crate::elasticsearch::params::Params;
use crate::elasticsearch::search::{place, source};

/// Longest `_id` in bytes.
const MAX_ID_BYTES: usize = 512;

/// `PUT|POST /{index}/_doc[/{id}]`.
pub fn index(call: &Call) -> Reply {
    let create_only = match call.params.get("op_type") {
        None | Some("index") => false,
        Some("create") => true,
        Some(other) => {
            return Err(EsError::illegal_argument(format!(
                "opType must be 'create' or 'index', found: [{other}]"
            )));
        }
    };
    write_source(call, create_only)
}

/// `PUT|POST /{index}/_create/{id}`.
pub fn create(call: &Call) -> Reply {
    write_source(call, true)
}

fn write_source(call: &Call, create_only: bool) -> Reply {
    let source = call.required_json_bytes()?;
    let id = Some(call.arg("id")).filter(|id| !id.is_empty());
    let op = operation(
        call,
        id,
        WriteKind::Index {
            source: source.clone(),
            create_only,
        },
    )?;
    refuse_pipeline(call.params.get("pipeline"))?;
    perform(call, op, Some(&source), None)
}

/// `DELETE /{index}/_doc/{id}`.
pub fn delete(call: &Call) -> Reply {
    let op = operation(call, Some(call.arg("id")), WriteKind::Delete)?;
    // Elasticsearch makes the index for a delete with an external version; nothing is gained by doing so.
    targets::one(call, &op.index, call.shape())?;
    perform(call, op, None, None)
}

/// `POST /{index}/_update/{id}`.
pub fn update(call: &Call) -> Reply {
    let bytes = call.required_json_bytes()?;
    let body = update::parse(&bytes, call.shape())?;
    let fetch = match source::of_params(&call.params)? {
        Some(filter) => Some(filter),
        None => body.fetch_source,
    };
    let mut op = operation(call, Some(call.arg("id")), WriteKind::Update(body.update))?;
    op.if_seq_no = op.if_seq_no.or(body.if_seq_no);
    op.if_primary_term = op.if_primary_term.or(body.if_primary_term);
    call.params.int("retry_on_conflict", 0)?;
    perform(
        call,
        op,
        None,
        fetch.as_ref().filter(|filter| !filter.is_off()),
    )
}

fn operation(call: &Call, id: Option<&str>, kind: WriteKind) -> Result<WriteOp, EsError> {
    call.params.check_timeouts()?;
    refresh(&call.params)?;
    let index = targets::resolve_name(call.arg("index"))?;
    call.reach().authorise_named(call.store(), &index)?;
    let mut op = WriteOp::new(index, id.map(str::to_owned), kind);
    op.routing = call.params.get("routing").map(str::to_owned);
    op.require_alias = call.params.bool("require_alias", false)?;
    op.version_type = call
        .params
        .get("version_type")
        .map_or(Ok(VersionType::Internal), version_type)?;
    op.version = number(call, "version")?;
    op.if_seq_no = number(call, "if_seq_no")?;
    op.if_primary_term = number(call, "if_primary_term")?;
    let too_long = id.filter(|id| id.len() > MAX_ID_BYTES).map(|id| {
        format!(
            "id [{id}] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {}",
            id.len()
        )
    });
    let mut problems: Vec<&str> = too_long.as_deref().into_iter().collect();
    if op.version.is_some() && op.version_type == VersionType::Internal {
        problems.push(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead",
        );
    }
    if op.if_seq_no.is_some() != op.if_primary_term.is_some() {
        problems.push(if op.if_seq_no.is_some() {
            "ifSeqNo is set, but primary term is [0]"
        } else {
            "ifSeqNo is unassigned, but primary term is given"
        });
    }
    if !problems.is_empty() {
        return Err(EsError::validation(&problems));
    }
    Ok(op)
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, EsError> {
    if !call.params.has(name) {
        return Ok(None);
    }
    let value = call.params.int(name, 0)?;
    u64::try_from(value).map(Some).map_err(|_| {
        EsError::illegal_argument(format!("[{name}] must not be below 0, was [{value}]"))
    })
}

/// Whether `refresh=true`; visible at once either way.
///
/// # Errors
/// 400 for a word that is none of `true`, `false`, `wait_for`.
pub fn refresh(params: &Params) -> Result<bool, EsError> {
    match params.get("refresh") {
        None | Some("false" | "wait_for") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(other) => Err(EsError::illegal_argument(format!(
            "Unknown value for refresh: [{other}]."
        ))),
    }
}

fn perform(
    call: &Call,
    op: WriteOp,
    source: Option<&Bytes>,
    fetch: Option<&SourceFilter>,
) -> Reply {
    let options = WriteOptions {
        auto_create: auto_create(call.store(), &op.index),
    };
    let routing = op.routing.clone();
    let outcome = call
        .store()
        .write(vec![op], &options)
        .pop()
        .unwrap_or_else(|| {
            Err(StoreError::IllegalArgument {
                reason: "the operation was lost".to_owned(),
            })
        })
        .map_err(|error| document_failure(error, source, call.shape()))?;
    let copies = copies(call.store(), &outcome.index);
    let mut answer = render(&outcome, refresh(&call.params)?, copies);
    if let Some(filter) = fetch {
        answer.push_str(&fetched(call, &outcome, routing.as_deref(), filter)?);
    }
    answer.push('}');
    let location =
        (outcome.result == WriteResult::Created).then(|| location(&outcome, routing.as_deref()));
    raw(super::bulk::status_of(outcome.result), answer, location)
}

/// `Location` of a new document.
fn location(outcome: &WriteOutcome, routing: Option<&str>) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let query = routing
        .map(|routing| format!("?routing={}", encode(routing)))
        .unwrap_or_default();
    format!(
        "/{}/_doc/{}{query}",
        encode(&outcome.index),
        encode(&outcome.id)
    )
}

/// Copies that a write to an index is meant for: the primary and the replicas asked for.
pub fn copies(store: &Store, index: &str) -> u32 {
    store.index(index).map_or(1, |meta| 1 + meta.replicas)
}

/// All but the closing brace.
fn render(outcome: &WriteOutcome, forced_refresh: bool, copies: u32) -> String {
    let is_noop = outcome.result == WriteResult::Noop;
    let (copies, written) = if is_noop { (0, 0) } else { (copies, 1) };
    let mut shown = Map::from_iter([
        ("_index".to_owned(), json!(outcome.index)),
        ("_id".to_owned(), json!(outcome.id)),
        ("_version".to_owned(), json!(outcome.version)),
        ("result".to_owned(), json!(outcome.result.as_str())),
    ]);
    if forced_refresh && !is_noop {
        shown.insert("forced_refresh".into(), json!(true));
    }
    shown.insert(
        "_shards".into(),
        json!({"total": copies, "successful": written, "failed": 0}),
    );
    shown.insert("_seq_no".into(), json!(outcome.seq_no));
    shown.insert("_primary_term".into(), json!(outcome.primary_term));
    let mut text = Value::Object(shown).to_string();
    text.pop();
    text
}

/// The `get` section that `_source` asks for after an update.
fn fetched(
    call: &Call,
    outcome: &WriteOutcome,
    routing: Option<&str>,
    filter: &SourceFilter,
) -> Result<String, EsError> {
    let Some(document) = call.store().get(&outcome.index, &outcome.id, routing)? else {
        return Ok(String::new());
    };
    Ok(format!(
        ",\"get\":{{{}}}",
        read::found_fields(&document, Some(filter))?
    ))
}

/// Whether a missing index may be made: the cluster setting `action.auto_create_index`, a boolean or `+`/`-` patterns.
pub fn auto_create(store: &Store, index: &str) -> bool {
    let set = store.cluster_settings();
    let key = "action.auto_create_index";
    let Some(rule) = set
        .transient
        .get(key)
        .or_else(|| set.persistent.get(key))
        .and_then(Value::as_str)
    else {
        return true;
    };
    match rule {
        "true" => true,
        "false" => false,
        patterns => patterns
            .split(',')
            .map(str::trim)
            .find_map(|pattern| match pattern.strip_prefix('-') {
                Some(pattern) => matches(pattern, index).then_some(false),
                None => matches(pattern.trim_start_matches('+'), index).then_some(true),
            })
            .unwrap_or(false),
    }
}

/// An error of the store about a document. With the source at hand, a malformed one is explained with line and column.
pub fn document_failure(error: StoreError, source: Option<&Bytes>, shape: Shape) -> EsError {
    let malformed = matches!(&error, StoreError::MapperParsing { cause: Some(_), .. });
    let explained = source
        .filter(|_| malformed)
        .and_then(|source| body::parse(source, Format::Json, shape).err());
    let Some(cause) = explained else {
        return placed(error, source, shape);
    };
    let text = match shape {
        Shape::Es => format!(
            "[1:2] failed to parse: {}",
            cause.reason().unwrap_or_default()
        ),
        Shape::OpenSearch => "failed to parse".to_owned(),
    };
    ErrorKind::DocumentParsing.error(text).caused_by(cause)
}

/// Elasticsearch begins the text about a field with the place of its value.
fn placed(error: StoreError, source: Option<&Bytes>, shape: Shape) -> EsError {
    let StoreError::MapperParsing { reason, cause } = &error else {
        return error.into();
    };
    let named = reason
        .strip_prefix("failed to parse field [")
        .and_then(|rest| rest.split(']').next());
    let field = named.and_then(|path| path.rsplit('.').next());
    match (shape, field, source) {
        (Shape::Es, Some(field), Some(source)) => {
            let (line, column) = place(source, field).unwrap_or((1, 1));
            StoreError::MapperParsing {
                reason: format!("[{line}:{column}] {reason}"),
                cause: cause.clone(),
            }
            .into()
        }
        _ => error.into(),
    }
}
