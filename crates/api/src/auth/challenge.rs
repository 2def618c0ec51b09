//! 401 and 429 in the words of each dialect.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::dialect::Dialect;
use crate::elasticsearch::Shape;
use crate::idc51::Fault;

const JSON: &str = "application/json";
/// What may be presented, as Elasticsearch lists it.
const ES_SCHEMES: [&str; 3] = [
    "Basic realm=\"security\" charset=\"UTF-8\"",
    "Bearer realm=\"security\"",
    "ApiKey",
];
const OPENSEARCH_SCHEME: &str = "Basic realm=\"OpenSearch Security\"";
const GRPC_UNAUTHENTICATED: &str = "16";
const GRPC_RESOURCE_EXHAUSTED: &str = "8";

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// It presents nothing.
    Missing,
    /// What it presents is wrong; the user's name if there is one.
    Wrong(Option<String>),
    /// A signature that is too old, or from the future.
    Stale,
    /// Too many failed attempts.
    TooMany(Duration),
    /// A signed body is larger than is taken.
    TooLarge(usize),
    /// Credentials cannot be checked.
    Unavailable,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    pub(super) dialect: Dialect,
    pub(super) shape: Shape,
    pub(super) path: &'a str,
}

impl Refusal<'_> {
    /// The answer.
    pub(super) fn answer(self, reason: &Reason) -> Response {
        let mut response = match self.dialect {
            Dialect::Elasticsearch => self.elasticsearch(reason),
            Dialect::Weaviate => weaviate(reason),
            Dialect::Grpc => grpc(reason),
            Dialect::Huawei => huawei(reason),
            Dialect::Alibaba => alibaba(reason),
            Dialect::Idc51 => idc51(reason),
            Dialect::Native => native(reason),
        };
        if let Reason::TooMany(wait) = reason {
            set(
                &mut response,
                header::RETRY_AFTER,
                &seconds(*wait).to_string(),
            );
        }
        response
    }

    fn elasticsearch(self, reason: &Reason) -> Response {
        let status = status(reason);
        let uri = self.path;
        if self.shape == Shape::OpenSearch && status == StatusCode::UNAUTHORIZED {
            let mut response = text(status, "Unauthorized");
            set(&mut response, header::WWW_AUTHENTICATE, OPENSEARCH_SCHEME);
            return response;
        }
        let reason_text = match reason {
            Reason::Missing => format!("missing authentication credentials for REST request [{uri}]"),
            Reason::Wrong(Some(user)) => {
                format!("unable to authenticate user [{user}] for REST request [{uri}]")
            }
            Reason::Wrong(None) | Reason::Stale => {
                "unable to authenticate with provided credentials and anonymous access is not allowed for this action".to_owned()
            }
            other => message(other),
        };
        let mut cause = json!({"type": "security_exception", "reason": reason_text});
        if status == StatusCode::UNAUTHORIZED {
            cause["header"] = json!({"WWW-Authenticate": ES_SCHEMES});
        }
        let mut error = json!({"root_cause": [cause.clone()]});
        for (key, value) in cause.as_object().into_iter().flatten() {
            error[key] = value.clone();
        }
        let mut response = body(status, &json!({"error": error, "status": status.as_u16()}));
        if status == StatusCode::UNAUTHORIZED {
            for scheme in ES_SCHEMES {
                let value = HeaderValue::from_static(scheme);
                response
                    .headers_mut()
                    .append(header::WWW_AUTHENTICATE, value);
            }
        }
        if self.shape == Shape::Es {
            // Clients take a server without it for somebody else's.
            set(
                &mut response,
                HeaderName::from_static("x-elastic-product"),
                "Elasticsearch",
            );
        }
        response
    }
}

fn weaviate(reason: &Reason) -> Response {
    let status = status(reason);
    match reason {
        Reason::Missing => {
            let value = json!({"code": 401, "message": "anonymous access not enabled. Please authenticate through one of the available methods: [API-keys]"});
            text(status, &value.to_string())
        }
        Reason::Wrong(_) | Reason::Stale => body(
            status,
            &json!({"code": 401, "message": "unauthorized: invalid api key"}),
        ),
        other => body(
            status,
            &json!({"code": status.as_u16(), "message": message(other)}),
        ),
    }
}

/// An answer that consists of its trailers, as gRPC has it for calls that never began.
fn grpc(reason: &Reason) -> Response {
    let code = match reason {
        Reason::TooMany(_) | Reason::TooLarge(_) => GRPC_RESOURCE_EXHAUSTED,
        _ => GRPC_UNAUTHENTICATED,
    };
    let message = match reason {
        Reason::Missing => "unauthorized: anonymous access not enabled".to_owned(),
        Reason::Wrong(_) | Reason::Stale => "unauthorized: invalid api key".to_owned(),
        other => message(other),
    };
    let mut response = Response::new(Body::empty());
    let escaped = utf8_percent_encode(&message, NON_ALPHANUMERIC).to_string();
    set(&mut response, header::CONTENT_TYPE, "application/grpc");
    set(&mut response, HeaderName::from_static("grpc-status"), code);
    set(
        &mut response,
        HeaderName::from_static("grpc-message"),
        &escaped,
    );
    response
}

