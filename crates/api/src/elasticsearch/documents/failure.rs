//! The store's errors in the dialect's words.

use snapkeep_store::StoreError;

use crate::elasticsearch::errors::{ErrorKind, EsError};

impl From<StoreError> for EsError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::IndexNotFound { name } => Self::index_not_found(&name),
            StoreError::IndexExists { name, uuid } => ErrorKind::ResourceAlreadyExists
                .error(text)
                .of_index(&name, &uuid),
            StoreError::InvalidIndexName { name, .. } => ErrorKind::InvalidIndexName
                .error(text)
                .of_index(&name, "_na_"),
            StoreError::InvalidAliasName { .. } => ErrorKind::InvalidAliasName.error(text),
            StoreError::AliasNotFound { name } => alias_missing(&name),
            StoreError::IndexClosed { name, uuid } => index_closed(&name, &uuid),
            StoreError::IndexRestoring { name, uuid } => ErrorKind::Exception
                .error(text)
                .of_index(&name, &uuid)
                .with_status(503),
            StoreError::IndexOpen { .. } => ErrorKind::SnapshotRestore.error(text),
            StoreError::Blocked { name, .. } => {
                ErrorKind::ClusterBlock.error(text).field("index", name)
            }
            StoreError::VersionConflict(conflict) => ErrorKind::VersionConflict
                .error(conflict.reason.clone())
                .of_shard(&conflict.index, &conflict.index_uuid, conflict.shard),
            StoreError::DocumentMissing {
                index,
                index_uuid,
                shard,
                ..
            } => ErrorKind::DocumentMissing
                .error(text)
                .of_shard(&index, &index_uuid, shard),
            StoreError::MapperParsing { reason, cause } => {
                document_parsing(&reason, cause.as_deref())
            }
            StoreError::StrictMapping { .. } => ErrorKind::StrictDynamicMapping.error(text),
            StoreError::IllegalArgument { reason } => illegal_argument(reason),
            StoreError::TemplateNotFound { .. } => ErrorKind::IndexTemplateMissing.error(text),
            StoreError::Poisoned | StoreError::Stalled { .. } => {
                ErrorKind::ClusterBlock.error(text).with_status(503)
            }
            _ => ErrorKind::Exception.error(text),
        }
    }
}

/// Fields that say which index an error is about.
pub trait Located: Sized {
    /// Adds `index_uuid` and `index`.
    #[must_use]
    fn of_index(self, name: &str, uuid: &str) -> Self;

    /// Adds `index_uuid`, `shard` and `index`.
    #[must_use]
    fn of_shard(self, name: &str, uuid: &str, shard: u16) -> Self;
}

impl Located for EsError {
    fn of_index(self, name: &str, uuid: &str) -> Self {
        self.field("index_uuid", uuid).field("index", name)
    }

    fn of_shard(self, name: &str, uuid: &str, shard: u16) -> Self {
        self.field("index_uuid", uuid)
            .field("shard", shard.to_string())
            .field("index", name)
    }
}

/// 400: the index is closed.
pub fn index_closed(name: &str, uuid: &str) -> EsError {
    ErrorKind::IndexClosed.error("closed").of_index(name, uuid)
}

/// 404 for an alias that was to be changed.
pub fn alias_missing(name: &str) -> EsError {
    ErrorKind::AliasesNotFound
        .error(format!("aliases [{name}] missing"))
        .field("resource.type", "aliases")
        .field("resource.id", name)
}

/// A setting that is no number has the number's own complaint below it.
fn illegal_argument(reason: String) -> EsError {
    let value = reason
        .strip_prefix("Failed to parse value [")
        .filter(|rest| rest.contains("for setting [") && rest.ends_with(']'))
        .and_then(|rest| rest.split(']').next());
    match value {
        Some(value) => {
            let cause = ErrorKind::NumberFormat.error(format!("For input string: \"{value}\""));
            EsError::illegal_argument(reason.clone()).caused_by(cause)
        }
        None => EsError::illegal_argument(reason),
    }
}

/// A document that is no JSON object or clashes with its mapping.
///
/// Clients look for the cause below it, which follows from the type named in the reason.
fn document_parsing(reason: &str, cause: Option<&str>) -> EsError {
    let error = ErrorKind::DocumentParsing.error(reason);
    if let Some(words) = cause {
        let is_cut_off =
            words.contains("EOF while parsing") || words.contains("nexpected end-of-input");
        let kind = if is_cut_off {
            ErrorKind::JsonEof
        } else {
            ErrorKind::JsonParse
        };
        return error.caused_by(kind.error(words));
    }
    let between = |start: &str, end: &str| {
        let (_, rest) = reason.split_once(start)?;
        Some(rest.rsplit_once(end).map_or(rest, |(value, _)| value))
    };
    let (Some(type_part), Some(value)) = (
        between("of type [", "] in document"),
        between("Preview of field's value: '", "'"),
    ) else {
        return error;
    };
    match type_part {
        "integer" | "short" | "byte" | "double" | "float" | "half_float" | "scaled_float" => {
            error.caused_by(ErrorKind::NumberFormat.error(format!("For input string: \"{value}\"")))
        }
        "long" | "unsigned_long" => error.caused_by(EsError::illegal_argument(format!(
            "For input string: \"{value}\""
        ))),
        "date" => error.caused_by(EsError::illegal_argument(format!(
            "failed to parse date field [{value}] with format [strict_date_optional_time||epoch_millis]"
        ))),
        "boolean" => error.caused_by(EsError::illegal_argument(format!(
            "Failed to parse value [{value}] as only [true] or [false] are allowed."
        ))),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elasticsearch::config::Shape;

    #[test]
    fn a_clash_with_the_mapping_carries_its_cause() {
        let error = EsError::from(StoreError::MapperParsing {
            reason: "failed to parse field [n] of type [integer] in document with id '9'. Preview of field's value: 'x'y'".into(),
            cause: None,
        });
        let body = error.render(Shape::OpenSearch, false);
        assert_eq!(body["error"]["type"], "mapper_parsing_exception");
        assert_eq!(
            body["error"]["caused_by"]["type"],
            "number_format_exception"
        );
        assert_eq!(
            body["error"]["caused_by"]["reason"],
            "For input string: \"x'y\""
        );
    }

    #[test]
    fn a_missing_index_has_the_fields_that_clients_read() {
        let body =
            EsError::from(StoreError::IndexNotFound { name: "i".into() }).render(Shape::Es, false);
        assert_eq!(body["status"], 404);
        assert_eq!(body["error"]["index"], "i");
        assert_eq!(body["error"]["resource.id"], "i");
    }
}
