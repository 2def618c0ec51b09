//! The rules, in the order in which a client hears about them.

use std::fmt;

/// Characters that names of repositories, snapshots and indices must not contain.
pub const FORBIDDEN: [char; 10] = [' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?'];

/// The same as the API prints them.
const FORBIDDEN_TEXT: &str =
    "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]";

/// What a repository's name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It contains `#`.
    Hash,
    /// It contains one of [`FORBIDDEN`].
    Characters,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "cannot be empty",
            Self::Hash => "must not contain '#'",
            Self::Characters => FORBIDDEN_TEXT,
        })
    }
}

/// What a snapshot's name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotNameRule {
    /// It is empty.
    Empty,
    /// It contains whitespace.
    Whitespace,
    /// It contains a comma.
    Comma,
    /// It contains `#`.
    Hash,
    /// It starts with `_`.
    Underscore,
    /// It is not lower case.
    Lowercase,
    /// It contains one of [`FORBIDDEN`].
    Characters,
    /// It contains a control character.
    Control,
    /// It is longer than [`MAX_FREE_NAME_BYTES`].
    TooLong,
}

impl fmt::Display for SnapshotNameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "cannot be empty",
            Self::Whitespace => "must not contain whitespace",
            Self::Comma => "must not contain ','",
            Self::Hash => "must not contain '#'",
            Self::Underscore => "must not start with '_'",
            Self::Lowercase => "must be lowercase",
            Self::Characters => FORBIDDEN_TEXT,
            Self::Control => "must not contain control characters",
            Self::TooLong => "must not be longer than 1024 bytes",
        })
    }
}

/// Longest name of a snapshot that is not subject to Elasticsearch's rules, bytes.
pub const MAX_FREE_NAME_BYTES: usize = 1024;

/// Checks the name of a snapshot whose dialect has rules of its own.
pub fn check_free_name(name: &str) -> Result<(), SnapshotNameRule> {
    if name.is_empty() {
        Err(SnapshotNameRule::Empty)
    } else if name.chars().any(char::is_control) {
        Err(SnapshotNameRule::Control)
    } else if name.len() > MAX_FREE_NAME_BYTES {
        Err(SnapshotNameRule::TooLong)
    } else {
        Ok(())
    }
}

/// What an index's name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexNameRule {
    /// It is empty.
    Empty,
    /// It contains one of [`FORBIDDEN`].
    Characters,
    /// It contains `#`.
    Hash,
    /// It contains `:`.
    Colon,
    /// It starts with `_`, `-` or `+`.
    Start,
    /// It is not lower case.
    Lowercase,
    /// It is longer than 255 bytes; the number is its length.
    TooLong(usize),
    /// It is `.` or `..`.
    Dots,
    /// An alias of this name exists.
    AliasExists,
}

impl fmt::Display for IndexNameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::Characters => f.write_str(FORBIDDEN_TEXT),
            Self::Hash => f.write_str("must not contain '#'"),
            Self::Colon => f.write_str("must not contain ':'"),
            Self::Start => f.write_str("must not start with '_', '-', or '+'"),
            Self::Lowercase => f.write_str("must be lowercase"),
            Self::TooLong(length) => write!(f, "index name is too long, ({length} > 255)"),
            Self::Dots => f.write_str("must not be '.' or '..'"),
            Self::AliasExists => f.write_str("already exists as alias"),
        }
    }
}

/// Checks a repository's name.
pub fn check_repository_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.contains('#') {
        return Err(NameError::Hash);
    }
    if name.contains(FORBIDDEN) {
        Err(NameError::Characters)
    } else {
        Ok(())
    }
}

/// Checks a snapshot's name (date math already resolved).
pub fn check_snapshot_name(name: &str) -> Result<(), SnapshotNameRule> {
    use SnapshotNameRule as Rule;
    let broken = [
        (name.is_empty(), Rule::Empty),
        (name.contains(char::is_whitespace), Rule::Whitespace),
        (name.contains(','), Rule::Comma),
        (name.contains('#'), Rule::Hash),
        (name.starts_with('_'), Rule::Underscore),
        (name.to_lowercase() != name, Rule::Lowercase),
        (name.contains(FORBIDDEN), Rule::Characters),
    ];
    broken
        .into_iter()
        .find(|(is_broken, _)| *is_broken)
        .map_or(Ok(()), |(_, rule)| Err(rule))
}

/// Checks an index's name as a target of restore.
pub fn check_index_name(name: &str) -> Result<(), IndexNameRule> {
    use IndexNameRule as Rule;
    let broken = [
        (name.is_empty(), Rule::Empty),
        (name.contains(FORBIDDEN), Rule::Characters),
        (name.contains('#'), Rule::Hash),
        (name.contains(':'), Rule::Colon),
        (name.starts_with(['_', '-', '+']), Rule::Start),
        (name.to_lowercase() != name, Rule::Lowercase),
        (name.len() > 255, Rule::TooLong(name.len())),
        (name == "." || name == "..", Rule::Dots),
    ];
    broken
        .into_iter()
        .find(|(is_broken, _)| *is_broken)
        .map_or(Ok(()), |(_, rule)| Err(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_rules_are_heard_in_the_order_of_the_contract() {
        let broken = |name: &str| check_snapshot_name(name).unwrap_err().to_string();
        assert_eq!(broken(""), "cannot be empty");
        assert_eq!(broken("a b,#_"), "must not contain whitespace");
        assert_eq!(broken("a,b#"), "must not contain ','");
        assert_eq!(broken("_A#"), "must not contain '#'");
        assert_eq!(broken("_Abc"), "must not start with '_'");
        assert_eq!(broken("Ab*"), "must be lowercase");
        assert_eq!(
            broken("a/b"),
            "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]"
        );
    }

    #[test]
    fn names_that_surprise_are_accepted() {
        let long = "x".repeat(1000);
        for name in [
            ".",
            "..",
            "-dash",
            ".dot",
            "ab%c",
            "a:b",
            "+plus",
            "grün",
            long.as_str(),
        ] {
            assert_eq!(check_snapshot_name(name), Ok(()), "{name}");
        }
        for name in ["Upper", "_x", "-x", ".x", "..", "grün"] {
            assert_eq!(check_repository_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn repositories_and_indices_have_their_own_rules() {
        assert_eq!(
            check_repository_name("a#b").unwrap_err().to_string(),
            "must not contain '#'"
        );
        assert_eq!(check_repository_name("a b"), Err(NameError::Characters));
        assert_eq!(check_index_name("Abc"), Err(IndexNameRule::Lowercase));
        assert_eq!(check_index_name("_abc"), Err(IndexNameRule::Start));
        assert_eq!(check_index_name(".."), Err(IndexNameRule::Dots));
        assert_eq!(
            check_index_name(&"a".repeat(256)),
            Err(IndexNameRule::TooLong(256))
        );
        assert_eq!(check_index_name("logs-2026.11"), Ok(()));
    }
}
