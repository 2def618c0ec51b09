//! `SDK-HMAC-SHA256`, the signature of Huawei Cloud's SDKs.
//!
//! ```text
//! canonical = METHOD \n path \n query \n headers \n signed names \n SHA-256 of the body
//! to sign   = SDK-HMAC-SHA256 \n X-Sdk-Date \n SHA-256 of canonical
//! ```
//! The path is decoded as a whole, split at `/`, and its pieces are encoded anew; it ends with `/`. Dates have whole seconds and there is
//! no nonce, so two calls may carry the same signature: repeats cannot be told from replays and are not refused.

use http::HeaderMap;

use super::canonical::{
    Signed, decode, encode, header_lines, hmac_hex, is_same, query, sha256_hex, signed_headers,
};

/// The scheme's name in `Authorization`.
pub const SCHEME: &str = "SDK-HMAC-SHA256";
/// Header with the hash of the body, used instead of it when given.
const CONTENT_HASH: &str = "x-sdk-content-sha256";
/// Value of [`CONTENT_HASH`] for a body that is not covered.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// When the request says it was made, ms since 1970.
pub(super) fn date_ms(headers: &HeaderMap) -> Option<i64> {
    date(headers).map(|(_, at_ms)| at_ms)
}

/// The signature that `secret` makes of a request, covering these headers; none when it covers too little, or another body.
pub(super) fn expected(names: &str, secret: &str, request: Signed<'_>) -> Option<String> {
    let (date, _) = date(request.headers)?;
    let canonical = canonical(names, request)?;
    let to_sign = format!("{SCHEME}\n{date}\n{}", sha256_hex(canonical.as_bytes()));
    hmac_hex(secret, &to_sign)
}

fn canonical(names: &str, request: Signed<'_>) -> Option<String> {
    let listed = signed_headers(names)?;
    // A signature that does not cover when and where it is for could be used at any time and place.
    if !listed.contains(&"host") || !listed.contains(&"x-sdk-date") {
        return None;
    }
    let headers = header_lines(request, &listed)?;
    Some(format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        request.method,
        path(request.uri.path()),
        query(request.uri),
        body_hash(request)?
    ))
}

fn body_hash(request: Signed<'_>) -> Option<String> {
    let actual = sha256_hex(request.body);
    match request.headers.get(CONTENT_HASH) {
        None => Some(actual),
        Some(given) => {
            let given = given.to_str().ok()?;
            let is_covered = is_same(&actual, &given.to_ascii_lowercase());
            (given == UNSIGNED || is_covered).then(|| given.to_owned())
        }
    }
}

