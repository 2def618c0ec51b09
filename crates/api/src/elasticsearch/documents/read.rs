//! Reading documents by id: `_doc`, `_source`, `_mget`.

use serde_json::{Map, Value, json};
use snapkeep_store::search::SourceFilter;
use snapkeep_store::{Document, IndexMeta};

use super::bulk::token;
use crate::elasticsearch::call::{Call, Reply, empty, raw};
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::indices::targets;
use crate::elasticsearch::search::source;

/// Most documents of one `_mget`.
const MAX_MULTI_GET: usize = 10_000;

/// `GET|HEAD /{index}/_doc/{id}`.
pub fn get(call: &Call) -> Reply {
    let (meta, found) = fetch(call)?;
    let filter = source::of_params(&call.params)?;
    let text = match &found {
        Some(document) => found_text(&meta, document, filter.as_ref())?,
        None => missing_text(&meta, call.arg("id")),
    };
    raw(if found.is_some() { 200 } else { 404 }, text, None)
}

/// `HEAD /{index}/_doc/{id}` and `HEAD /{index}/_source/{id}`.
pub fn exists(call: &Call) -> Reply {
    let (_, found) = fetch(call)?;
    empty(if found.is_some() { 200 } else { 404 })
}

/// `GET /{index}/_source/{id}`.
pub fn source(call: &Call) -> Reply {
    let (meta, found) = fetch(call)?;
    let filter = source::of_params(&call.params)?.unwrap_or_else(SourceFilter::all);
    let source = match &found {
        Some(document) => source::shown(&filter, &document.source)?,
        None => None,
    };
    match source {
        Some(source) => raw(200, source.get().to_owned(), None),
        None => Err(ErrorKind::ResourceNotFound
            .error(format!("Document not found [{meta}]/[{}]", call.arg("id")))),
    }
}

/// The concrete index and the document.
fn fetch(call: &Call) -> Result<(String, Option<Document>), EsError> {
    call.params.bool("realtime", true)?;
    call.params.bool("refresh", false)?;
    if call.params.has("stored_fields") {
        return Err(EsError::illegal_argument(
            "[stored_fields] is not supported by this server; use [_source]",
        ));
    }
    let meta = targets::one(call, call.arg("index"), call.shape())?;
    let routing = routing_of(&meta, call.arg("index"), call.params.get("routing"));
    let found = call.store().get(&meta.name, call.arg("id"), routing)?;
    if let (Some(document), true) = (&found, call.params.has("version")) {
        check_version(call, &meta.name, &meta.uuid, document)?;
    }
    Ok((meta.name.clone(), found))
}

/// The routing given, or else the one that an alias gives to what is written through it.
fn routing_of<'a>(meta: &'a IndexMeta, name: &str, given: Option<&'a str>) -> Option<&'a str> {
    let by_alias = || meta.aliases.get(name)?.index_routing.as_deref();
    given.or_else(by_alias)
}

fn check_version(call: &Call, index: &str, uuid: &str, document: &Document) -> Result<(), EsError> {
    use super::failure::Located;
    let wanted = call.params.int("version", 0)?;
    if i64::try_from(document.version) == Ok(wanted) {
        return Ok(());
    }
    let reason = format!(
        "[{}]: version conflict, current version [{}] is different than the one provided [{wanted}]",
        document.id, document.version
    );
    Err(ErrorKind::VersionConflict
        .error(reason)
        .of_index(index, uuid))
}

fn found_text(
    index: &str,
    document: &Document,
    filter: Option<&SourceFilter>,
) -> Result<String, EsError> {
    let head = format!(
        "\"_index\":{},\"_id\":{},\"_version\":{}",
        Value::from(index),
        Value::from(document.id.as_str()),
        document.version
    );
    Ok(format!("{{{head},{}}}", found_fields(document, filter)?))
}

/// `_seq_no`, `_primary_term`, `_routing`, `found` and `_source`, the bytes as they are stored.
///
/// # Errors
/// 500 when the stored bytes are no JSON.
pub fn found_fields(document: &Document, filter: Option<&SourceFilter>) -> Result<String, EsError> {
    let mut text = format!(
        "\"_seq_no\":{},\"_primary_term\":{}",
        document.seq_no, document.primary_term
    );
    if let Some(routing) = &document.routing {
        text.push_str(&format!(",\"_routing\":{}", Value::from(routing.as_str())));
    }
    text.push_str(",\"found\":true");
    let everything = SourceFilter::all();
    if let Some(source) = source::shown(filter.unwrap_or(&everything), &document.source)? {
        text.push_str(",\"_source\":");
        text.push_str(source.get());
    }
    Ok(text)
}

