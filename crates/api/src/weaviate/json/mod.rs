//! JSON as a Go server reads and prints it.

mod encode;
mod fields;
mod scan;

use serde_json::Value;

use super::errors::WvError;

pub use encode::{append, to_bytes};
pub use fields::{Fields, go_kind};
pub use scan::go_syntax_error;

/// The first JSON value of a body; what follows it does not matter. `parameter` is what errors call the body.
///
/// # Errors
/// 602 if there is no body, 400 with Go's text if it is no JSON.
pub fn parse(body: &[u8], parameter: &str) -> Result<Value, WvError> {
    if body.is_empty() {
        return Err(WvError::required(parameter, "body"));
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) => Err(WvError::undecodable(parameter, go_syntax_error(body))),
        None => Err(WvError::undecodable(parameter, "EOF")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_first_value_is_ignored() {
        assert_eq!(
            parse(b"{\"a\":1} x", "body").unwrap(),
            serde_json::json!({"a": 1})
        );
    }

    #[test]
    fn no_body_and_half_a_body_are_told_apart() {
        let missing = parse(b"", "body").unwrap_err();
        assert_eq!(missing.message(), "body in body is required");
        let half = parse(b"{\"class\": \"X\",", "objectClass").unwrap_err();
        assert_eq!(
            half.message(),
            "parsing objectClass body from \"\" failed, because unexpected EOF"
        );
        assert_eq!(half.status(), 400);
    }
}
