//! The envelope of a GraphQL answer.

use serde_json::{Map, Value, json};

use super::syntax::{Field, Place};

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Data and errors.
#[derive(Debug, Default)]
pub(super) struct Answer {
    data: Map<String, Value>,
    errors: Vec<Value>,
}

fn error(place: Place, message: &str, path: Value) -> Value {
    json!({
        "locations": [{"column": place.column, "line": place.line}], "message": message, "path": path,
    })
}

impl Answer {
    /// The answer to a query that was not executed.
    pub(super) fn refused(failure: Failure) -> Value {
        json!({"errors": [error(failure.place, &failure.message, Value::Null)]})
    }

    /// Puts a value where a path of keys leads.
    pub(super) fn insert(&mut self, path: &[&str], value: Value) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut map = &mut self.data;
        for parent in parents {
            let child = map
                .entry((*parent).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = child else {
                return;
            };
            map = inner;
        }
        map.insert((*last).to_owned(), value);
    }

    /// Records that a field could not be resolved.
    pub(super) fn fail(&mut self, field: &Field, message: String, path: &[&str]) {
        self.errors.push(error(field.place, &message, json!(path)));
    }

    /// The whole answer.
    pub(super) fn into_value(self) -> Value {
        let mut answer = Map::new();
        answer.insert("data".to_owned(), Value::Object(self.data));
        if !self.errors.is_empty() {
            answer.insert("errors".to_owned(), Value::Array(self.errors));
        }
        Value::Object(answer)
    }
}