fn missing_text(index: &str, id: &str) -> String {
    json!({"_index": index, "_id": id, "found": false}).to_string()
}

/// One document asked for by `_mget`.
#[derive(Debug, Default)]
struct Wanted {
    index: String,
    id: String,
    routing: Option<String>,
    filter: Option<SourceFilter>,
}

/// `GET|POST [/{index}]/_mget`.
pub fn multi_get(call: &Call) -> Reply {
    call.params.bool("realtime", true)?;
    call.params.bool("refresh", false)?;
    let body = call.required_json()?;
    let wanted = parse(call, &body)?;
    if wanted.is_empty() {
        return Err(EsError::validation(&["no documents to get"]));
    }
    if wanted.len() > MAX_MULTI_GET {
        return Err(EsError::illegal_argument(format!(
            "[_mget] takes at most {MAX_MULTI_GET} documents, {} were asked for",
            wanted.len()
        )));
    }
    let mut texts = Vec::with_capacity(wanted.len());
    for one in &wanted {
        let answered = targets::one(call, &one.index, call.shape()).and_then(|meta| {
            let routing = routing_of(&meta, &one.index, one.routing.as_deref());
            let found = call.store().get(&meta.name, &one.id, routing)?;
            match found {
                Some(document) => found_text(&meta.name, &document, one.filter.as_ref()),
                None => Ok(missing_text(&meta.name, &one.id)),
            }
        });
        texts.push(answered.unwrap_or_else(|error| {
            let envelope = error.render(call.shape(), false);
            json!({"_index": one.index, "_id": one.id, "error": envelope["error"]}).to_string()
        }));
    }
    raw(200, format!("{{\"docs\":[{}]}}", texts.join(",")), None)
}

fn parse(call: &Call, body: &Value) -> Result<Vec<Wanted>, EsError> {
    let Value::Object(body) = body else {
        return Err(ErrorKind::Parsing.error(format!(
            "unexpected token [{}], expected [START_OBJECT]",
            token(body)
        )));
    };
    let default_filter = source::of_params(&call.params)?;
    let default_routing = call.params.get("routing");
    let base = |id: String| Wanted {
        index: call.arg("index").to_owned(),
        id,
        routing: default_routing.map(str::to_owned),
        filter: default_filter.clone(),
    };
    let mut wanted = Vec::new();
    for (key, value) in body {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match key.as_str() {
            "ids" => {
                for id in items {
                    let id = text(id).ok_or_else(|| {
                        EsError::illegal_argument("ids array element should only contain ids")
                    })?;
                    wanted.push(base(id));
                }
            }
            "docs" => {
                for item in items {
                    let Value::Object(fields) = item else {
                        return Err(EsError::illegal_argument(
                            "docs array element should include an object",
                        ));
                    };
                    wanted.push(one(fields, base(String::new()))?);
                }
            }
            other => {
                let reason = format!(
                    "unknown key [{other}] for a {}, expected [docs] or [ids]",
                    token(value)
                );
                return Err(ErrorKind::Parsing.error(reason));
            }
        }
    }
    for (position, one) in wanted.iter().enumerate() {
        let problem = match (one.index.is_empty(), one.id.is_empty()) {
            (true, _) => "index is missing",
            (_, true) => "id is missing",
            _ => continue,
        };
        return Err(EsError::validation(&[&format!(
            "{problem} for doc {position}"
        )]));
    }
    Ok(wanted)
}

fn one(fields: &Map<String, Value>, mut wanted: Wanted) -> Result<Wanted, EsError> {
    for (key, value) in fields {
        match key.as_str() {
            "_index" => wanted.index = text(value).unwrap_or_default(),
            "_id" => wanted.id = text(value).unwrap_or_default(),
            "_type" => {}
            "routing" | "_routing" => wanted.routing = text(value),
            "_source" => wanted.filter = Some(source::of_value(value)?),
            other => {
                return Err(EsError::illegal_argument(format!(
                    "[{other}] in a document of [_mget] is not supported by this server"
                )));
            }
        }
    }
    Ok(wanted)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
