//! Durations such as `30d`, as text and in milliseconds.

use http::StatusCode;

use crate::native::problem::{Answer, Refusal};
use crate::shared::units::{exact_millis, parse_time};

/// Reads a duration; `field` is where it stands.
pub fn millis(field: &str, text: &str) -> Answer<i64> {
    let read = parse_time(text).ok().flatten();
    let millis = read.and_then(|duration| i64::try_from(duration.as_millis()).ok());
    millis.filter(|millis| *millis > 0).ok_or_else(|| {
        let message = format!("{field} is [{text}], which is no duration");
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_duration", message)
            .hint("write a whole number and a unit: 30d, 12h, 90m, 10s")
    })
}

/// Like [`millis`] for something that may be missing.
pub fn optional(field: &str, text: Option<&str>) -> Answer<Option<i64>> {
    text.map(|text| millis(field, text)).transpose()
}

/// The text that [`millis`] reads.
pub fn text(millis: i64) -> String {
    exact_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_and_positive() {
        assert_eq!(millis("lock", "7d").unwrap(), 7 * 86_400_000);
        for text in ["", "7", "-1", "0s", "1.5h", "soon"] {
            assert!(millis("lock", text).is_err(), "{text}");
        }
    }
}
