//! What values may look like. Lengths count characters, not bytes.

use super::errors::{CssError, Fault};

/// Characters that expressions for indices must not have, beside blanks and upper-case letters.
const INDICES_FORBIDDEN: &[char] = &['"', '\\', '<', '|', '>', '/', '?'];
/// The same for the pair that renames.
const RENAME_FORBIDDEN: &[char] = &['"', '\\', '<', '|', '>', '/', '?', ','];
/// Characters that the path in a bucket must not have.
const PATH_FORBIDDEN: &[char] = &['\\', ':', '*', '?', '"', '<', '>', '|', '\'', '{', '}'];
const MAX_EXPRESSION_CHARS: usize = 1024;
const MAX_DESCRIPTION_CHARS: usize = 256;
const MAX_PATH_CHARS: usize = 1023;

/// A name: 4 to 64 characters, lower-case letters, digits, `-` and `_`, beginning with a letter.
pub fn snapshot_name(name: &str) -> Result<(), CssError> {
    if is_name(name, 4, 64) {
        return Ok(());
    }
    Err(Fault::invalid(
        "name",
        "4 to 64 lower-case letters, digits, - and _, beginning with a letter",
    ))
}

/// The prefix of automatic names: the same with 1 to 32 characters.
pub fn prefix(prefix: &str) -> Result<(), CssError> {
    if is_name(prefix, 1, 32) {
        return Ok(());
    }
    Err(Fault::InvalidPrefix.because(
        "prefix is invalid: 1 to 32 lower-case letters, digits, - and _, beginning with a letter",
    ))
}

fn is_name(name: &str, min: usize, max: usize) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (min..=max).contains(&name.chars().count())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
}

/// Up to 256 characters without `<` and `>`.
pub fn description(text: &str) -> Result<(), CssError> {
    if text.chars().count() > MAX_DESCRIPTION_CHARS {
        return Err(Fault::invalid("description", "at most 256 characters"));
    }
    if text.contains(['<', '>']) {
        return Err(Fault::invalid("description", "it must not contain < or >"));
    }
    Ok(())
}

/// An expression for indices: up to 1024 characters, no blank, no upper-case letter, none of `" \ < | > / ?`.
pub fn indices(expression: &str) -> Result<(), CssError> {
    self::expression("indices", expression, INDICES_FORBIDDEN)
}

/// Half of the pair that renames indices in a restore; `name` is its key.
pub fn rename(name: &str, expression: &str) -> Result<(), CssError> {
    self::expression(name, expression, RENAME_FORBIDDEN)
}

fn expression(name: &str, text: &str, forbidden: &[char]) -> Result<(), CssError> {
    if text.chars().count() > MAX_EXPRESSION_CHARS {
        return Err(Fault::invalid(name, "at most 1024 characters"));
    }
    if text.contains(' ') || text.contains(char::is_uppercase) {
        return Err(Fault::invalid(
            name,
            "it must not contain blanks or upper-case letters",
        ));
    }
    if let Some(c) = text.chars().find(|c| forbidden.contains(c)) {
        return Err(Fault::invalid(name, &format!("it must not contain {c}")));
    }
    Ok(())
}

/// The name of a bucket: 3 to 63 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit.
pub fn bucket(name: &str) -> Result<(), CssError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = (3..=63).contains(&name.chars().count())
        && name.chars().all(|c| plain(c) || c == '-' || c == '.')
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("..");
    if valid {
        return Ok(());
    }
    Err(Fault::invalid(
        "bucket",
        "3 to 63 lower-case letters, digits, - and ., beginning and ending with a letter or digit",
    ))
}

/// The name of an agency: letters, digits, `-` and `_`.
pub fn agency(name: &str) -> Result<(), CssError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 256 && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Fault::InvalidAgency.because("agency is invalid: letters, digits, - and _"))
}

