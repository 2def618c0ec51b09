//! Rules for names, in Elasticsearch's words.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::StoreError;

/// Longest index name, alias or id part in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Longest `_id` in bytes.
pub(crate) const MAX_ID_BYTES: usize = 512;

/// Checks an index name.
pub(crate) fn check_index_name(name: &str) -> Result<(), StoreError> {
    let reason = if name.chars().any(char::is_uppercase) {
        Some("must be lowercase".to_owned())
    } else {
        broken_rule(name)
    };
    match reason {
        Some(reason) => Err(StoreError::InvalidIndexName {
            name: name.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

/// Checks an alias name; upper case is allowed there.
pub(crate) fn check_alias_name(name: &str) -> Result<(), StoreError> {
    match broken_rule(name) {
        Some(reason) => Err(StoreError::InvalidAliasName {
            name: name.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

fn broken_rule(name: &str) -> Option<String> {
    const FORBIDDEN: [char; 10] = [' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?'];
    if name.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if name.contains(FORBIDDEN) {
        return Some(
            "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]".to_owned(),
        );
    }
    if name.chars().any(char::is_control) {
        return Some("must not contain control characters".to_owned());
    }
    if name.contains('#') {
        return Some("must not contain '#'".to_owned());
    }
    if name.contains(':') {
        return Some("must not contain ':'".to_owned());
    }
    if name.starts_with(['_', '-', '+']) {
        return Some("must not start with '_', '-', or '+'".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(format!(
            "index name is too long, ({} > {MAX_NAME_BYTES})",
            name.len()
        ));
    }
    if name == "." || name == ".." {
        return Some("must not be '.' or '..'".to_owned());
    }
    None
}

/// 22 characters of URL-safe base64 from 16 random bytes.
pub(crate) fn new_uuid() -> String {
    uuid_text(&rand::random())
}

/// 16 bytes as 22 characters.
pub(crate) fn uuid_text(bytes: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An id for a document that came without: 20 characters of URL-safe base64 from 15 random bytes.
pub(crate) fn new_document_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_follow_the_rules() {
        for good in ["a", ".kibana", "logs-2026.11.21", "a_b+c", "ünicode"] {
            assert!(check_index_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "A", "_a", "-a", "+a", ".", "..", "a b", "a*", "a/b", "a\\b", "a,b", "a#b", "a:b",
            "a?", "a\"", "a<", "a>", "a|",
        ] {
            assert!(check_index_name(bad).is_err(), "{bad}");
        }
        assert!(check_index_name(&"a".repeat(255)).is_ok());
        assert!(check_index_name(&"a".repeat(256)).is_err());
    }

    #[test]
    fn made_up_ids_have_the_usual_lengths() {
        assert_eq!(new_uuid().len(), 22);
        assert_eq!(new_document_id().len(), 20);
        assert_ne!(new_document_id(), new_document_id());
    }
}
