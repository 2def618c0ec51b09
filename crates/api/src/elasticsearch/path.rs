//! Paths and query strings: split while still percent-encoded, then decoded.

use percent_encoding::percent_decode_str;

use super::errors::EsError;

/// Segments of a raw path, decoded. Empty segments (doubled or trailing slashes) do not count.
///
/// # Errors
/// 400 when a percent escape is cut off or is no UTF-8.
pub fn segments(raw_path: &str) -> Result<Vec<String>, EsError> {
    raw_path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| decode(segment, false))
        .collect()
}

/// Pairs of a query string in order; a name without `=` has the empty value.
///
/// # Errors
/// 400 when a percent escape is cut off or is no UTF-8.
pub fn query_pairs(query: &str) -> Result<Vec<(String, String)>, EsError> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        })
        .filter(|pair| pair.as_ref().map_or(true, |(name, _)| !name.is_empty()))
        .collect()
}

/// In a query a plus sign is a space, in a path it is itself.
fn decode(text: &str, plus_is_space: bool) -> Result<String, EsError> {
    let bytes = text.as_bytes();
    for (position, byte) in bytes.iter().enumerate() {
        if *byte != b'%' {
            continue;
        }
        let escape = bytes.get(position + 1..position + 3);
        if escape.is_none() {
            return Err(EsError::illegal_argument(format!(
                "unterminated escape sequence at end of string: {text}"
            )));
        }
        if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(EsError::illegal_argument(format!(
                "invalid hex byte at index {} of string: {text}",
                position + 1
            )));
        }
    }
    let spaced = if plus_is_space {
        text.replace('+', " ")
    } else {
        text.to_owned()
    };
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|decoded| decoded.into_owned())
        .map_err(|_| EsError::illegal_argument(format!("invalid UTF-8 in escaped string: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_counted_before_decoding() {
        assert_eq!(
            segments("//_snapshot//r%2Fx/a+b/").unwrap(),
            ["_snapshot", "r/x", "a+b"]
        );
        assert!(segments("/").unwrap().is_empty());
    }

    #[test]
    fn queries_turn_plus_into_space() {
        let pairs = query_pairs("a=x+y&pretty&b=%3Cs%3E&&=z").unwrap();
        let expected =
            [("a", "x y"), ("pretty", ""), ("b", "<s>")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs, expected);
    }

    #[test]
    fn broken_escapes_are_refused() {
        assert!(segments("/a%2").is_err());
        assert!(segments("/a%zz").is_err());
        assert!(segments("/a%ff").is_err());
    }
}