/// The path of snapshots in a bucket.
pub fn base_path(path: &str) -> Result<(), CssError> {
    let invalid = |rule: &str| Err(Fault::invalid("basePath", rule));
    if path.is_empty() {
        return Err(Fault::InvalidParameter.because("base path is empty"));
    }
    if path.chars().count() > MAX_PATH_CHARS {
        return invalid("at most 1023 characters");
    }
    if path.contains(PATH_FORBIDDEN) || path.contains(char::is_control) {
        return invalid("it must not contain \\ : * ? \" < > | ' { }");
    }
    if path.starts_with('/') || path.starts_with('.') || path.ends_with('.') {
        return invalid("it must not begin with / or . nor end with .");
    }
    if path.contains("///") || path.contains("...") || path.split('/').any(|part| part == "..") {
        return invalid("it must not contain more than two / or . in a row, nor .. as a folder");
    }
    Ok(())
}

/// A rate: `0` or `-1` (no limit), or up to four digits with a unit.
pub fn rate(name: &str, text: &str) -> Result<(), CssError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let in_range = text == "-1" || text == "0" || (1..=4).contains(&digits);
    if in_range && snapkeep_engine::bytesize::parse_rate(text).is_ok() {
        return Ok(());
    }
    Err(Fault::invalid(
        name,
        "0, -1, or 0 to 9999 with a unit: k kb m mb g gb t tb p pb b",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_the_source_document() {
        for name in ["snapshot_001", "abcd", "a-_9", &"a".repeat(64)] {
            assert!(snapshot_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "abc",
            "Abcd",
            "abCd",
            "1abc",
            "_abc",
            "-abc",
            "ab.c",
            "ab c",
            "äbcd",
            "abc\n",
            "快照名称",
            &"a".repeat(65),
        ] {
            assert_eq!(
                snapshot_name(name).unwrap_err().fault,
                Fault::InvalidParameter,
                "{name}"
            );
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(description(&"索".repeat(256)).is_ok());
        assert!(description(&"索".repeat(257)).is_err());
        assert!(indices(&"索".repeat(1024)).is_ok());
        assert!(indices(&"索".repeat(1025)).is_err());
        assert!(description("").is_ok() && indices("").is_ok());
    }

    #[test]
    fn descriptions_refuse_angle_brackets_and_nothing_else() {
        assert!(description("备份 & \"this\" = 'that'!").is_ok());
        assert!(description("a<b").is_err() && description("a>b").is_err());
    }

    #[test]
    fn indices_refuse_exactly_what_the_source_names() {
        for good in [
            "myindex1,myindex2",
            "2018-06*",
            "*",
            ".kibana",
            "a,-b",
            "索引",
            "a#b:c",
        ] {
            assert!(indices(good).is_ok(), "{good}");
        }
        for c in [' ', '"', '\\', '<', '|', '>', '/', '?', 'A'] {
            assert!(indices(&format!("a{c}b")).is_err(), "{c}");
        }
        assert!(rename("renamePattern", "index_(.+)").is_ok());
        assert!(rename("renamePattern", "a,b").is_err());
    }

    #[test]
    fn paths_agencies_and_rates_have_rules_of_their_own() {
        for good in ["css_repository/Es-name", "a//b", "a..b", "a"] {
            assert!(base_path(good).is_ok(), "{good}");
        }
        for bad in [
            "", "/a", ".a", "a.", "a///b", "a...b", "a/../b", "a:b", "a{b",
        ] {
            assert!(base_path(bad).is_err(), "{bad}");
        }
        assert!(agency("css_obs-Agency1").is_ok());
        assert_eq!(agency("a b").unwrap_err().fault, Fault::InvalidAgency);
        for good in ["0", "-1", "40mb", "40MB", "8191p", "0MB", "1 k"] {
            assert!(rate("r", good).is_ok(), "{good}");
        }
        for bad in ["", "1", "10000mb", "-5mb", "mb", "1x", "40 miles"] {
            assert!(rate("r", bad).is_err(), "{bad}");
        }
        assert!(bucket("obs-es-backup1532662640948").is_ok());
        for bad in ["ab", "-abc", "abc-", "Abc", "a_c", "a..b"] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_valid_exactly_when_the_expression_matches(name in "[a-zA-Z0-9_. -]{0,70}") {
            let bytes = name.as_bytes();
            let expected = (4..=64).contains(&bytes.len())
                && bytes[0].is_ascii_lowercase()
                && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
            prop_assert_eq!(snapshot_name(&name).is_ok(), expected);
        }
    }
}
