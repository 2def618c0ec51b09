//! What a handler gets.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::errors::WvError;
use super::json::{self, Fields};
use super::state::WeaviateState;
use crate::auth::{Caller, Need};

/// Query parameters, decoded; unknown ones are nobody's business.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part of a URL after the question mark.
    pub fn parse(text: &str) -> Self {
        let decoded = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced)
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// A parameter's value; of several the last; none if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().rev().find(|(key, _)| key == name);
        value
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// An integer.
    ///
    /// # Errors
    /// 601 if it is none.
    pub fn int(&self, name: &str) -> Result<Option<i64>, WvError> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| WvError::wrong_format(name, "query", "int64", text))
            })
            .transpose()
    }

    /// A boolean in any of Go's spellings; anything else is false, as in Go.
    pub fn bool(&self, name: &str) -> bool {
        matches!(
            self.get(name)
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str(),
            "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
        )
    }
}

/// One request, its route found and its body received.
#[derive(Debug)]
pub struct WvRequest {
    /// Engine, store, configuration.
    pub state: WeaviateState,
    /// Who asks.
    pub caller: Caller,
    /// The method.
    pub method: Method,
    /// The query parameters.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; at most [`super::WeaviateConfig::max_body_bytes`].
    pub body: Bytes,
    pub(super) captured: Vec<(&'static str, String)>,
}

impl WvRequest {
    /// A variable part of the path, decoded; empty if the route has none of that name.
    pub fn captured(&self, name: &str) -> &str {
        self.captured
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as JSON; `parameter` is what errors call it.
    ///
    /// # Errors
    /// 602 without a body, 400 if it is no JSON.
    pub fn value(&self, parameter: &str) -> Result<Value, WvError> {
        json::parse(&self.body, parameter)
    }

    /// The body as an object of the Go type `model`; `null` has no fields.
    ///
    /// # Errors
    /// As [`Self::value`], and 400 if it is no object.
    pub fn fields(&self, parameter: &str, model: &str) -> Result<Fields, WvError> {
        Fields::of_body(self.value(parameter)?, parameter, model)
    }

    /// Asks whether the caller may do something.
    ///
    /// # Errors
    /// 403 in this dialect's words.
    pub fn authorise(&self, need: Need<'_>) -> Result<(), WvError> {
        Ok(self.caller.authorise(need)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_is_absent_and_the_last_counts() {
        let query = Query::parse("a=1&b=&a=2&c=x%20y+z&&d");
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.get("b"), None);
        assert_eq!(query.get("c"), Some("x y z"));
        assert_eq!(query.get("d"), None);
    }

    #[test]
    fn a_wrong_number_is_named() {
        let error = Query::parse("limit=x").int("limit").unwrap_err();
        assert_eq!(
            error.message(),
            "limit in query must be of type int64: \"x\""
        );
    }
}
