//! Renaming on restore with the rules of Java's `String.replaceAll`.
//!
//! The pattern is searched anywhere and all matches are replaced. In the replacement `$1` is a group whose number takes as many
//! digits as give an existing group (`$10` with one group = group 1 and `0`), `${name}` is a named group, `\x` is `x` itself. A
//! pattern such as `(.*)` matches twice: the whole text and the empty rest. Patterns run on a backtracking engine with a limit, so
//! that look-around and back-references work and a catastrophic pattern ends with an error.

use fancy_regex::{Captures, Regex, RegexBuilder};

/// Backtracking steps that one match may take.
const BACKTRACK_LIMIT: usize = 1_000_000;
/// Longest pattern or replacement in bytes.
const MAX_LENGTH_BYTES: usize = 8 * 1024;
/// Longest result in bytes: far more than a name may have.
const MAX_RESULT_BYTES: usize = 64 * 1024;

/// Why a renaming cannot be done. The texts are Java's where Java has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The pattern is no regular expression.
    #[error("{reason} in pattern [{pattern}]")]
    PatternSyntax {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pattern needs more steps than allowed.
    #[error("pattern [{0}] is too complex: it needs too many steps; make it simpler")]
    TooComplex(String),
    /// Pattern, replacement or result is too long.
    #[error("rename pattern, replacement or result is too long")]
    TooLong,
    /// `$n` names a group that the pattern does not have.
    #[error("No group {0}")]
    NoGroup(usize),
    /// `${name}` names a group that the pattern does not have.
    #[error("No group with name {{{0}}}")]
    NoNamedGroup(String),
    /// `$` is followed by something else than a digit or `{`; also a damaged `${name`.
    #[error("{0}")]
    IllegalReplacement(&'static str),
}

/// A pattern with its replacement.
#[derive(Debug)]
pub struct Rename {
    pattern: Regex,
    replacement: Vec<char>,
}

impl Rename {
    /// Compiles the pattern. The replacement is looked at when the first match is replaced, as in Java.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, RenameError> {
        if pattern.len() > MAX_LENGTH_BYTES || replacement.len() > MAX_LENGTH_BYTES {
            return Err(RenameError::TooLong);
        }
        let compiled = RegexBuilder::new(pattern)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map_err(|error| RenameError::PatternSyntax {
                pattern: pattern.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            pattern: compiled,
            replacement: replacement.chars().collect(),
        })
    }

    /// Replaces all matches in `text`.
    pub fn apply(&self, text: &str) -> Result<String, RenameError> {
        let too_complex = || RenameError::TooComplex(self.pattern.as_str().to_owned());
        let mut result = String::new();
        let mut copied_to = 0;
        let mut search_from = 0;
        // Java goes on searching where the last match ended and moves one character on after an empty one. It does not, as the
        // regex crates do, refuse an empty match right behind another match.
        while search_from <= text.len() {
            let Some(captures) = self
                .pattern
                .captures_from_pos(text, search_from)
                .map_err(|_| too_complex())?
            else {
                break;
            };
            let Some(found) = captures.get(0) else { break };
            result.push_str(text.get(copied_to..found.start()).unwrap_or_default());
            self.expand(&captures, &mut result)?;
            if result.len() > MAX_RESULT_BYTES {
                return Err(RenameError::TooLong);
            }
            copied_to = found.end();
            search_from = if found.end() > found.start() {
                found.end()
            } else {
                found.end() + text[found.end()..].chars().next().map_or(1, char::len_utf8)
            };
        }
        result.push_str(text.get(copied_to..).unwrap_or_default());
        Ok(result)
    }

    fn expand(&self, captures: &Captures<'_>, result: &mut String) -> Result<(), RenameError> {
        let mut rest = self.replacement.as_slice();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                '\\' => {
                    let (&escaped, after) = rest.split_first().ok_or(
                        RenameError::IllegalReplacement("character to be escaped is missing"),
                    )?;
                    result.push(escaped);
                    rest = after;
                }
                '$' => rest = self.expand_group(rest, captures, result)?,
                other => result.push(other),
            }
        }
        Ok(())
    }

    /// Expands the group reference whose `$` has just been read; returns what follows it.
    fn expand_group<'a>(
        &self,
        rest: &'a [char],
        captures: &Captures<'_>,
        result: &mut String,
    ) -> Result<&'a [char], RenameError> {
        let Some((&first, after)) = rest.split_first() else {
            return Err(RenameError::IllegalReplacement(
                "Illegal group reference: group index is missing",
            ));
        };
        if first == '{' {
            let length = after
                .iter()
                .take_while(|c| c.is_ascii_alphanumeric())
                .count();
            let name: String = after[..length].iter().collect();
            if name.is_empty() {
                return Err(RenameError::IllegalReplacement(
                    "named capturing group is missing trailing '}'",
                ));
            }
            if after.get(length) != Some(&'}') {
                return Err(RenameError::IllegalReplacement(
                    "named capturing group is missing trailing '}'",
                ));
            }
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(RenameError::IllegalReplacement(
                    "capturing group name {} starts with digit character",
                ));
            }
            if !self
                .pattern
                .capture_names()
                .flatten()
                .any(|known| known == name)
            {
                return Err(RenameError::NoNamedGroup(name));
            }
            result.push_str(captures.name(&name).map_or("", |group| group.as_str()));
            return Ok(&after[length + 1..]);
        }
        let digit = |c: char| c.to_digit(10).map(|digit| digit as usize);
        let Some(mut group) = digit(first) else {
            return Err(RenameError::IllegalReplacement("Illegal group reference"));
        };
        let groups = captures.len() - 1;
        if group > groups {
            return Err(RenameError::NoGroup(group));
        }
        let mut rest = after;
        while let Some((&next, after_next)) = rest.split_first() {
            let Some(longer) =
                digit(next).and_then(|digit| group.checked_mul(10)?.checked_add(digit))
            else {
                break;
            };
            if longer > groups {
                break;
            }
            group = longer;
            rest = after_next;
        }
        result.push_str(captures.get(group).map_or("", |group| group.as_str()));
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace_all(text: &str, pattern: &str, replacement: &str) -> Result<String, RenameError> {
        Rename::new(pattern, replacement)?.apply(text)
    }

    #[test]
    fn a_group_number_ends_where_no_longer_group_exists() {
        assert_eq!(
            replace_all("index_1", "(.+)", "$1_restored").unwrap(),
            "index_1_restored"
        );
        assert_eq!(replace_all("a", "(a)", "$10").unwrap(), "a0");
        assert_eq!(
            replace_all("index_5", "index_(.+)", "restored_index_$1").unwrap(),
            "restored_index_5"
        );
        assert_eq!(
            replace_all("abcdefghijk", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", "$11$1").unwrap(),
            "ka"
        );
    }

    #[test]
    fn an_unanchored_star_matches_the_empty_rest_too() {
        assert_eq!(replace_all("abc", "(.*)", "$1_x").unwrap(), "abc_x_x");
        assert_eq!(replace_all("abc", "x*", "-").unwrap(), "-a-b-c-");
        assert_eq!(replace_all("grün", "", "-").unwrap(), "-g-r-ü-n-");
    }

    #[test]
    fn matches_are_found_anywhere_and_all_replaced() {
        assert_eq!(replace_all("a-b-c", "-", "_").unwrap(), "a_b_c");
        assert_eq!(replace_all("abc", "x", "$9").unwrap(), "abc");
        assert_eq!(replace_all("prefix", "^", "new-").unwrap(), "new-prefix");
    }

    #[test]
    fn look_around_back_references_and_named_groups_work() {
        assert_eq!(replace_all("foobar", "foo(?=bar)", "x").unwrap(), "xbar");
        assert_eq!(replace_all("abab", "(ab)\\1", "x").unwrap(), "x");
        assert_eq!(
            replace_all("logs-1", "(?<kind>[a-z]+)-", "${kind}_").unwrap(),
            "logs_1"
        );
    }

    #[test]
    fn a_backslash_takes_the_next_character_as_it_is() {
        assert_eq!(replace_all("a", "a", "\\$1").unwrap(), "$1");
        assert_eq!(replace_all("a", "a", "\\\\").unwrap(), "\\");
    }

    #[test]
    fn errors_have_the_texts_of_java() {
        let text = |pattern: &str, replacement: &str| {
            replace_all("a", pattern, replacement)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(text("(a)", "$2"), "No group 2");
        assert_eq!(text("a", "$x"), "Illegal group reference");
        assert_eq!(
            text("a", "x$"),
            "Illegal group reference: group index is missing"
        );
        assert_eq!(text("a", "x\\"), "character to be escaped is missing");
        assert_eq!(text("a", "${nope}"), "No group with name {nope}");
        assert!(matches!(
            replace_all("a", "(", "x"),
            Err(RenameError::PatternSyntax { .. })
        ));
    }

    #[test]
    fn a_catastrophic_pattern_ends_with_an_error() {
        let text = "a".repeat(60) + "!";
        assert!(matches!(
            replace_all(&text, "^(?=(a+)+$)b\\1", "x"),
            Ok(_) | Err(RenameError::TooComplex(_))
        ));
        assert!(matches!(
            replace_all(&text, "(a|a)+(?!.)\\1b", "x"),
            Ok(_) | Err(RenameError::TooComplex(_))
        ));
    }
}
