//! Byte sizes and rates as the `_snapshot` API writes them (`contracts/elasticsearch.md` §3).
//!
//! A number and one of `b|k|kb|m|mb|g|gb|t|tb|p|pb`, in any case, powers of 1024, blanks around it allowed. `0` and `-1` stand
//! alone without unit. `b` takes whole numbers only; the others accept a fraction (`1.5mb`).

/// What is wrong with a byte size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// No unit, or one that does not exist.
    #[error("unit is missing or unrecognized")]
    Unit,
    /// The number cannot be understood.
    #[error("not a number")]
    Number,
    /// Less than −1.
    #[error("values less than -1 bytes are not supported")]
    Negative,
    /// More than 2⁶³−1 bytes.
    #[error("values greater than 9223372036854775807 bytes are not supported")]
    TooLarge,
}

const UNITS: [(&str, u64); 11] = [
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
    ("pb", 1 << 50),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("p", 1 << 50),
    ("b", 1),
];

/// Parses a size; −1 is what the API uses for "none".
pub fn parse(text: &str) -> Result<i64, ByteSizeError> {
    let text = text.trim().to_ascii_lowercase();
    if text == "0" || text == "-1" {
        return Ok(if text == "0" { 0 } else { -1 });
    }
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| {
            text.strip_suffix(unit)
                .map(|number| (number.trim(), *factor))
        })
        .ok_or(ByteSizeError::Unit)?;
    if let Ok(whole) = number.parse::<i64>() {
        if whole < -1 || (whole == -1 && factor > 1) {
            return Err(ByteSizeError::Negative);
        }
        let factor = i64::try_from(factor).map_err(|_| ByteSizeError::TooLarge)?;
        return whole.checked_mul(factor).ok_or(ByteSizeError::TooLarge);
    }
    let plain_decimal = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if factor == 1 || !plain_decimal {
        return Err(ByteSizeError::Number);
    }
    let fraction: f64 = number.parse().map_err(|_| ByteSizeError::Number)?;
    if fraction < 0.0 {
        return Err(ByteSizeError::Negative);
    }
    let bytes = fraction * factor as f64;
    if bytes >= i64::MAX as f64 {
        Err(ByteSizeError::TooLarge)
    } else {
        Ok(bytes as i64)
    }
}

/// Parses a rate: bytes per second, none = unlimited (0 and below).
pub fn parse_rate(text: &str) -> Result<Option<u64>, ByteSizeError> {
    Ok(u64::try_from(parse(text)?).ok().filter(|rate| *rate > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024_in_any_case() {
        assert_eq!(parse("20mb"), Ok(20 << 20));
        assert_eq!(parse(" 5 KB "), Ok(5 << 10));
        assert_eq!(parse("1g"), Ok(1 << 30));
        assert_eq!(parse("7b"), Ok(7));
        assert_eq!(parse("1.5mb"), Ok(3 << 19));
    }

    #[test]
    fn zero_and_minus_one_need_no_unit() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("-1"), Ok(-1));
        assert_eq!(parse_rate("0"), Ok(None));
        assert_eq!(parse_rate("-1"), Ok(None));
        assert_eq!(parse_rate("40mb"), Ok(Some(40 << 20)));
    }

    #[test]
    fn anything_else_is_an_error_that_says_why() {
        assert_eq!(parse("50"), Err(ByteSizeError::Unit));
        assert_eq!(parse(""), Err(ByteSizeError::Unit));
        assert_eq!(parse("5xb"), Err(ByteSizeError::Number));
        assert_eq!(parse("1.5b"), Err(ByteSizeError::Number));
        assert_eq!(parse("-5mb"), Err(ByteSizeError::Negative));
        assert_eq!(parse("infmb"), Err(ByteSizeError::Number));
        assert_eq!(parse("99999999pb"), Err(ByteSizeError::TooLarge));
        assert_eq!(
            parse("50").unwrap_err().to_string(),
            "unit is missing or unrecognized"
        );
    }
}
