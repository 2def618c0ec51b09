//! Tests of single values, by the type of their field.

use serde_json::Value;

use super::super::dates;
use super::super::text::{is_token, raw_tokens, tokens, wildcard};

/// A test of the values of one field.
pub(super) enum Test {
    /// One of these texts, exactly.
    Texts(Vec<String>),
    /// One of these texts, upper and lower case alike (the list is lower case).
    FoldedTexts(Vec<String>),
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    /// Milliseconds, both ends included.
    DateRanges(Vec<(i64, i64)>),
    Flag(bool),
    /// Tokens of a text: any of them, or all in one document.
    Tokens {
        terms: Vec<String>,
        is_all: bool,
    },
    /// Tokens one after another; the last may be a beginning.
    Phrase {
        terms: Vec<String>,
        is_last_prefix: bool,
    },
    TextRange {
        from: Option<(String, bool)>,
        to: Option<(String, bool)>,
    },
    NumberRange {
        from: Option<(f64, bool)>,
        to: Option<(f64, bool)>,
    },
    Prefix {
        prefix: String,
        is_folded: bool,
    },
    TokenPrefix(String),
    Wildcard {
        pattern: String,
        is_folded: bool,
    },
    TokenWildcard(String),
}

/// What the values of one document have shown so far.
pub(super) struct Tally {
    /// For tokens: which terms were seen.
    seen: Vec<bool>,
    matched: bool,
}

impl Test {
    pub(super) fn start(&self) -> Tally {
        let terms = match self {
            Test::Tokens { terms, .. } => terms.len(),
            _ => 0,
        };
        Tally {
            seen: vec![false; terms],
            matched: false,
        }
    }

    /// Takes one value; true when no other needs to be looked at.
    pub(super) fn take(&self, value: &Value, tally: &mut Tally) -> bool {
        if let Test::Tokens { terms, .. } = self {
            return any_text(value, |text| {
                for token in raw_tokens(text) {
                    for (term, seen) in terms.iter().zip(&mut tally.seen) {
                        *seen |= is_token(token, term);
                    }
                }
                tally.seen.iter().all(|seen| *seen)
            });
        }
        tally.matched |= self.is_met(value);
        tally.matched
    }

    /// The score: for tokens how many terms were found, else 1.
    pub(super) fn score(&self, tally: &Tally) -> Option<f32> {
        match self {
            Test::Tokens { is_all, .. } => {
                let found = tally.seen.iter().filter(|seen| **seen).count();
                let least = if *is_all { tally.seen.len().max(1) } else { 1 };
                (found >= least).then_some(found as f32)
            }
            _ => tally.matched.then_some(1.0),
        }
    }

    fn is_met(&self, value: &Value) -> bool {
        match self {
            Test::Texts(wanted) => {
                any_text(value, |text| wanted.iter().any(|wanted| wanted == text))
            }
            Test::FoldedTexts(wanted) => any_text(value, |text| {
                let text = text.to_lowercase();
                wanted.contains(&text)
            }),
            Test::Integers(wanted) => match integer(value) {
                Some(number) => wanted.contains(&number),
                None => number(value)
                    .is_some_and(|number| wanted.iter().any(|wanted| *wanted as f64 == number)),
            },
            Test::Numbers(wanted) => number(value).is_some_and(|number| wanted.contains(&number)),
            Test::DateRanges(ranges) => dates::of_value(value).is_some_and(|date| {
                ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&date))
            }),
            Test::Flag(wanted) => flag(value) == Some(*wanted),
            Test::Tokens { .. } => false,
            Test::Phrase {
                terms,
                is_last_prefix,
            } => any_text(value, |text| {
                let tokens: Vec<String> = tokens(text).collect();
                tokens.windows(terms.len().max(1)).any(|window| {
                    let last = terms.len().saturating_sub(1);
                    window
                        .iter()
                        .zip(terms)
                        .enumerate()
                        .all(|(at, (token, term))| {
                            token == term
                                || (*is_last_prefix
                                    && at == last
                                    && token.starts_with(term.as_str()))
                        })
                })
            }),
            Test::TextRange { from, to } => any_text(value, |text| {
                is_within(
                    text,
                    from.as_ref().map(|(from, is_in)| (from.as_str(), *is_in)),
                    to.as_ref().map(|(to, is_in)| (to.as_str(), *is_in)),
                )
            }),
            Test::NumberRange { from, to } => {
                number(value).is_some_and(|number| is_within(number, *from, *to))
            }
            Test::Prefix { prefix, is_folded } => any_text(value, |text| {
                if *is_folded {
                    text.to_lowercase().starts_with(prefix.as_str())
                } else {
                    text.starts_with(prefix.as_str())
                }
            }),
            Test::TokenPrefix(prefix) => any_text(value, |text| {
                tokens(text).any(|token| token.starts_with(prefix.as_str()))
            }),
            Test::Wildcard { pattern, is_folded } => any_text(value, |text| {
                if *is_folded {
                    wildcard(pattern, &text.to_lowercase())
                } else {
                    wildcard(pattern, text)
                }
            }),
            Test::TokenWildcard(pattern) => any_text(value, |text| {
                tokens(text).any(|token| wildcard(pattern, &token))
            }),
        }
    }
}

fn is_within<T: PartialOrd>(value: T, from: Option<(T, bool)>, to: Option<(T, bool)>) -> bool {
    let is_above = from.is_none_or(|(from, is_in)| value > from || (is_in && value == from));
    let is_below = to.is_none_or(|(to, is_in)| value < to || (is_in && value == to));
    is_above && is_below
}

fn any_text(value: &Value, mut test: impl FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Number(number) => test(&number.to_string()),
        Value::Bool(flag) => test(if *flag { "true" } else { "false" }),
        _ => false,
    }
}

/// A value as a number, also when it is written as text.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A value as an exact integer.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A value as a boolean field reads it.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.as_str() {
            "true" => Some(true),
            "false" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
