//! Bodies: a JSON object whatever the content type says, because the documented curl commands send none.

use serde_json::{Map, Value};

use super::errors::{Fault, Idc51Error};
use super::query::{distinct, yes_or_no};

/// Longest name, characters.
const MAX_NAME_CHARS: usize = 255;
/// Longest description, characters.
const MAX_DESCRIPTION_CHARS: usize = 4096;

/// The fields of a body.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body; an empty one has no fields.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Idc51Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Fault::Format.because("the body is not a JSON object")),
            Err(cause) => Err(Fault::Format.because(format!("the body is not JSON: {cause}"))),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A name: one line of at most 255 characters. None when it is missing or empty.
    ///
    /// # Errors
    /// It is no text, too long, or has control characters.
    pub fn name(&self, field: &str) -> Result<Option<String>, Idc51Error> {
        let name = self.text(field, MAX_NAME_CHARS, &[])?;
        let name = name.map(|name| name.trim().to_owned());
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// A description, which may be empty. None when it is missing.
    ///
    /// # Errors
    /// As for [`Self::name`], with more characters.
    pub fn description(&self, field: &str) -> Result<Option<String>, Idc51Error> {
        self.text(field, MAX_DESCRIPTION_CHARS, &['\n', '\t'])
    }

    fn text(
        &self,
        field: &str,
        most_chars: usize,
        controls: &[char],
    ) -> Result<Option<String>, Idc51Error> {
        let text = match self.get(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(_) => return Err(Fault::Format.because(format!("{field} is not a text"))),
        };
        if text.chars().count() > most_chars {
            return Err(
                Fault::Format.because(format!("{field} has more than {most_chars} characters"))
            );
        }
        let is_bad = |c: char| c.is_control() && !controls.contains(&c);
        if text.chars().any(is_bad) {
            return Err(Fault::Format.because(format!("{field} has control characters")));
        }
        Ok(Some(text.clone()))
    }

    /// A list of texts, or one text, in which commas part items too. Each item once.
    ///
    /// # Errors
    /// It is something else, or too long.
    pub fn list(&self, field: &str) -> Result<Vec<String>, Idc51Error> {
        let wrong = || Fault::Format.because(format!("{field} is not a list of texts"));
        let values = match self.get(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(one) => vec![one],
        };
        let mut items = Vec::new();
        for value in values {
            let text = value.as_str().ok_or_else(wrong)?;
            items.extend(text.split(',').map(str::to_owned));
        }
        distinct(field, items.into_iter())
    }

    /// Yes or no: `true`, `1`, `"1"`, `"true"` and their opposites.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&self, field: &str) -> Result<Option<bool>, Idc51Error> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        word(value)
            .and_then(|word| yes_or_no(&word))
            .map(Some)
            .ok_or_else(|| Fault::Format.because(format!("{field} [{value}] is neither 1 nor 0")))
    }

    /// Whether a full point is asked for. The table of the documentation says 1 or 0, its example `IS_FULL`, other versions `IS_AUTO` and
    /// (sic) `IS_AUTH`: all are understood. False leaves it to the system, also `IS_INCREMENTAL`.
    ///
    /// # Errors
    /// It is something else.
    pub fn is_full(&self) -> Result<bool, Idc51Error> {
        let Some(value) = self.get("is_full") else {
            return Ok(false);
        };
        let meant = word(value).and_then(|word| match word.to_ascii_uppercase().as_str() {
            "IS_FULL" => Some(true),
            "IS_INCREMENTAL" | "IS_AUTO" | "IS_AUTH" => Some(false),
            _ => yes_or_no(&word),
        });
        meant.ok_or_else(|| {
            Fault::Format.because(format!(
                "is_full [{value}] is neither 1 (IS_FULL) nor 0 (the system decides)"
            ))
        })
    }
}

/// A value that may be sent as a text, a number or a truth value, as a text.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: &Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_full_point_is_asked_for_in_many_ways() {
        for yes in [
            json!(1),
            json!("1"),
            json!(true),
            json!("true"),
            json!("IS_FULL"),
            json!("is_full"),
        ] {
            assert!(
                fields(&json!({ "is_full": yes })).is_full().unwrap(),
                "{yes}"
            );
        }
        for no in [
            json!(0),
            json!("0"),
            json!(false),
            json!("false"),
            json!(null),
            json!("IS_AUTO"),
            json!("IS_AUTH"),
            json!("Is_Incremental"),
        ] {
            assert!(
                !fields(&json!({ "is_full": no })).is_full().unwrap(),
                "{no}"
            );
        }
        assert!(!fields(&json!({})).is_full().unwrap());
        for wrong in [
            json!(2),
            json!("full"),
            json!(""),
            json!([1]),
            json!({}),
            json!(1.5),
        ] {
            assert!(
                fields(&json!({ "is_full": wrong })).is_full().is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn lists_are_arrays_or_texts_and_repetitions_are_dropped() {
        let list = |value: Value| fields(&json!({ "snapshots": value })).list("snapshots");
        assert_eq!(list(json!(["a", "b", "a"])).unwrap(), ["a", "b"]);
        assert_eq!(list(json!("a")).unwrap(), ["a"]);
        assert_eq!(list(json!("a, b,")).unwrap(), ["a", "b"]);
        assert!(list(json!(null)).unwrap().is_empty());
        assert!(list(json!([])).unwrap().is_empty());
        assert!(list(json!([1])).is_err());
        assert!(list(json!({})).is_err());
    }

    #[test]
    fn names_are_texts_of_one_line() {
        let name = |value: Value| fields(&json!({ "n": value })).name("n");
        assert_eq!(name(json!(" demo ")).unwrap().as_deref(), Some("demo"));
        assert_eq!(name(json!("")).unwrap(), None);
        assert_eq!(name(json!(null)).unwrap(), None);
        assert!(name(json!(1)).is_err());
        assert!(name(json!("a\nb")).is_err());
        assert!(name(json!("备".repeat(255))).is_ok());
        assert!(name(json!("备".repeat(256))).is_err());
        let empty = fields(&json!({"description": ""})).description("description");
        assert_eq!(empty.unwrap().as_deref(), Some(""));
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(Fields::parse(b" \n").is_ok());
        for wrong in ["[]", "1", "{", "snapshot_name=a", "\"x\""] {
            assert!(Fields::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(fields) = Fields::parse(&bytes) {
                let _ = (fields.list("a"), fields.name("a"), fields.is_full());
            }
        }
    }
}