fn path(sent: &str) -> String {
    let decoded = decode(sent);
    let pieces: Vec<String> = decoded.split(|byte| *byte == b'/').map(encode).collect();
    let mut path = pieces.join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// The date as it was sent, and in ms since 1970.
fn date(headers: &HeaderMap) -> Option<(&str, i64)> {
    let text = headers.get("x-sdk-date")?.to_str().ok()?.trim();
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let at = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((text, at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use proptest::prelude::*;

    use super::super::signature::{Scheme, Signature};
    use super::*;

    const SECRET: &str = "SKEXAMPLE000000000000000000000000000000";
    const AUTHORIZATION: &str = "Access=AKEXAMPLE0000000000, SignedHeaders=content-type;host;user-agent;x-project-id;x-sdk-date, Signature=5bc79bcb48630193d2bd46ed2028a55356158892408152efd935935ccabe2ecc";
    const BODY: &str = r#"{"name": "sdk_438b9d10d748", "description": "\u7d22\u5f15\u5907\u4efd", "indices": "*"}"#;

    fn uri() -> Uri {
        "/v1.0/6204a5bd270343b5885144cf9c8c158d/clusters/ea244205-d641-45d9-9dcb-ab2236bcd07e/index_snapshot"
            .parse()
            .unwrap()
    }

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (
                "user-agent",
                "huaweicloud-usdk-python/3.0; os/Linux##1_SMP_PREEMPT_DYNAMIC_@0#x86_64 python/3.11.7 impl/CPython; app/49d53dc9-684e-4e10-b87c-56b7fc96e10b",
            ),
            ("content-type", "application/json"),
            ("x-project-id", "6204a5bd270343b5885144cf9c8c158d"),
            ("x-sdk-date", "20261121T060725Z"),
            ("host", "127.0.0.1:18431"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_request_captured_from_the_real_client_is_recognised() {
        let (uri, headers) = (uri(), headers());
        let request = Signed {
            method: &Method::POST,
            uri: &uri,
            headers: &headers,
            body: BODY.as_bytes(),
        };
        let signature = Signature::parse(Scheme::SdkHmac, AUTHORIZATION).unwrap();
        assert_eq!(signature.access_key, "AKEXAMPLE0000000000");
        assert_eq!(
            sha256_hex(BODY.as_bytes()),
            "ad39fb39307440271279d681ef769e96816f5751515285e43cc11037fceebb0b"
        );
        let canonical = canonical(signature.names, request).unwrap();
        assert_eq!(
            sha256_hex(canonical.as_bytes()),
            "e97e007c8eab75ee6994d2ccfb42197618e98ebb4bcce95c1d59aee2bfb234bb"
        );
        assert!(signature.is_by(SECRET, request));
    }

    #[test]
    fn whatever_is_changed_breaks_the_signature() {
        let signature = Signature::parse(Scheme::SdkHmac, AUTHORIZATION).unwrap();
        let is_by = |secret: &str, method: Method, uri: &Uri, headers: &HeaderMap, body: &str| {
            let request = Signed {
                method: &method,
                uri,
                headers,
                body: body.as_bytes(),
            };
            signature.is_by(secret, request)
        };
        let (uri, headers) = (uri(), headers());
        assert!(is_by(SECRET, Method::POST, &uri, &headers, BODY));
        assert!(!is_by("another", Method::POST, &uri, &headers, BODY));
        assert!(!is_by(SECRET, Method::PUT, &uri, &headers, BODY));
        assert!(!is_by(
            SECRET,
            Method::POST,
            &"/other".parse().unwrap(),
            &headers,
            BODY
        ));
        assert!(!is_by(SECRET, Method::POST, &uri, &headers, "{}"));
        for name in ["host", "x-sdk-date", "x-project-id", "user-agent"] {
            let mut changed = headers.clone();
            changed.insert(name, "20261121T060726Z".parse().unwrap());
            assert!(!is_by(SECRET, Method::POST, &uri, &changed, BODY), "{name}");
            changed.remove(name);
            assert!(!is_by(SECRET, Method::POST, &uri, &changed, BODY), "{name}");
        }
    }

    #[test]
    fn a_hash_in_a_header_must_be_that_of_the_body_unless_it_says_that_there_is_none() {
        let uri = uri();
        let hash_of = |header: &str, body: &str| {
            let mut headers = headers();
            headers.insert(CONTENT_HASH, header.parse().unwrap());
            let request = Signed {
                method: &Method::POST,
                uri: &uri,
                headers: &headers,
                body: body.as_bytes(),
            };
            body_hash(request)
        };
        let right = sha256_hex(b"x");
        assert_eq!(hash_of(&right, "x"), Some(right.clone()));
        assert_eq!(hash_of(&right, "y"), None);
        assert_eq!(hash_of(UNSIGNED, "y").as_deref(), Some(UNSIGNED));
    }

    #[test]
    fn a_signature_is_good_for_fifteen_minutes_before_and_after() {
        let signature = Signature::parse(Scheme::SdkHmac, AUTHORIZATION).unwrap();
        let headers = headers();
        for (now, expected) in [
            ("2026-11-21T06:07:25Z", true),
            ("2026-11-21T06:22:25Z", true),
            ("2026-11-21T06:22:26Z", false),
            ("2026-11-21T05:52:25Z", true),
            ("2026-11-21T05:52:24Z", false),
        ] {
            assert_eq!(signature.is_fresh(&headers, at(now)), expected, "{now}");
        }
        let mut undated = headers.clone();
        undated.insert("x-sdk-date", "yesterday".parse().unwrap());
        assert!(!signature.is_fresh(&undated, at("2026-11-21T06:07:25Z")));
    }

    #[test]
    fn host_and_date_must_be_covered() {
        let text = AUTHORIZATION.replace(";host", "");
        let (uri, headers) = (uri(), headers());
        let request = Signed {
            method: &Method::POST,
            uri: &uri,
            headers: &headers,
            body: b"",
        };
        let signature = Signature::parse(Scheme::SdkHmac, &text).unwrap();
        assert_eq!(canonical(signature.names, request), None);
    }

    #[test]
    fn an_escaped_slash_separates_as_a_plain_one() {
        assert_eq!(path("/a%2Fb c"), "/a/b%20c/");
        assert_eq!(path("/"), "/");
        assert_eq!(path("/%E4%BD%A0/"), "/%E4%BD%A0/");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = Signature::parse(Scheme::SdkHmac, &text);
        }

        #[test]
        fn escaping_of_the_path_does_not_matter(pieces in prop::collection::vec("[a-z~_.é -]{0,4}", 0..4)) {
            let plain = format!("/{}", pieces.join("/"));
            let escaped: String = plain.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(path(&plain), path(&escaped));
        }
    }
}
