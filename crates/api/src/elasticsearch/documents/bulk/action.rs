//! One action line of a bulk request.

use serde_json::{Map, Value};
use snapkeep_store::VersionType;

use crate::elasticsearch::errors::EsError;

/// The four operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Write the whole document.
    Index,
    /// Write it unless it is there.
    Create,
    /// Change parts of it.
    Update,
    /// Remove it.
    Delete,
}

impl ActionKind {
    /// The key of the action line, and of the item in the answer.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Index, Self::Create, Self::Update, Self::Delete]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Whether a line with a source or a partial document follows.
    pub fn has_source(self) -> bool {
        self != Self::Delete
    }
}

/// What the URL says for operations that do not say it themselves.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Index from the path.
    pub index: Option<String>,
    /// `?routing=`.
    pub routing: Option<String>,
    /// `?require_alias=`.
    pub require_alias: bool,
    /// `?pipeline=`; only `_none` is offered.
    pub pipeline: Option<String>,
}

/// A parsed action line.
#[derive(Debug, Clone)]
pub struct Action {
    /// What to do.
    pub kind: ActionKind,
    /// Where; `None` when neither line nor URL say it.
    pub index: Option<String>,
    /// `_id`.
    pub id: Option<String>,
    /// Custom routing.
    pub routing: Option<String>,
    /// External version.
    pub version: Option<u64>,
    /// Meaning of `version`.
    pub version_type: VersionType,
    /// Optimistic concurrency.
    pub if_seq_no: Option<u64>,
    /// Optimistic concurrency.
    pub if_primary_term: Option<u64>,
    /// The index must be an alias.
    pub require_alias: bool,
}

/// Reads the parsed JSON of action line number `line` (counted from 1).
///
/// # Errors
/// 400 in Elasticsearch's words, naming the line.
pub fn parse(
    value: &Value,
    line: usize,
    defaults: &Defaults,
    lists_or: bool,
) -> Result<Action, EsError> {
    let malformed = |what: String| {
        EsError::illegal_argument(format!("Malformed action/metadata line [{line}], {what}"))
    };
    let Value::Object(object) = value else {
        return Err(malformed(format!(
            "expected START_OBJECT but found [{}]",
            token(value)
        )));
    };
    let Some((name, meta)) = object.iter().next() else {
        return Err(malformed(
            "expected FIELD_NAME but found [END_OBJECT]".to_owned(),
        ));
    };
    let Some(kind) = ActionKind::by_name(name) else {
        let expected = if lists_or {
            "expected field [create], [delete], [index] or [update]"
        } else {
            "expected one of [create, delete, index, update]"
        };
        return Err(malformed(format!("{expected} but found [{name}]")));
    };
    if object.len() > 1 {
        return Err(malformed(
            "expected END_OBJECT but found [FIELD_NAME]".to_owned(),
        ));
    }
    let Value::Object(meta) = meta else {
        return Err(malformed(format!(
            "expected START_OBJECT but found [{}]",
            token(meta)
        )));
    };
    fields(kind, meta, line, defaults)
}

fn fields(
    kind: ActionKind,
    meta: &Map<String, Value>,
    line: usize,
    defaults: &Defaults,
) -> Result<Action, EsError> {
    let mut action = Action {
        kind,
        index: defaults.index.clone(),
        id: None,
        routing: defaults.routing.clone(),
        version: None,
        version_type: VersionType::Internal,
        if_seq_no: None,
        if_primary_term: None,
        require_alias: defaults.require_alias,
    };
    let mut pipeline = defaults.pipeline.clone();
    for (key, value) in meta {
        if !is_known(key) {
            return Err(EsError::illegal_argument(format!(
                "Action/metadata line [{line}] contains an unknown parameter [{key}]"
            )));
        }
        if matches!(value, Value::Object(_) | Value::Array(_))
            && !matches!(key.as_str(), "_source" | "dynamic_templates")
        {
            return Err(EsError::illegal_argument(format!(
                "Malformed action/metadata line [{line}], expected a simple value for field [{key}] but found [{}]",
                token(value)
            )));
        }
        match key.as_str() {
            "_index" => action.index = text(value),
            "_id" => action.id = text(value),
            "routing" => action.routing = text(value),
            "op_type" => action.kind = op_type(kind, value)?,
            "version" => action.version = number(key, value)?,
            "version_type" => action.version_type = version_type(&text(value).unwrap_or_default())?,
            "if_seq_no" => action.if_seq_no = number(key, value)?,
            "if_primary_term" => action.if_primary_term = number(key, value)?,
            "require_alias" => action.require_alias = value == true,
            "pipeline" => pipeline = text(value),
            "_source" | "dynamic_templates" => return Err(not_offered(key)),
            // `_type` of old clients says nothing; retries are never needed where one batch is one transaction.
            _ => {}
        }
    }
    refuse_pipeline(pipeline.as_deref())?;
    Ok(action)
}

fn is_known(key: &str) -> bool {
    matches!(
        key,
        "_index"
            | "_type"
            | "_id"
            | "routing"
            | "op_type"
            | "version"
            | "version_type"
            | "retry_on_conflict"
            | "pipeline"
            | "require_alias"
            | "if_seq_no"
            | "if_primary_term"
            | "_source"
            | "dynamic_templates"
    )
}

fn not_offered(key: &str) -> EsError {
    EsError::illegal_argument(format!(
        "[{key}] in an action line is not supported by this server"
    ))
}

/// Pipelines are not offered; `_none` asks for what happens anyway.
///
/// # Errors
/// 400 naming the pipeline.
pub fn refuse_pipeline(pipeline: Option<&str>) -> Result<(), EsError> {
    match pipeline {
        None | Some("_none" | "") => Ok(()),
        Some(name) => Err(EsError::illegal_argument(format!(
            "pipeline with id [{name}] does not exist"
        ))),
    }
}

fn op_type(kind: ActionKind, value: &Value) -> Result<ActionKind, EsError> {
    let given = text(value).unwrap_or_default();
    match (kind, given.as_str()) {
        (ActionKind::Index | ActionKind::Create, "index") => Ok(ActionKind::Index),
        (ActionKind::Index | ActionKind::Create, "create") => Ok(ActionKind::Create),
        (_, other) => Err(EsError::illegal_argument(format!(
            "opType must be 'create' or 'index', found: [{other}]"
        ))),
    }
}

/// `internal`, `external`, `external_gt` or `external_gte`.
///
/// # Errors
/// 400 for any other word.
pub fn version_type(word: &str) -> Result<VersionType, EsError> {
    match word {
        "internal" => Ok(VersionType::Internal),
        "external" | "external_gt" => Ok(VersionType::External),
        "external_gte" => Ok(VersionType::ExternalGte),
        other => Err(EsError::illegal_argument(format!(
            "No version type match [{other}]"
        ))),
    }
}

fn number(key: &str, value: &Value) -> Result<Option<u64>, EsError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) if number.as_u64().is_some() => Ok(number.as_u64()),
        Value::String(digits) if digits.parse::<u64>().is_ok() => Ok(digits.parse().ok()),
        other => Err(EsError::illegal_argument(format!(
            "[{key}] must be a number not below 0, found [{other}]"
        ))),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The parser's name for the first token of a value.
pub fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}
