//! The fields of a JSON object, found whatever their case, with Go's texts for wrong types.

use serde_json::{Map, Value};

use crate::weaviate::errors::WvError;

/// What Go's decoder calls the kind of a value.
pub fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An object decoded into a Go struct: `null` and absent are the same, keys match in any case, of several the last counts.
#[derive(Debug, Clone)]
pub struct Fields {
    map: Map<String, Value>,
    parameter: String,
    /// The struct and the way to this object, as errors name a field: `Class.multiTenancyConfig`.
    path: String,
}

impl Fields {
    /// The body itself; `model` is the Go struct without its package.
    ///
    /// # Errors
    /// 400 if it is no object.
    pub fn of_body(value: Value, parameter: &str, model: &str) -> Result<Self, WvError> {
        match value {
            Value::Null => Ok(Self::new(Map::new(), parameter, model)),
            Value::Object(map) => Ok(Self::new(map, parameter, model)),
            other => Err(WvError::undecodable(
                parameter,
                format!(
                    "json: cannot unmarshal {} into Go value of type models.{model}",
                    go_kind(&other)
                ),
            )),
        }
    }

    /// Fields that were decoded already; `path` is how errors name the object.
    pub fn new(map: Map<String, Value>, parameter: &str, path: &str) -> Self {
        Self {
            map,
            parameter: parameter.to_owned(),
            path: path.to_owned(),
        }
    }

    /// A field of any type; null counts as absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let value = match self.map.get(name) {
            Some(value) => Some(value),
            None => self
                .map
                .iter()
                .rev()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value),
        };
        value.filter(|value| !value.is_null())
    }

    /// All fields, as they came.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// The fields themselves.
    pub fn into_map(self) -> Map<String, Value> {
        self.map
    }

    fn mistyped(&self, name: &str, value: &Value, expected: &str) -> WvError {
        let kind = match value {
            // A number that Go cannot hold is named with its text.
            Value::Number(number) if expected == "int64" => format!("number {number}"),
            other => go_kind(other).to_owned(),
        };
        WvError::undecodable(
            &self.parameter,
            format!(
                "json: cannot unmarshal {kind} into Go struct field {}.{name} of type {expected}",
                self.path
            ),
        )
    }

    /// A string.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn string(&self, name: &str) -> Result<Option<String>, WvError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mistyped(name, other, "string")),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, WvError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.mistyped(name, other, "bool")),
        }
    }

    /// An integer.
    ///
    /// # Errors
    /// 400 if it is something else, or has a fraction.
    pub fn int(&self, name: &str) -> Result<Option<i64>, WvError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.mistyped(name, value, "int64")),
            },
        }
    }

    /// A list of strings; empty counts as absent.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, WvError> {
        let items = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(self.mistyped(name, other, "[]string")),
        };
        let mut strings = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(text) => strings.push(text.clone()),
                Value::Null => strings.push(String::new()),
                other => return Err(self.mistyped(name, other, "string")),
            }
        }
        Ok(strings)
    }

    /// A list of anything; empty if absent.
    ///
    /// # Errors
    /// 400 if it is something else. `go_type` is what Go calls the list.
    pub fn list(&self, name: &str, go_type: &str) -> Result<&[Value], WvError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.mistyped(name, other, go_type)),
        }
    }

    /// An object within this one; none if absent. `go_type` is what Go calls it.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn object(&self, name: &str, go_type: &str) -> Result<Option<Self>, WvError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                map: map.clone(),
                parameter: self.parameter.clone(),
                path: format!("{}.{name}", self.path),
            })),
            Some(other) => Err(self.mistyped(name, other, go_type)),
        }
    }

    /// A map of strings to strings; empty if absent.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn string_map(&self, name: &str) -> Result<Vec<(String, String)>, WvError> {
        let map = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.mistyped(name, other, "map[string]string")),
        };
        map.iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                other => Err(self.mistyped(name, other, "string")),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of_body(value, "body", "BackupCreateRequest").unwrap()
    }

    #[test]
    fn keys_match_in_any_case_and_null_is_absent() {
        let body = fields(json!({"ID": "a", "Include": null, "config": {"path": "/x"}}));
        assert_eq!(body.string("id").unwrap().as_deref(), Some("a"));
        assert!(body.strings("include").unwrap().is_empty());
        let config = body
            .object("config", "models.BackupConfig")
            .unwrap()
            .unwrap();
        assert_eq!(config.string("Path").unwrap().as_deref(), Some("/x"));
    }

    #[test]
    fn wrong_types_are_told_in_gos_words() {
        let error = fields(json!({"id": 7})).string("id").unwrap_err();
        assert_eq!(
            error.message(),
            "parsing body body from \"\" failed, because json: cannot unmarshal number into Go struct field BackupCreateRequest.id of type string"
        );
        let error = Fields::of_body(json!([]), "body", "BackupRestoreRequest").unwrap_err();
        assert!(error.message().ends_with(
            "json: cannot unmarshal array into Go value of type models.BackupRestoreRequest"
        ));
    }
}
