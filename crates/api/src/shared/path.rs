//! Paths and queries of control-plane dialects, taken apart and decoded.

use percent_encoding::percent_decode_str;

/// The pieces between the slashes, decoded, without empty ones at either end.
pub fn segments(path: &str) -> Vec<String> {
    let trimmed = path.trim_matches('/');
    trimmed
        .split('/')
        .map(|piece| percent_decode_str(piece).decode_utf8_lossy().into_owned())
        .collect()
}

/// A parameter of a query, decoded; of several the first.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    pairs(query).find_map(|(key, value)| (key == name).then_some(value))
}

/// The names and values of a query or form, decoded, in their order.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query.split('&').map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_decoded_after_they_were_parted() {
        assert_eq!(
            segments("/v1.0/%7Bproject_id%7D/a%2Fb/"),
            ["v1.0", "{project_id}", "a/b"]
        );
    }

    #[test]
    fn the_first_of_several_parameters_counts() {
        assert_eq!(parameter("a=1&b=x+y%26z&b=2", "b").unwrap(), "x y&z");
        assert_eq!(parameter("a&b", "a").unwrap(), "");
        assert_eq!(parameter("", "a"), None);
    }
}
