//! What a request presents to prove who makes it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::dialect::Dialect;
use super::signature::{Scheme, Signature};
use super::{acs3, sdk_hmac};

/// Longest header that is looked at, bytes.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// `Authorization` headers looked at: some clients add a new one beside a stale one.
const MAX_HEADERS: usize = 4;

/// One way in which a request says who makes it.
#[derive(Debug)]
pub(super) enum Presented<'a> {
    /// Name and password.
    Basic(Pair),
    /// Id and key.
    ApiKey(Pair),
    /// A token that the server issued.
    Token(&'a str),
    /// A signature of the request.
    Signature(Signature<'a>),
    /// Something that cannot be read, or is not taken here.
    Unreadable,
}

/// Two texts with a colon between them, of which the second is secret.
pub(super) struct Pair(Zeroizing<String>, usize);

impl Pair {
    fn new(text: Zeroizing<String>) -> Option<Self> {
        let colon = text.find(':')?;
        Some(Self(text, colon))
    }

    fn decode(encoded: &str) -> Option<Self> {
        let encoded = encoded.trim();
        let bytes = STANDARD
            .decode(encoded)
            .or_else(|_| STANDARD_NO_PAD.decode(encoded))
            .ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Self::new(Zeroizing::new(text))
    }

    /// Before the colon.
    pub(super) fn id(&self) -> &str {
        &self.0[..self.1]
    }

    /// After it.
    pub(super) fn secret(&self) -> &str {
        &self.0[self.1 + 1..]
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:…", self.id())
    }
}

/// Everything that is presented, to be tried in this order; empty when there is nothing.
pub(super) fn presented(dialect: Dialect, headers: &HeaderMap) -> Vec<Presented<'_>> {
    let mut all = Vec::new();
    if dialect == Dialect::Huawei
        && let Some(token) = headers.get("x-auth-token")
    {
        all.push(
            token
                .to_str()
                .map_or(Presented::Unreadable, Presented::Token),
        );
    }
    for value in headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .take(MAX_HEADERS)
    {
        let text = value.to_str().unwrap_or_default();
        all.push(match text.len() <= MAX_HEADER_BYTES {
            true => read(dialect, text).unwrap_or(Presented::Unreadable),
            false => Presented::Unreadable,
        });
    }
    all
}

fn read(dialect: Dialect, text: &str) -> Option<Presented<'_>> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => Pair::decode(rest).map(Presented::Basic),
        "apikey" => Pair::decode(rest).map(Presented::ApiKey),
        "bearer" => Some(bearer(rest)),
        _ if scheme == sdk_hmac::SCHEME && dialect == Dialect::Huawei => {
            Signature::parse(Scheme::SdkHmac, rest).map(Presented::Signature)
        }
        _ if scheme == acs3::SCHEME && dialect == Dialect::Alibaba => {
            Signature::parse(Scheme::Acs3, rest).map(Presented::Signature)
        }
        _ => None,
    }
}

/// An API key, encoded or as `id:key`; anything else is a token.
fn bearer(text: &str) -> Presented<'_> {
    let plain = Pair::new(Zeroizing::new(text.to_owned()));
    match plain.or_else(|| Pair::decode(text)) {
        Some(pair) => Presented::ApiKey(pair),
        None => Presented::Token(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(dialect: Dialect, values: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, value.parse().unwrap());
        }
        format!("{:?}", presented(dialect, &headers))
    }

    #[test]
    fn each_scheme_is_told_from_the_others_and_secrets_are_not_shown() {
        let es = Dialect::Elasticsearch;
        // alice:secret
        assert_eq!(
            shown(es, &[("authorization", "Basic YWxpY2U6c2VjcmV0")]),
            "[Basic(alice:…)]"
        );
        assert_eq!(
            shown(es, &[("authorization", "basic  YWxpY2U6c2VjcmV0 ")]),
            "[Basic(alice:…)]"
        );
        assert_eq!(
            shown(es, &[("authorization", "ApiKey YWxpY2U6c2VjcmV0")]),
            "[ApiKey(alice:…)]"
        );
        assert_eq!(
            shown(es, &[("authorization", "Bearer YWxpY2U6c2VjcmV0")]),
            "[ApiKey(alice:…)]"
        );
        assert_eq!(
            shown(es, &[("authorization", "Bearer alice:secret")]),
            "[ApiKey(alice:…)]"
        );
        assert_eq!(
            shown(es, &[("authorization", "Bearer abc_def")]),
            "[Token(\"abc_def\")]"
        );
        assert_eq!(shown(es, &[]), "[]");
        for wrong in [
            "Basic",
            "Basic %%%",
            "Basic YWxpY2U=",
            "Digest x",
            "ACS3-HMAC-SHA256 Credential=a",
        ] {
            assert_eq!(
                shown(es, &[("authorization", wrong)]),
                "[Unreadable]",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_colon_may_stand_in_a_password() {
        let pair = Pair::decode(&STANDARD.encode("a:b:c")).unwrap();
        assert_eq!((pair.id(), pair.secret()), ("a", "b:c"));
    }

    #[test]
    fn signatures_are_taken_where_they_belong() {
        let huawei = "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=00";
        let text = shown(
            Dialect::Huawei,
            &[("authorization", huawei), ("x-auth-token", "t")],
        );
        assert!(
            text.starts_with("[Token(\"t\"), Signature(Signature { scheme: SdkHmac"),
            "{text}"
        );
        let alibaba = "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host,Signature=00";
        assert!(
            shown(Dialect::Alibaba, &[("authorization", alibaba)])
                .starts_with("[Signature(Signature { scheme: Acs3")
        );
        assert_eq!(
            shown(
                Dialect::Weaviate,
                &[("authorization", huawei), ("x-auth-token", "t")]
            ),
            "[Unreadable]"
        );
    }

    #[test]
    fn a_second_header_is_looked_at_too() {
        let both = [
            ("authorization", "Bearer stale"),
            ("authorization", "Bearer fresh"),
        ];
        assert_eq!(
            shown(Dialect::Elasticsearch, &both),
            "[Token(\"stale\"), Token(\"fresh\")]"
        );
    }
}
