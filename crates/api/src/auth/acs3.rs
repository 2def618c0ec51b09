//! `ACS3-HMAC-SHA256`, the signature of Alibaba Cloud's SDKs.
//!
//! As that of Huawei, with these differences: the path is taken as it was sent, the date is in `x-acs-date` (ISO 8601) and stands among the
//! headers only, and the hash of the body in `x-acs-content-sha256` is always there.

use http::HeaderMap;

use super::canonical::{
    Signed, WINDOW_MS, field, header_lines, hmac_hex, is_same, query, sha256_hex, signed_headers,
};

/// The scheme's name in `Authorization`.
pub const SCHEME: &str = "ACS3-HMAC-SHA256";
const CONTENT_HASH: &str = "x-acs-content-sha256";
const DATE: &str = "x-acs-date";

/// A signature as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The access key.
    pub access_key: &'a str,
    names: &'a str,
    signature: &'a str,
}

/// Reads what follows the name of the scheme.
pub fn parse(text: &str) -> Option<Signature<'_>> {
    Some(Signature {
        access_key: field(text, "Credential")?,
        names: field(text, "SignedHeaders")?,
        signature: field(text, "Signature")?,
    })
}

impl Signature<'_> {
    /// Whether the request's date lies within 15 minutes of now.
    pub fn is_fresh(&self, headers: &HeaderMap, now_ms: i64) -> bool {
        headers
            .get(DATE)
            .and_then(|date| date.to_str().ok()?.parse::<jiff::Timestamp>().ok())
            .is_some_and(|at| (now_ms - at.as_millisecond()).abs() <= WINDOW_MS)
    }

    /// Whether `secret` made this signature of this request, and the body is the one it speaks of.
    pub fn is_by(&self, secret: &str, request: Signed<'_>) -> bool {
        self.expected(secret, request)
            .is_some_and(|expected| is_same(&expected, &self.signature.to_ascii_lowercase()))
    }

    fn expected(&self, secret: &str, request: Signed<'_>) -> Option<String> {
        let names = signed_headers(self.names)?;
        if !["host", DATE, CONTENT_HASH]
            .iter()
            .all(|name| names.contains(name))
        {
            return None;
        }
        let hash = request.headers.get(CONTENT_HASH)?.to_str().ok()?;
        if !is_same(&sha256_hex(request.body), &hash.to_ascii_lowercase()) {
            return None;
        }
        let canonical = format!(
            "{}\n{}\n{}\n{}\n{}\n{hash}",
            request.method,
            request.uri.path(),
            query(request.uri),
            header_lines(request, &names)?,
            self.names
        );
        hmac_hex(
            secret,
            &format!("{SCHEME}\n{}", sha256_hex(canonical.as_bytes())),
        )
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use proptest::prelude::*;

    use super::*;

    const NAMES: &str = "host;x-acs-action;x-acs-content-sha256;x-acs-date";

    fn request_parts(body: &str) -> (Uri, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "127.0.0.1:9250"),
            ("x-acs-action", "CreateSnapshot"),
            ("x-acs-date", "2026-11-21T06:07:25Z"),
            ("x-acs-content-sha256", sha256_hex(body.as_bytes()).as_str()),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let uri = "/openapi/instances/es-cn-1/snapshots?ClientToken=a%20b";
        (uri.parse().unwrap(), headers)
    }

    /// Written down by hand from the description, so that the code is not compared with itself.
    fn by_hand(secret: &str, body: &str) -> String {
        let hash = sha256_hex(body.as_bytes());
        let canonical = format!(
            "POST\n/openapi/instances/es-cn-1/snapshots\nClientToken=a%20b\nhost:127.0.0.1:9250\nx-acs-action:CreateSnapshot\nx-acs-content-sha256:{hash}\nx-acs-date:2026-11-21T06:07:25Z\n\n{NAMES}\n{hash}"
        );
        hmac_hex(
            secret,
            &format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes())),
        )
        .unwrap()
    }

    #[test]
    fn a_signed_request_is_recognised_and_a_changed_one_is_not() {
        let text = format!(
            "Credential=AK,SignedHeaders={NAMES},Signature={}",
            by_hand("secret", "{}")
        );
        let signature = parse(&text).unwrap();
        assert_eq!(signature.access_key, "AK");
        let (uri, headers) = request_parts("{}");
        let is_by = |secret: &str, body: &str, uri: &Uri, headers: &HeaderMap| {
            let request = Signed {
                method: &Method::POST,
                uri,
                headers,
                body: body.as_bytes(),
            };
            signature.is_by(secret, request)
        };
        assert!(is_by("secret", "{}", &uri, &headers));
        assert!(!is_by("secreT", "{}", &uri, &headers));
        assert!(!is_by("secret", "{ }", &uri, &headers));
        assert!(!is_by(
            "secret",
            "{}",
            &"/openapi".parse().unwrap(),
            &headers
        ));
        for name in ["host", "x-acs-action", "x-acs-date", "x-acs-content-sha256"] {
            let mut changed = headers.clone();
            changed.insert(name, "x".parse().unwrap());
            assert!(!is_by("secret", "{}", &uri, &changed), "{name}");
        }
    }

    #[test]
    fn a_signature_is_good_for_fifteen_minutes() {
        let signature = parse("Credential=AK,SignedHeaders=host,Signature=0").unwrap();
        let (_, headers) = request_parts("");
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert!(signature.is_fresh(&headers, at("2026-11-21T06:22:25Z")));
        assert!(!signature.is_fresh(&headers, at("2026-11-21T06:22:26Z")));
        assert!(!signature.is_fresh(&HeaderMap::new(), 0));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
