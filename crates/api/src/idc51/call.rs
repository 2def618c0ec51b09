//! What holds for every call: size of the body, the zone, who may call, and what answers look like.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use super::errors::{Fault, Idc51Error};
use super::fields::Fields;
use super::query::Query;
use super::state::Idc51State;
use crate::auth::{Caller, Need};
use crate::shared::path::segments;

/// Largest body, bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest name of a zone, bytes.
const MAX_ZONE_BYTES: usize = 64;

/// A request.
#[derive(Debug)]
pub struct Call {
    pub state: Idc51State,
    pub caller: Caller,
    pub method: Method,
    /// Pieces of the path, decoded; slashes at the end do not count.
    pub path: Vec<String>,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// 200 with JSON.
    Json(Value),
    /// 200 with nothing, and no type: a client that finds a JSON type parses, also nothing.
    Empty,
    /// Anything else.
    Other(Response),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Json(body) => {
                let headers = [(header::CONTENT_TYPE, "application/json")];
                (headers, body.to_string()).into_response()
            }
            Self::Empty => StatusCode::OK.into_response(),
            Self::Other(response) => response,
        }
    }
}

/// What a handler gives.
pub type Idc51Result = Result<Answer, Idc51Error>;

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// The body is too large or breaks off.
    pub async fn read(state: Idc51State, request: Request) -> Result<Self, Idc51Error> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
            Fault::TooLarge.because(format!("a body has at most {MAX_BODY_BYTES} bytes"))
        })?;
        Ok(Self {
            state,
            caller: Caller::of(&parts.extensions),
            method: parts.method,
            path: segments(parts.uri.path()),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
        })
    }

    /// The body.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn fields(&self) -> Result<Fields, Idc51Error> {
        Fields::parse(&self.body)
    }

    /// The zone in the path.
    pub fn zone(&self) -> &str {
        self.path.get(2).map_or("", String::as_str)
    }

    /// Looks whether the zone is one of ours.
    ///
    /// # Errors
    /// It is not.
    pub fn check_zone(&self) -> Result<(), Idc51Error> {
        let zone = self.zone();
        let zones = &self.state.config.zones;
        if is_zone(zone) && (zones.is_empty() || zones.iter().any(|known| known == zone)) {
            return Ok(());
        }
        let known = match zones.is_empty() {
            true => "a zone is a short word such as ac1".to_owned(),
            false => format!("zones are {}", zones.join(", ")),
        };
        Err(Fault::Missing
            .because(format!("zone [{zone}] does not exist"))
            .hint(known))
    }

    /// Asks whether the caller may do this in the zone.
    ///
    /// # Errors
    /// What is missing.
    pub fn authorise(&self, need: Need<'_>) -> Result<(), Idc51Error> {
        Ok(self.caller.authorise(need.project(self.zone()))?)
    }
}

/// Whether a text can be the name of a zone.
pub fn is_zone(text: &str) -> bool {
    (1..=MAX_ZONE_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_short_words() {
        for zone in ["ac1", "ac2", "pek3b", "my-zone_1"] {
            assert!(is_zone(zone), "{zone}");
        }
        for text in ["", "{zone}", "a/b", "区", "a b", &"a".repeat(65)] {
            assert!(!is_zone(text), "{text}");
        }
    }

    #[test]
    fn an_empty_answer_has_no_type() {
        let response = Answer::Empty.into_response();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key(header::CONTENT_TYPE));
    }
}
