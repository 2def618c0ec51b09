//! Which indices an expression in a path means.

use std::sync::Arc;

use snapkeep_engine::names::resolve_date_math;
use snapkeep_engine::selection::{self, Candidate, Expand, Options, SelectionError};
use snapkeep_store::{IndexMeta, IndexState, IndexStats, Store, StoreError};

use crate::elasticsearch::config::Shape;
use crate::elasticsearch::documents::failure::index_closed;
use crate::elasticsearch::errors::{ErrorKind, EsError};
use crate::elasticsearch::params::{Params, split_list};
use crate::elasticsearch::request::EsRequest;

/// Parameters read by [`select`].
pub const PARAMS: [&str; 3] = ["ignore_unavailable", "allow_no_indices", "expand_wildcards"];

/// What endpoints differ in before a request says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// What wildcards match.
    pub expand: Expand,
    /// Whether a closed index that is named outright is an error.
    pub forbid_closed: bool,
    /// Whether aliases can be named.
    pub aliases: bool,
    /// Whether a missing name is dropped.
    pub ignore_unavailable: bool,
}

impl Defaults {
    /// Searching and other reading of documents: open indices only.
    pub const DOCUMENTS: Self = Self {
        expand: Expand::OPEN,
        forbid_closed: true,
        aliases: true,
        ignore_unavailable: false,
    };
    /// Metadata of open and closed indices; wildcards mean open ones.
    pub const METADATA: Self = Self {
        forbid_closed: false,
        ..Self::DOCUMENTS
    };
    /// Metadata; wildcards mean open and closed ones.
    pub const METADATA_ALL: Self = Self {
        expand: Expand {
            open: true,
            closed: true,
            hidden: false,
        },
        ..Self::METADATA
    };
    /// Deleting: aliases are no indices.
    pub const DELETE: Self = Self {
        aliases: false,
        ..Self::METADATA_ALL
    };
}

/// What is selectable in the store now.
pub fn candidates(indices: &[Arc<IndexMeta>]) -> Vec<Candidate> {
    indices
        .iter()
        .map(|meta| Candidate {
            name: meta.name.clone(),
            aliases: meta.aliases.keys().cloned().collect(),
            open: meta.state != IndexState::Closed,
            hidden: meta.is_hidden(),
        })
        .collect()
}

/// The indices that `expression` (`None`: all) and the request's parameters mean, by name, of those that the caller may see.
///
/// # Errors
/// 404 for a missing name, which it names after resolving its date math; 400 for a closed index or a bad parameter; 403 for a name
/// outside of the caller's limits.
pub fn select(
    request: &EsRequest,
    expression: Option<&str>,
    params: &Params,
    defaults: Defaults,
) -> Result<Vec<Arc<IndexMeta>>, EsError> {
    let indices = request.visible_indices();
    let options = Options {
        ignore_unavailable: params.bool(PARAMS[0], defaults.ignore_unavailable)?,
        allow_no_indices: params.bool(PARAMS[1], true)?,
        expand: expand(params.get(PARAMS[2]), defaults.expand)?,
        forbid_closed: defaults.forbid_closed,
        aliases: defaults.aliases,
    };
    let names = resolve_names(expression.unwrap_or_default())?;
    if !options.ignore_unavailable {
        request
            .reach()
            .authorise_expression(&request.state.store, &names)?;
    }
    let chosen =
        selection::resolve(&names, &candidates(&indices), &options).map_err(
            |error| match error {
                SelectionError::Missing(name) => EsError::index_not_found(&name),
                SelectionError::Closed(name) => {
                    let uuid = indices
                        .iter()
                        .find(|meta| meta.name == name)
                        .map_or("_na_", |meta| meta.uuid.as_str());
                    index_closed(&name, uuid)
                }
            },
        )?;
    request.authorise_indices(&chosen)?;
    Ok(indices
        .into_iter()
        .filter(|meta| chosen.binary_search(&meta.name).is_ok())
        .collect())
}

/// Splits an expression and resolves `<name-{now/d}>` in its items.
///
/// # Errors
/// 400 for date math that cannot be read.
pub fn resolve_names(expression: &str) -> Result<Vec<String>, EsError> {
    split_list(expression)
        .iter()
        .map(|item| resolve_name(item))
        .collect()
}

/// Resolves date math in one name.
///
/// # Errors
/// 400 when it cannot be read.
pub fn resolve_name(name: &str) -> Result<String, EsError> {
    let (sign, plain) = match name.strip_prefix("-<") {
        Some(_) => name.split_at(1),
        None => ("", name),
    };
    resolve_date_math(plain, jiff::Timestamp::now().as_millisecond())
        .map(|resolved| format!("{sign}{resolved}"))
        .map_err(|error| ErrorKind::Parse.error(error.to_string()))
}

/// A single index named by itself or by an alias that has only one.
///
/// # Errors
/// 404 when there is none, 400 when there are several or the index is closed, 403 when the caller may not touch it.
pub fn one(request: &EsRequest, name: &str, shape: Shape) -> Result<Arc<IndexMeta>, EsError> {
    let name = resolve_name(name)?;
    let store = &request.state.store;
    request.reach().authorise_named(store, &name)?;
    if let Some(meta) = store.index(&name) {
        return open(meta);
    }
    let mut having: Vec<_> = store
        .indices()
        .into_iter()
        .filter(|meta| meta.aliases.contains_key(&name))
        .collect();
    match having.len() {
        0 => Err(missing_document_index(&name, shape)),
        1 => open(having.remove(0)),
        _ => {
            let names: Vec<&str> = having.iter().map(|meta| meta.name.as_str()).collect();
            Err(EsError::illegal_argument(format!(
                "alias [{name}] has more than one index associated with it [{}], can't execute a single index op",
                names.join(", ")
            )))
        }
    }
}

/// OpenSearch calls the place of a single document an expression.
fn missing_document_index(name: &str, shape: Shape) -> EsError {
    match shape {
        Shape::Es => EsError::index_not_found(name),
        Shape::OpenSearch => ErrorKind::IndexNotFound
            .error(format!("no such index [{name}]"))
            .field("index", name)
            .field("resource.id", name)
            .field("resource.type", "index_expression")
            .field("index_uuid", "_na_"),
    }
}

fn open(meta: Arc<IndexMeta>) -> Result<Arc<IndexMeta>, EsError> {
    match meta.state {
        IndexState::Closed => Err(index_closed(&meta.name, &meta.uuid)),
        _ => Ok(meta),
    }
}

/// Sizes of an index that was there a moment ago; `None` when it is gone by now.
///
/// # Errors
/// Those of the store.
pub fn stats_of(store: &Store, meta: &IndexMeta) -> Result<Option<IndexStats>, EsError> {
    match store.stats(&meta.name) {
        Ok(stats) => Ok(Some(stats)),
        Err(StoreError::IndexNotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads `expand_wildcards`.
///
/// # Errors
/// 400 for an unknown word.
pub fn expand(words: Option<&str>, default: Expand) -> Result<Expand, EsError> {
    let Some(words) = words.filter(|words| !words.is_empty()) else {
        return Ok(default);
    };
    let mut expand = Expand::NONE;
    for word in split_list(words) {
        match word.as_str() {
            "open" => expand.open = true,
            "closed" => expand.closed = true,
            "hidden" => expand.hidden = true,
            "none" => expand = Expand::NONE,
            "all" => expand = Expand::ALL,
            other => {
                return Err(EsError::illegal_argument(format!(
                    "No valid expand wildcard value [{other}]"
                )));
            }
        }
    }
    Ok(expand)
}
