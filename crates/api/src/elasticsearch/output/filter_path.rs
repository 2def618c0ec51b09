//! `filter_path`: which parts of an answer are sent.
//!
//! Patterns are dotted paths; `*` stands for part of one name, `**` for any number of names, a leading `-` excludes.
//! Arrays are transparent: a pattern goes on inside their elements.

use serde_json::{Map, Value};

use crate::elasticsearch::pattern;

type Pattern<'a> = Vec<&'a str>;

/// Applies a comma list of patterns; without any the value is returned as it is.
pub fn filter(value: Value, patterns: &str) -> Value {
    let items = || {
        patterns
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    };
    let includes: Vec<Pattern<'_>> = items()
        .filter(|item| !item.starts_with('-'))
        .map(split)
        .collect();
    let excludes: Vec<Pattern<'_>> = items()
        .filter_map(|item| item.strip_prefix('-'))
        .map(split)
        .collect();
    let mut kept = value;
    if !includes.is_empty() {
        let borrowed: Vec<&[&str]> = includes.iter().map(Vec::as_slice).collect();
        kept = include(kept, &borrowed).unwrap_or_else(|| Value::Object(Map::new()));
    }
    if !excludes.is_empty() {
        let borrowed: Vec<&[&str]> = excludes.iter().map(Vec::as_slice).collect();
        kept = exclude(kept, &borrowed).unwrap_or_else(|| Value::Object(Map::new()));
    }
    kept
}

fn split(pattern: &str) -> Pattern<'_> {
    let mut parts = Vec::new();
    let mut start = 0;
    let bytes = pattern.as_bytes();
    for (position, byte) in bytes.iter().enumerate() {
        // An escaped dot belongs to the name.
        if *byte == b'.' && (position == 0 || bytes[position - 1] != b'\\') {
            parts.push(&pattern[start..position]);
            start = position + 1;
        }
    }
    parts.push(&pattern[start..]);
    parts
}

/// What a name does to the patterns that are still open: completed one of them, or left these for the level below.
fn step<'a>(open: &[&'a [&'a str]], name: &str) -> (bool, Vec<&'a [&'a str]>) {
    let mut complete = false;
    let mut below: Vec<&[&str]> = Vec::new();
    for pattern in open {
        let mut rest = *pattern;
        // `**` also stands for no level at all: what follows may match right here, and it stays open for deeper levels.
        while let [first, tail @ ..] = rest {
            if *first != "**" {
                break;
            }
            complete |= tail.is_empty();
            below.push(rest);
            rest = tail;
        }
        if let [first, tail @ ..] = rest
            && matches_name(first, name)
        {
            complete |= tail.is_empty();
            if !tail.is_empty() {
                below.push(tail);
            }
        }
    }
    (complete, below)
}

fn include(value: Value, open: &[&[&str]]) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let mut kept = Map::new();
            for (name, child) in object {
                let (complete, below) = step(open, &name);
                let child = if complete {
                    Some(child)
                } else {
                    include(child, &below)
                };
                if let Some(child) = child {
                    kept.insert(name, child);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(|item| include(item, open))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn exclude(value: Value, open: &[&[&str]]) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let was_empty = object.is_empty();
            let mut kept = Map::new();
            for (name, child) in object {
                let (complete, below) = step(open, &name);
                if !complete && let Some(child) = exclude(child, &below) {
                    kept.insert(name, child);
                }
            }
            (was_empty || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let was_empty = items.is_empty();
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(|item| exclude(item, open))
                .collect();
            (was_empty || !kept.is_empty()).then_some(Value::Array(kept))
        }
        scalar => Some(scalar),
    }
}

/// `*` in a pattern stands for any run of characters of one name; an escaped dot is a dot.
fn matches_name(pattern: &str, name: &str) -> bool {
    pattern::matches(&pattern.replace("\\.", "."), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({"took": 1, "hits": {"total": 2, "hits": [{"_id": "1", "_source": {"a": 1}}, {"_id": "2"}]},
            "snap.shot": {"x": 1}, "empty": []})
    }

    #[test]
    fn names_are_picked_through_arrays() {
        assert_eq!(
            filter(sample(), "hits.hits._id"),
            json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}})
        );
        assert_eq!(
            filter(sample(), "took,hits.t*l"),
            json!({"took": 1, "hits": {"total": 2}})
        );
        assert_eq!(
            filter(sample(), "snap\\.shot"),
            json!({"snap.shot": {"x": 1}})
        );
        assert_eq!(filter(sample(), "nosuch"), json!({}));
    }

    #[test]
    fn two_stars_reach_any_depth() {
        assert_eq!(
            filter(sample(), "**.a"),
            json!({"hits": {"hits": [{"_source": {"a": 1}}]}})
        );
        assert_eq!(
            filter(sample(), "**._id"),
            json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}})
        );
        assert_eq!(filter(sample(), "**.took"), json!({"took": 1}));
    }

    #[test]
    fn exclusions_remove_and_combine() {
        assert_eq!(
            filter(sample(), "-hits,-snap*"),
            json!({"took": 1, "empty": []})
        );
        assert_eq!(
            filter(sample(), "hits,-**._id,-hits.total"),
            json!({"hits": {"hits": [{"_source": {"a": 1}}]}})
        );
    }
}