/// Never 429: the SDK would throw the text away.
fn huawei(reason: &Reason) -> Response {
    let detail = match reason {
        Reason::Missing => "no authorization information found",
        Reason::Wrong(_) => "verify aksk signature or token fail",
        Reason::Stale => "signature expired, X-Sdk-Date is more than 15 minutes off",
        Reason::TooMany(_) => "too many failed attempts, try again later",
        Reason::TooLarge(_) => "a signed body is too large, use a token",
        Reason::Unavailable => "credentials cannot be checked now",
    };
    let status = match reason {
        Reason::TooMany(_) => StatusCode::UNAUTHORIZED,
        other => status(other),
    };
    let id = request_id();
    let value = json!({
        "error_code": "APIGW.0301",
        "error_msg": format!("Incorrect IAM authentication information: {detail}"),
        "request_id": id,
    });
    let mut response = body(status, &value);
    set(&mut response, HeaderName::from_static("x-request-id"), &id);
    response
}

fn alibaba(reason: &Reason) -> Response {
    let (status, code) = match reason {
        Reason::Missing => (400, "MissingAccessKeyId"),
        Reason::Wrong(_) => (400, "SignatureDoesNotMatch"),
        Reason::Stale => (400, "InvalidTimeStamp.Expired"),
        Reason::TooMany(_) => (400, "Throttling.User"),
        Reason::TooLarge(_) => (413, "RequestEntityTooLarge"),
        Reason::Unavailable => (503, "ServiceUnavailable"),
    };
    let message = match reason {
        Reason::Missing => "AccessKeyId is mandatory for this action.".to_owned(),
        Reason::Wrong(_) => "Specified signature is not matched with our calculation.".to_owned(),
        Reason::Stale => "Specified time stamp or date value is expired.".to_owned(),
        other => message(other),
    };
    let value = json!({"RequestId": request_id(), "Code": code, "Message": message});
    body(
        StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN),
        &value,
    )
}

/// In the words of its table. The SDKs fetch a new token when they see 401.
fn idc51(reason: &Reason) -> Response {
    let fault = match reason {
        Reason::Missing | Reason::Wrong(_) | Reason::Stale => Fault::Unauthenticated,
        Reason::TooMany(_) => Fault::TooMany,
        Reason::TooLarge(_) => Fault::TooLarge,
        Reason::Unavailable => Fault::Unavailable,
    };
    let hint = match fault {
        Fault::Unauthenticated => {
            "fetch a token: POST /v2/oauth2/token, grant_type=client_credentials"
        }
        _ => "",
    };
    let text = match reason {
        Reason::Wrong(_) => "the token or credential is wrong or has expired".to_owned(),
        other => message(other),
    };
    let mut response = fault.because(text).hint(hint).render();
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = "Bearer realm=\"snapkeep\"";
        set(&mut response, header::WWW_AUTHENTICATE, scheme);
    }
    response
}

