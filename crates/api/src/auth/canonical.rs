//! What the signature schemes of the clouds have in common.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Most headers that a signature may cover.
pub(super) const MAX_SIGNED_HEADERS: usize = 100;

/// RFC 3986: letters, digits and `-_.~` stay.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What a signature covers, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// Path and query.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body as it was sent.
    pub body: &'a [u8],
}

/// Percent-encodes everything but unreserved characters.
pub(super) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// Decodes percent escapes; a `+` stays one.
pub(super) fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// The parameters, encoded anew and sorted by name, then value.
pub(super) fn query(uri: &Uri) -> String {
    let mut pairs: Vec<(String, String)> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(&decode(name)), encode(&decode(value)))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// `name:value` lines of the signed headers, in the order of the list; none when one of them was not sent.
pub(super) fn header_lines(request: Signed<'_>, names: &[&str]) -> Option<String> {
    let mut lines = String::new();
    for name in names {
        lines.push_str(name);
        lines.push(':');
        lines.push_str(header(request, name)?.trim());
        lines.push('\n');
    }
    Some(lines)
}

fn header<'a>(request: Signed<'a>, name: &str) -> Option<&'a str> {
    let value = request.headers.get(name.parse::<HeaderName>().ok()?);
    match value {
        Some(value) => value.to_str().ok(),
        // In HTTP/2 the host is a part of the address.
        None if name == "host" => request.uri.authority().map(|authority| authority.as_str()),
        None => None,
    }
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hmac_hex(secret: &str, text: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(hex(&mac.finalize().into_bytes()))
}

/// Compares without telling by its duration where the difference is.
pub(super) fn is_same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `a;b;c` as names; none when it is empty or longer than anybody needs.
pub(super) fn signed_headers(list: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = list.split(';').collect();
    let is_sane = names.len() <= MAX_SIGNED_HEADERS && names.iter().all(|name| !name.is_empty());
    is_sane.then_some(names)
}

/// `Key=value, Key=value` after the name of the scheme.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_sorted_by_name_then_value() {
        let uri: Uri = "/p?b=2&a=%2f&a=1&c&&B=x+y".parse().unwrap();
        assert_eq!(query(&uri), "B=x%2By&a=%2F&a=1&b=2&c=");
        assert_eq!(query(&"/p".parse().unwrap()), "");
    }

    #[test]
    fn a_header_that_was_not_sent_cannot_be_signed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", " 1 ".parse().unwrap());
        let uri: Uri = "http://h:80/".parse().unwrap();
        let request = Signed {
            method: &http::Method::GET,
            uri: &uri,
            headers: &headers,
            body: b"",
        };
        let lines = header_lines(request, &["host", "x-a"]);
        assert_eq!(lines.as_deref(), Some("host:h:80\nx-a:1\n"));
        assert_eq!(header_lines(request, &["x-b"]), None);
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), bytes);
        }

        #[test]
        fn the_order_and_escaping_of_parameters_do_not_matter(mut pairs in prop::collection::vec(("[a-c ]{1,2}", "[a-c/+]{0,2}"), 0..6)) {
            let written = |pairs: &[(String, String)], is_escaped: bool| {
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| {
                    let plain = |text: &str| text.replace(' ', "%20");
                    match is_escaped {
                        true => format!("{}={}", encode(name.as_bytes()), encode(value.as_bytes())),
                        false => format!("{}={}", plain(name), plain(value)),
                    }
                }).collect();
                format!("/?{}", pairs.join("&")).parse::<Uri>().unwrap()
            };
            let first = query(&written(&pairs, true));
            pairs.reverse();
            prop_assert_eq!(first, query(&written(&pairs, false)));
        }
    }
}
