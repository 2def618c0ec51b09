//! Partial updates: a deep merge of JSON objects that leaves untouched values byte for byte.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::Fields;

/// Objects nested deeper than this are replaced whole.
const MAX_DEPTH: usize = 100;

/// Result of [`merge`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) source: Vec<u8>,
    /// Whether any value differs from before.
    pub(super) is_changed: bool,
}

/// Merges `patch` into `base`: objects field by field, everything else replaced.
pub(super) fn merge(base: &[u8], patch: &[u8]) -> Result<Merged, serde_json::Error> {
    let mut source = Vec::with_capacity(base.len() + patch.len());
    let base: Fields<'_> = serde_json::from_slice(base)?;
    let patch: Fields<'_> = serde_json::from_slice(patch)?;
    let is_changed = merge_fields(&base, &patch, &mut source, 0)?;
    Ok(Merged { source, is_changed })
}

fn merge_fields(
    base: &Fields<'_>,
    patch: &Fields<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<bool, serde_json::Error> {
    // The last of several equal names counts, as for readers.
    let patched: HashMap<&str, &RawValue> = patch
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), *value))
        .collect();
    let mut written: HashSet<&str> = HashSet::with_capacity(base.0.len());
    let mut is_changed = false;
    out.push(b'{');
    let mut is_first = true;
    let mut name = |out: &mut Vec<u8>, name: &str| -> Result<(), serde_json::Error> {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        Ok(())
    };
    for (key, value) in &base.0 {
        written.insert(key);
        name(out, key)?;
        match patched.get(key.as_str()) {
            Some(new) => is_changed |= merge_value(value, new, out, depth)?,
            None => out.extend_from_slice(value.get().as_bytes()),
        }
    }
    for (key, _) in &patch.0 {
        if !written.insert(key) {
            continue;
        }
        let Some(value) = patched.get(key.as_str()) else {
            continue;
        };
        name(out, key)?;
        out.extend_from_slice(value.get().as_bytes());
        is_changed = true;
    }
    out.push(b'}');
    Ok(is_changed)
}

fn merge_value(
    old: &RawValue,
    new: &RawValue,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<bool, serde_json::Error> {
    let is_object = |value: &RawValue| value.get().starts_with('{');
    if is_object(old) && is_object(new) && depth < MAX_DEPTH {
        let old: Fields<'_> = serde_json::from_str(old.get())?;
        let new: Fields<'_> = serde_json::from_str(new.get())?;
        return merge_fields(&old, &new, out, depth + 1);
    }
    let is_same = old.get() == new.get()
        || serde_json::from_str::<Value>(old.get())? == serde_json::from_str::<Value>(new.get())?;
    let kept = if is_same { old } else { new };
    out.extend_from_slice(kept.get().as_bytes());
    Ok(!is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, patch: &str) -> (String, bool) {
        let merged = merge(base.as_bytes(), patch.as_bytes()).unwrap();
        (String::from_utf8(merged.source).unwrap(), merged.is_changed)
    }

    #[test]
    fn objects_merge_and_everything_else_is_replaced() {
        assert_eq!(
            merged(
                r#"{"a":1,"o":{"x":1,"y":[1]}}"#,
                r#"{"o":{"y":[2],"z":3},"b":true}"#
            ),
            (
                r#"{"a":1,"o":{"x":1,"y":[2],"z":3},"b":true}"#.to_owned(),
                true
            )
        );
    }

    #[test]
    fn untouched_values_keep_their_bytes() {
        let (source, _) = merged(
            r#"{"big":123456789012345678901234567890,"f":1.50}"#,
            r#"{"n":1}"#,
        );
        assert_eq!(
            source,
            r#"{"big":123456789012345678901234567890,"f":1.50,"n":1}"#
        );
    }

    #[test]
    fn an_equal_patch_changes_nothing() {
        assert!(
            !merged(
                r#"{"a":{"b":[1,2]},"c":"x"}"#,
                r#"{"c":"x","a":{"b":[1, 2]}}"#
            )
            .1
        );
        assert!(merged(r#"{"a":1}"#, r#"{"a":null}"#).1);
    }
}
