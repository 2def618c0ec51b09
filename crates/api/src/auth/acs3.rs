//! `ACS3-HMAC-SHA256`, the signature of Alibaba Cloud's SDKs.
//!
//! As that of Huawei, with these differences: the path is taken as it was sent, the date is in `x-acs-date` (ISO 8601) and stands among the
//! headers only, and the hash of the body in `x-acs-content-sha256` is always there.

use http::HeaderMap;

use super::canonical::{
    Signed, header_lines, hmac_hex, is_same, query, sha256_hex, signed_headers,
};

/// The scheme's name in `Authorization`.
pub const SCHEME: &str = "ACS3-HMAC-SHA256";
const CONTENT_HASH: &str = "x-acs-content-sha256";
const DATE: &str = "x-acs-date";

/// When the request says it was made, ms since 1970.
pub(super) fn date_ms(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let at: jiff::Timestamp = date.parse().ok()?;
    Some(at.as_millisecond())
}

/// The signature that `secret` makes of a request, covering these headers; none when it covers too little, or another body.
pub(super) fn expected(names: &str, secret: &str, request: Signed<'_>) -> Option<String> {
    let listed = signed_headers(names)?;
    let covered = ["host", DATE, CONTENT_HASH];
    if !covered.iter().all(|name| listed.contains(name)) {
        return None;
    }
    let hash = request.headers.get(CONTENT_HASH)?.to_str().ok()?;
    if !is_same(&sha256_hex(request.body), &hash.to_ascii_lowercase()) {
        return None;
    }
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{names}\n{hash}",
        request.method,
        request.uri.path(),
        query(request.uri),
        header_lines(request, &listed)?,
    );
    hmac_hex(
        secret,
        &format!("{SCHEME}\n{}", sha256_hex(canonical.as_bytes())),
    )
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use proptest::prelude::*;

    use super::super::signature::{Scheme, Signature};
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
        let signature = Signature::parse(Scheme::Acs3, &text).unwrap();
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
        let text = "Credential=AK,SignedHeaders=host,Signature=0";
        let signature = Signature::parse(Scheme::Acs3, text).unwrap();
        let (_, headers) = request_parts("");
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert!(signature.is_fresh(&headers, at("2026-11-21T06:22:25Z")));
        assert!(!signature.is_fresh(&headers, at("2026-11-21T06:22:26Z")));
        assert!(!signature.is_fresh(&HeaderMap::new(), 0));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = Signature::parse(Scheme::Acs3, &text);
        }
    }
}
