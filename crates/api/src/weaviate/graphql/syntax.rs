//! A query after parsing: fields with their fragments spread and variables put in.

use serde_json::Value;

use super::answer::Failure;

/// A position in the text of a query, both counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A field that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// Its name in the answer.
    pub(super) key: String,
    /// Its name in the schema.
    pub(super) name: String,
    /// Arguments; words without quotes are texts.
    pub(super) arguments: Vec<(String, Value)>,
    /// What is asked for of its value, of whatever type it is.
    pub(super) selections: Vec<Field>,
    /// What is asked for if its value is of a type, by the name of the type.
    pub(super) variants: Vec<(String, Vec<Field>)>,
    /// Where it stands.
    pub(super) place: Place,
}

impl Field {
    /// The complaint that a type has no such field.
    pub(super) fn unknown_on(&self, type_name: &str) -> Failure {
        Failure {
            place: self.place,
            message: format!("Cannot query field {:?} on type {type_name:?}.", self.name),
        }
    }

    /// The complaint that a field with parts was asked for as a whole, in Go's words.
    pub(super) fn without_selection(&self, type_name: &str) -> Failure {
        Failure {
            place: self.place,
            message: format!(
                "Field {:?} of type {type_name:?} must have a sub selection.",
                self.name
            ),
        }
    }
}
