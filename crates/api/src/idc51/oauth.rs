//! `POST /v2/oauth2/token`: an access key, an API key or a password is exchanged for a token (RFC 6749, section 4.4).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use snapkeep_engine::credentials::Refused;
use zeroize::Zeroizing;

use super::call::{Answer, Call, Idc51Result};
use super::errors::{Fault, Idc51Error};
use super::ids::new_uuid;
use crate::shared::path::pairs;

/// What a client says of itself.
struct Client {
    id: String,
    secret: Zeroizing<String>,
}

/// What a form or JSON object asks for.
#[derive(Default)]
struct Wanted {
    grant_type: Option<String>,
    client: Option<Client>,
}

impl Wanted {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let fields: Vec<(String, String)> = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => {
                let texts = fields.into_iter().filter_map(|(name, value)| match value {
                    Value::String(text) => Some((name, text)),
                    _ => None,
                });
                texts.collect()
            }
            _ => pairs(text.trim()).collect(),
        };
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let in_form = || {
            Some(Client {
                id: field("client_id")?,
                secret: Zeroizing::new(field("client_secret")?),
            })
        };
        Self {
            grant_type: field("grant_type"),
            client: basic(headers).or_else(in_form),
        }
    }
}

/// `Authorization: Basic`, of several the first that can be read.
fn basic(headers: &HeaderMap) -> Option<Client> {
    headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .find_map(|value| {
            let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
            if !scheme.eq_ignore_ascii_case("basic") {
                return None;
            }
            let encoded = encoded.trim();
            let bytes = STANDARD
                .decode(encoded)
                .or_else(|_| STANDARD_NO_PAD.decode(encoded))
                .ok()?;
            let text = Zeroizing::new(String::from_utf8(bytes).ok()?);
            let (id, secret) = text.split_once(':')?;
            Some(Client {
                id: id.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
            })
        })
}

/// Gives out a token.
pub async fn token(call: Call) -> Idc51Result {
    let wanted = Wanted::read(&call.headers, &call.body);
    if let Some(other) = wanted
        .grant_type
        .as_deref()
        .filter(|it| *it != "client_credentials")
    {
        let error =
            Fault::Format.because(format!("grant_type [{other}] is not client_credentials"));
        return Ok(refuse(&error, "unsupported_grant_type", None));
    }
    let life = call.state.config.token_life;
    let credentials = call.state.engine.credentials();
    if !credentials.exist() {
        // Nobody asks for it where credentials are off, but clients will not begin without one.
        return Ok(issued(&new_uuid(), life));
    }
    let Some(client) = wanted.client else {
        let error = Fault::Unauthenticated
            .because("no client id and secret")
            .hint(
                "send them as Authorization: Basic, or as client_id and client_secret in the form",
            );
        return Ok(refuse(&error, "invalid_client", None));
    };
    let address = call.caller.address();
    let recognised = credentials
        .client(&client.id, &client.secret, address)
        .await;
    let principal = match recognised {
        Ok(principal) => principal,
        Err(refused) => return Ok(unrecognised(&refused)),
    };
    let token = credentials
        .issue_token(&principal, None, life)
        .await
        .map_err(|cause| {
            tracing::error!(%cause, "a token could not be issued");
            Fault::Internal.because("the token could not be issued; see the server's log")
        })?;
    Ok(issued(token.secret.expose(), life))
}

fn issued(token: &str, life: Duration) -> Answer {
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": life.as_secs(),
    });
    Answer::Other(uncached(StatusCode::OK, &body))
}

fn unrecognised(refused: &Refused) -> Answer {
    match refused {
        Refused::Wrong => {
            let error = Fault::Unauthenticated.because("wrong client id or secret");
            refuse(&error, "invalid_client", None)
        }
        Refused::TooManyAttempts { retry_after } => {
            let error = Fault::TooMany.because(refused.to_string());
            refuse(&error, "invalid_client", Some(*retry_after))
        }
        Refused::Unavailable(cause) => {
            tracing::error!(cause, "credentials cannot be checked");
            let error = Fault::Unavailable.because("credentials cannot be checked now");
            refuse(&error, "temporarily_unavailable", None)
        }
    }
}

/// A refusal in this dialect's words and, for clients of OAuth, in those of the RFC.
fn refuse(error: &Idc51Error, oauth_code: &str, retry_after: Option<Duration>) -> Answer {
    let mut body = error.body();
    body["error"] = json!(oauth_code);
    body["error_description"] = json!(error.message);
    let status = StatusCode::from_u16(error.fault.row().status);
    let mut response = uncached(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body);
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Basic realm=\"snapkeep\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    if let Some(wait) = retry_after {
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    Answer::Other(response)
}

/// JSON that nobody on the way may keep.
fn uncached(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    fn client(headers: &HeaderMap, body: &str) -> Option<(String, String)> {
        let client = Wanted::read(headers, body.as_bytes()).client?;
        Some((client.id, client.secret.to_string()))
    }

    #[test]
    fn a_client_is_named_in_the_header_or_in_the_form() {
        let expected = Some(("AK".to_owned(), "s:e".to_owned()));
        let basic = format!("Basic {}", STANDARD.encode("AK:s:e"));
        let both = headers(&["Bearer stale", &basic]);
        assert_eq!(client(&both, "grant_type=client_credentials"), expected);
        let none = headers(&[]);
        let form = "grant_type=client_credentials&client_id=AK&client_secret=s%3Ae";
        assert_eq!(client(&none, form), expected);
        let object = r#"{"client_id":"AK","client_secret":"s:e"}"#;
        assert_eq!(client(&none, object), expected);
        assert_eq!(client(&none, "client_id=AK"), None);
        assert_eq!(client(&headers(&["Basic %%"]), ""), None);
    }

    #[test]
    fn the_kind_of_grant_is_read_from_the_form() {
        let read = |body: &str| Wanted::read(&headers(&[]), body.as_bytes()).grant_type;
        assert_eq!(read("grant_type=password").as_deref(), Some("password"));
        assert_eq!(read(""), None);
    }
}
