//! Reading a body. Keys come in camel case and in snake case; where both are there, camel case wins. `null` is the same as absent.

use serde_json::{Map, Value};

use super::errors::{CssError, Fault};

/// An object of a request.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Parses a body that must be there.
    pub fn parse(body: &[u8]) -> Result<Self, CssError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::EmptyBody.because(""));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) if object.is_empty() => Err(Fault::EmptyBody.because("")),
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(Fault::InvalidParameter.because("the body must be a JSON object")),
            Err(error) => {
                Err(Fault::InvalidParameter.because(format!("the body is not JSON: {error}")))
            }
        }
    }

    /// The first of `names` that has a value.
    fn get(&self, names: &[&str]) -> Option<&Value> {
        names
            .iter()
            .find_map(|name| self.0.get(*name).filter(|value| !value.is_null()))
    }

    /// Whether one of `names` has a value.
    pub fn has(&self, names: &[&str]) -> bool {
        self.get(names).is_some()
    }

    /// A text.
    pub fn text(&self, names: &[&str]) -> Result<Option<&str>, CssError> {
        match self.get(names) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::invalid(first(names), "it must be a string")),
        }
    }

    /// A text, or a number in its place.
    pub fn text_or_number(&self, names: &[&str]) -> Result<Option<String>, CssError> {
        match self.get(names) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Fault::invalid(
                first(names),
                "it must be a string or a number",
            )),
        }
    }

    /// `true` or `false`, as such or as a string.
    pub fn flag(&self, names: &[&str]) -> Result<Option<bool>, CssError> {
        match self.get(names) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(Fault::invalid(first(names), "it must be true or false")),
        }
    }

    /// An integer, as such or as a string; none when it is something else.
    pub fn integer(&self, names: &[&str]) -> Option<i64> {
        match self.get(names)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

fn first<'a>(names: &[&'a str]) -> &'a str {
    names.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn camel_case_wins_and_null_is_absent() {
        let names = ["targetCluster", "target_cluster"];
        let both = fields(r#"{"target_cluster":"b","targetCluster":"a"}"#);
        assert_eq!(both.text(&names).unwrap(), Some("a"));
        let null = fields(r#"{"target_cluster":"b","targetCluster":null}"#);
        assert_eq!(null.text(&names).unwrap(), Some("b"));
    }

    #[test]
    fn truths_and_numbers_come_as_strings_too() {
        let body = fields(r#"{"a":"true","b":false,"c":"7","d":7,"e":"maybe","f":7.5}"#);
        assert_eq!(body.flag(&["a"]).unwrap(), Some(true));
        assert_eq!(body.flag(&["b"]).unwrap(), Some(false));
        assert!(body.flag(&["e"]).is_err());
        assert_eq!(
            (body.integer(&["c"]), body.integer(&["d"])),
            (Some(7), Some(7))
        );
        assert_eq!(body.integer(&["f"]), None);
    }

    #[test]
    fn a_missing_body_and_a_broken_one_are_told_apart() {
        for empty in ["", " \n", "{}"] {
            let error = Fields::parse(empty.as_bytes()).unwrap_err();
            assert_eq!(error.fault, Fault::EmptyBody, "{empty}");
        }
        for broken in ["[]", "{", "1", "\"x\""] {
            let error = Fields::parse(broken.as_bytes()).unwrap_err();
            assert_eq!(error.fault, Fault::InvalidParameter, "{broken}");
        }
    }
}
