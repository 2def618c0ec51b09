//! What holds for every call: the instance, the body, the id of the request.

use axum::body::to_bytes;
use axum::extract::Request;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::errors::{AlibabaError, Fault};
use super::state::AlibabaState;
use crate::auth::{Caller, Need};
use crate::shared::path::{parameter, segments};

/// Largest body, bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest id of an instance, characters.
const MAX_INSTANCE_CHARS: usize = 64;

/// A request.
#[derive(Debug)]
pub struct Call {
    pub state: AlibabaState,
    pub caller: Caller,
    pub method: http::Method,
    /// Pieces of the path, decoded.
    pub path: Vec<String>,
    query: String,
    body: Bytes,
}

/// What a handler gives: the result, and how its keys are spelt.
pub type AlibabaResult = Result<Answer, AlibabaError>;

/// A result.
#[derive(Debug)]
pub enum Answer {
    /// `{"RequestId", "Result"}`.
    Capital(Value),
    /// `{"requestId", "result"}`, as the serverless calls have it.
    Lower(Value),
}

impl Answer {
    /// With the id of the request.
    pub fn body(self, request_id: &str) -> Value {
        match self {
            Self::Capital(result) => json!({ "RequestId": request_id, "Result": result }),
            Self::Lower(result) => json!({ "requestId": request_id, "result": result }),
        }
    }
}

impl Call {
    /// Reads a request.
    pub async fn read(state: AlibabaState, request: Request) -> Result<Self, AlibabaError> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
            Fault::TooLarge.because(format!("A body may have at most {MAX_BODY_BYTES} bytes."))
        })?;
        Ok(Self {
            state,
            caller: Caller::of(&parts.extensions),
            method: parts.method,
            path: segments(parts.uri.path()),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
        })
    }

    /// A parameter of the query, with either case of its first letter; none when empty.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut capital = name.to_owned();
        capital[..1].make_ascii_uppercase();
        let found = parameter(&self.query, name).or_else(|| parameter(&self.query, &capital));
        found.filter(|value| !value.is_empty())
    }

    /// The body, whatever its content type.
    pub fn object(&self) -> Result<Map<String, Value>, AlibabaError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::MissingBody.because("The request body is empty."));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Fault::InvalidParameter.because("The body must be a JSON object.")),
            Err(error) => {
                Err(Fault::InvalidParameter.because(format!("The body is not JSON: {error}.")))
            }
        }
    }

    /// Looks whether the instance is this server, and whether the caller may do this.
    pub fn authorise(&self, instance: &str, need: Need<'_>) -> Result<(), AlibabaError> {
        let is_ours = match &self.state.config.instance_id {
            Some(configured) => configured == instance,
            None => is_instance(instance),
        };
        if !is_ours {
            return Err(AlibabaError::no_instance());
        }
        self.caller.authorise(need)?;
        Ok(())
    }
}

/// Whether a text can be the id of an instance: it becomes part of names of snapshots and folders.
pub fn is_instance(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (2..=MAX_INSTANCE_CHARS).contains(&id.len())
        && id
            .bytes()
            .all(|byte| plain(byte) || byte == b'-' || byte == b'_')
        && id.bytes().next().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_named_in_lower_case() {
        for id in [
            "es-cn-abcdefghijklmn",
            "my_app",
            "es-cn-09k1rocex0006****".trim_end_matches('*'),
        ] {
            assert!(is_instance(id), "{id}");
        }
        for id in ["", "a", "ES-CN", "-a", "a/b", "..", "a b", &"a".repeat(65)] {
            assert!(!is_instance(id), "{id}");
        }
    }

    #[test]
    fn keys_of_answers_are_spelt_as_the_client_reads_them() {
        assert_eq!(
            Answer::Capital(json!(true)).body("r"),
            json!({"RequestId": "r", "Result": true})
        );
        assert_eq!(
            Answer::Lower(json!(true)).body("r"),
            json!({"requestId": "r", "result": true})
        );
    }
}
