//! `_source` filtering on unparsed JSON: what is kept keeps its bytes.

use serde_json::Value;
use serde_json::value::RawValue;

use super::SearchError;
use super::query::fields_of;
use super::text::wildcard;
use crate::json::Fields;

/// Deepest nesting that is filtered; below, values are taken whole.
const MAX_DEPTH: usize = 100;

/// What of `_source` an answer shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFilter {
    is_off: bool,
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl SourceFilter {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// From patterns (`a.*`, `*.b`); no includes mean everything.
    pub fn new(includes: Vec<String>, excludes: Vec<String>) -> Self {
        SourceFilter {
            is_off: false,
            includes,
            excludes,
        }
    }

    /// Parses `_source` of a body: a boolean, a pattern, a list, or `{"includes":…,"excludes":…}`.
    pub fn parse(value: &Value) -> Result<Self, SearchError> {
        Ok(match value {
            Value::Null | Value::Bool(true) => Self::all(),
            Value::Bool(false) => SourceFilter {
                is_off: true,
                ..Self::default()
            },
            Value::String(_) | Value::Array(_) => Self::new(fields_of(Some(value)), Vec::new()),
            Value::Object(map) => {
                let list =
                    |long: &str, short: &str| fields_of(map.get(long).or_else(|| map.get(short)));
                Self::new(list("includes", "include"), list("excludes", "exclude"))
            }
            Value::Number(_) => {
                return Err(SearchError::parsing(
                    "Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] for [_source]",
                ));
            }
        })
    }

    /// `_source: false`.
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// The part of `source` to show; `None` when switched off. A source that is no JSON object is an
    /// error.
    pub fn apply(&self, source: &[u8]) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        if self.is_off {
            return Ok(None);
        }
        if self.includes.is_empty() && self.excludes.is_empty() {
            return serde_json::from_slice(source).map(Some);
        }
        let fields: Fields<'_> = serde_json::from_slice(source)?;
        let mut out = Vec::with_capacity(source.len());
        self.object(&fields, "", self.includes.is_empty(), &mut out, 0)?;
        serde_json::from_slice(&out).map(Some)
    }

    /// Writes the kept fields of an object; false when it was empty of them.
    fn object(
        &self,
        fields: &Fields<'_>,
        parent: &str,
        is_included: bool,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<bool, serde_json::Error> {
        out.push(b'{');
        let mut is_empty = true;
        for (name, value) in &fields.0 {
            let path = if parent.is_empty() {
                name.clone()
            } else {
                format!("{parent}.{name}")
            };
            let names =
                |patterns: &[String]| patterns.iter().any(|pattern| wildcard(pattern, &path));
            if names(&self.excludes) {
                continue;
            }
            let is_included = is_included || names(&self.includes);
            let before = out.len();
            if !is_empty {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            if self.value(value, &path, is_included, out, depth + 1)? {
                is_empty = false;
            } else {
                out.truncate(before);
            }
        }
        out.push(b'}');
        Ok(!is_empty || is_included)
    }

    fn value(
        &self,
        value: &RawValue,
        path: &str,
        is_included: bool,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<bool, serde_json::Error> {
        let text = value.get();
        // Without exclusions below, an included value needs no look inside.
        let is_whole = is_included && self.excludes.is_empty();
        if depth < MAX_DEPTH && !is_whole && text.starts_with('{') {
            let fields: Fields<'_> = serde_json::from_str(text)?;
            return self.object(&fields, path, is_included, out, depth);
        }
        if depth < MAX_DEPTH && !is_whole && text.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push(b'[');
            let mut is_empty = true;
            for item in items {
                let before = out.len();
                if !is_empty {
                    out.push(b',');
                }
                if self.value(item, path, is_included, out, depth + 1)? {
                    is_empty = false;
                } else {
                    out.truncate(before);
                }
            }
            out.push(b']');
            return Ok(!is_empty || is_included);
        }
        out.extend_from_slice(text.as_bytes());
        Ok(is_included)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(filter: Value, source: &str) -> String {
        let filter = SourceFilter::parse(&filter).unwrap();
        let shown = filter.apply(source.as_bytes()).unwrap();
        shown.map_or_else(String::new, |raw| raw.get().to_owned())
    }

    const SOURCE: &str = r#"{"a":1.0,"o":{"x":1,"y":{"z":2}},"l":[{"x":1,"w":2},3],"e":{}}"#;

    #[test]
    fn patterns_include_and_exclude() {
        assert_eq!(shown(json!(true), SOURCE), SOURCE);
        assert_eq!(shown(json!(false), SOURCE), "");
        assert_eq!(shown(json!("a"), SOURCE), r#"{"a":1.0}"#);
        assert_eq!(
            shown(json!(["o.x", "l.x"]), SOURCE),
            r#"{"o":{"x":1},"l":[{"x":1}]}"#
        );
        assert_eq!(shown(json!(["o"]), SOURCE), r#"{"o":{"x":1,"y":{"z":2}}}"#);
        assert_eq!(
            shown(json!({"includes": ["o*"], "excludes": ["*.z"]}), SOURCE),
            r#"{"o":{"x":1,"y":{}}}"#
        );
        assert_eq!(
            shown(json!({"excludes": ["o", "l.w"]}), SOURCE),
            r#"{"a":1.0,"l":[{"x":1},3],"e":{}}"#
        );
        assert_eq!(shown(json!(["nothing"]), SOURCE), "{}");
    }
}