fn native(reason: &Reason) -> Response {
    let (code, hint) = match reason {
        Reason::Missing => (
            "unauthenticated",
            "send a password (Basic) or an API key (ApiKey or Bearer); for commands: SNAPKEEP_CREDENTIAL_FILE or --credential-file",
        ),
        Reason::Wrong(_) | Reason::Stale => (
            "unauthenticated",
            "check name and secret; an admin can make a new one: snapkeep credential rotate NAME",
        ),
        Reason::TooMany(_) => ("too_many_attempts", "wait as long as Retry-After says"),
        Reason::TooLarge(_) => ("too_large", "send less with one request"),
        Reason::Unavailable => ("unavailable", "see the server's log"),
    };
    let status = status(reason);
    let detail = json!({"code": code, "message": message(reason), "hint": hint});
    let mut response = body(status, &json!({ "error": detail }));
    if status == StatusCode::UNAUTHORIZED {
        for scheme in [
            "Basic realm=\"snapkeep\" charset=\"UTF-8\"",
            "Bearer realm=\"snapkeep\"",
            "ApiKey",
        ] {
            let value = HeaderValue::from_static(scheme);
            response
                .headers_mut()
                .append(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

fn status(reason: &Reason) -> StatusCode {
    match reason {
        Reason::Missing | Reason::Wrong(_) | Reason::Stale => StatusCode::UNAUTHORIZED,
        Reason::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        Reason::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn message(reason: &Reason) -> String {
    match reason {
        Reason::Missing => "this server requires credentials".to_owned(),
        Reason::Wrong(_) => "wrong credentials".to_owned(),
        Reason::Stale => "the signature is too old or from the future".to_owned(),
        Reason::TooMany(wait) => {
            format!(
                "too many failed attempts; try again in {} s",
                seconds(*wait)
            )
        }
        Reason::TooLarge(limit) => format!("a signed request body has {limit} bytes at most"),
        Reason::Unavailable => "credentials cannot be checked now; see the server's log".to_owned(),
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}

fn request_id() -> String {
    let [a, b] = rand::random::<[u64; 2]>();
    format!("{a:016x}{b:016x}")
}

fn body(status: StatusCode, value: &Value) -> Response {
    let mut response = text(status, &value.to_string());
    set(&mut response, header::CONTENT_TYPE, JSON);
    response
}

fn text(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    set(
        &mut response,
        header::CONTENT_TYPE,
        "text/plain; charset=utf-8",
    );
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn answer(dialect: Dialect, shape: Shape, reason: &Reason) -> (Response, String) {
        let refusal = Refusal {
            dialect,
            shape,
            path: "/_snapshot/r",
        };
        let (parts, body) = refusal.answer(reason).into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (Response::from_parts(parts, Body::empty()), text)
    }

    #[test]
    fn elasticsearch_names_the_schemes_in_header_and_body() {
        let (response, text) = answer(Dialect::Elasticsearch, Shape::Es, &Reason::Missing);
        assert_eq!(response.status(), 401);
        assert_eq!(
            response
                .headers()
                .get_all("www-authenticate")
                .iter()
                .count(),
            3
        );
        assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["error"]["type"], "security_exception");
        assert_eq!(
            value["error"]["root_cause"][0]["reason"],
            "missing authentication credentials for REST request [/_snapshot/r]"
        );
        assert_eq!(value["status"], 401);
        let (response, text) = answer(
            Dialect::Elasticsearch,
            Shape::Es,
            &Reason::TooMany(Duration::from_millis(5200)),
        );
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["retry-after"]
            ),
            (429, &HeaderValue::from_static("6"))
        );
        assert!(text.contains("security_exception"));
    }

    #[test]
    fn opensearch_says_one_word() {
        let (response, text) = answer(
            Dialect::Elasticsearch,
            Shape::OpenSearch,
            &Reason::Wrong(None),
        );
        assert_eq!(
            (response.status().as_u16(), text.as_str()),
            (401, "Unauthorized")
        );
        assert_eq!(response.headers()["www-authenticate"], OPENSEARCH_SCHEME);
    }

    #[test]
    fn weaviate_tells_missing_from_wrong() {
        let (response, text) = answer(Dialect::Weaviate, Shape::Es, &Reason::Missing);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert!(
            text.starts_with("{\"code\":401,\"message\":\"anonymous access not enabled."),
            "{text}"
        );
        let (response, text) = answer(Dialect::Weaviate, Shape::Es, &Reason::Wrong(None));
        assert_eq!(response.headers()["content-type"], JSON);
        assert_eq!(
            text,
            "{\"code\":401,\"message\":\"unauthorized: invalid api key\"}"
        );
        let (response, _) = answer(Dialect::Grpc, Shape::Es, &Reason::Missing);
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["grpc-status"]
            ),
            (200, &HeaderValue::from_static("16"))
        );
    }

    #[test]
    fn huawei_and_alibaba_have_their_pairs() {
        for reason in [
            Reason::Missing,
            Reason::Wrong(None),
            Reason::Stale,
            Reason::TooMany(Duration::ZERO),
        ] {
            let (response, text) = answer(Dialect::Huawei, Shape::Es, &reason);
            assert_eq!(response.status(), 401);
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["error_code"], "APIGW.0301");
            assert!(
                value["error_msg"]
                    .as_str()
                    .unwrap()
                    .starts_with("Incorrect IAM authentication information: ")
            );
            assert_eq!(
                value["request_id"].as_str().unwrap(),
                response.headers()["x-request-id"]
            );
        }
        let (response, text) = answer(Dialect::Alibaba, Shape::Es, &Reason::Stale);
        assert_eq!(response.status(), 400);
        assert!(
            text.contains("\"Code\":\"InvalidTimeStamp.Expired\""),
            "{text}"
        );
    }

    #[test]
    fn idc51_answers_401_until_there_were_too_many_attempts() {
        for (reason, status, code) in [
            (Reason::Missing, 401, "1200"),
            (Reason::Wrong(None), 401, "1200"),
            (Reason::TooMany(Duration::from_secs(5)), 429, "2500"),
            (Reason::Unavailable, 503, "5100"),
        ] {
            let (response, text) = answer(Dialect::Idc51, Shape::Es, &reason);
            assert_eq!(response.status().as_u16(), status);
            let challenge = response.headers().contains_key("www-authenticate");
            assert_eq!(challenge, status == 401);
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["code"], code);
            assert!(value["message"].is_string() && value["detail"].is_string());
        }
    }
}
