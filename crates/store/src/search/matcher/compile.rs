//! From a query and an index's mapping to something that can be asked of documents.

use std::collections::HashSet;

use serde_json::Value;

use super::super::SearchError;
use super::super::dates;
use super::super::document::Wanted;
use super::super::query::{Bool, Kind, Match, MatchMode, Query, Range, scalar_text};
use super::super::text::{tokens, wildcard};
use super::test::{Test, flag, integer, number};
use super::{Node, Place};
use crate::IndexMeta;
use crate::index::field;

pub(super) struct Compiler<'a> {
    pub(super) index: &'a IndexMeta,
    pub(super) now_ms: i64,
    pub(super) wanted: Wanted,
}

/// A field of this index.
struct Field {
    place: Place,
    kind: FieldKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Text,
    Keyword,
    Integer,
    Float,
    Date,
    Boolean,
}

impl Compiler<'_> {
    pub(super) fn query(&mut self, query: &Query) -> Result<Node, SearchError> {
        let boost = query.boost;
        Ok(match &query.kind {
            Kind::All => Node::All(boost),
            Kind::Nothing => Node::Nothing,
            Kind::Ids(ids) => Node::Ids(ids.iter().cloned().collect(), boost),
            Kind::Constant(inner) => match self.query(inner)? {
                Node::All(_) => Node::All(boost),
                Node::Nothing => Node::Nothing,
                node => Node::Constant(Box::new(node), boost),
            },
            Kind::Exists(name) => self.exists(name, boost),
            Kind::Terms {
                field,
                values,
                ignore_case,
            } => self.terms(field, values, *ignore_case, boost)?,
            Kind::Match(spec) => self.matching(spec, boost)?,
            Kind::Range(range) => self.over(&range.field, true, &mut |this, field| {
                this.range(field, range, boost)
            })?,
            Kind::Prefix {
                field,
                value,
                ignore_case,
            } => self.over(field, false, &mut |_, field| {
                let test = match field.kind {
                    FieldKind::Text => Test::TokenPrefix(value.to_lowercase()),
                    _ if *ignore_case => Test::Prefix {
                        prefix: value.to_lowercase(),
                        is_folded: true,
                    },
                    _ => Test::Prefix {
                        prefix: value.clone(),
                        is_folded: false,
                    },
                };
                Ok(has(field, test, boost))
            })?,
            Kind::Wildcard {
                field,
                pattern,
                ignore_case,
            } => self.over(field, true, &mut |_, field| {
                let test = match field.kind {
                    FieldKind::Text => Test::TokenWildcard(pattern.to_lowercase()),
                    _ if *ignore_case => Test::Wildcard {
                        pattern: pattern.to_lowercase(),
                        is_folded: true,
                    },
                    _ => Test::Wildcard {
                        pattern: pattern.clone(),
                        is_folded: false,
                    },
                };
                Ok(has(field, test, boost))
            })?,
            Kind::Bool(query) => self.boolean(query, boost)?,
        })
    }

    fn boolean(&mut self, query: &Bool, boost: f32) -> Result<Node, SearchError> {
        let mut all = |queries: &[Query]| -> Result<Vec<Node>, SearchError> {
            queries.iter().map(|query| self.query(query)).collect()
        };
        let must = all(&query.must)?;
        let filter = all(&query.filter)?;
        let should = all(&query.should)?;
        let must_not = all(&query.must_not)?;
        let is_empty =
            must.is_empty() && filter.is_empty() && should.is_empty() && must_not.is_empty();
        if is_empty {
            return Ok(Node::All(boost));
        }
        // Only alternatives: one must match. Beside others they only add to the score.
        let default = i64::from(must.is_empty() && filter.is_empty() && !should.is_empty());
        let least = query.minimum_should_match.unwrap_or(default).max(0) as usize;
        Ok(Node::Bool {
            must,
            filter,
            should,
            must_not,
            least,
            boost,
        })
    }

    fn exists(&mut self, name: &str, boost: f32) -> Node {
        if matches!(name, "_id" | "_index" | "_seq_no" | "_version" | "_source") {
            return Node::All(boost);
        }
        if name == "_routing" {
            return Node::Exists(Place::Routing, boost);
        }
        let names = if name.contains('*') {
            self.names_like(name)
        } else {
            vec![name.to_owned()]
        };
        let mut nodes = Vec::new();
        for name in names {
            let Some(definition) = field(&self.index.mappings, &name) else {
                continue;
            };
            if definition.get("type").is_none() || definition.get("properties").is_some() {
                // An object exists when one of its fields does.
                for below in self.names_like(&format!("{name}.*")) {
                    self.wanted.add(&below);
                    nodes.push(Node::Exists(Place::Source(below), boost));
                }
                continue;
            }
            let path = self.source_path(&name);
            self.wanted.add(&path);
            nodes.push(Node::Exists(Place::Source(path), boost));
        }
        any(nodes)
    }

    fn terms(
        &mut self,
        name: &str,
        values: &[Value],
        ignore_case: bool,
        boost: f32,
    ) -> Result<Node, SearchError> {
        let texts = || values.iter().filter_map(scalar_text);
        match name {
            "_id" => return Ok(Node::Ids(texts().collect::<HashSet<_>>(), boost)),
            "_index" => {
                let is_here = texts().any(|pattern| {
                    wildcard(&pattern, &self.index.name)
                        || self.index.aliases.contains_key(&pattern)
                });
                return Ok(if is_here {
                    Node::All(boost)
                } else {
                    Node::Nothing
                });
            }
            _ => {}
        }
        self.over(name, true, &mut |this, field| {
            let test = this.exact(&field, values, ignore_case, false)?;
            Ok(has(field, test, boost))
        })
    }

    /// The test for one of `values` in a field of its type.
    fn exact(
        &self,
        field: &Field,
        values: &[Value],
        ignore_case: bool,
        is_lenient: bool,
    ) -> Result<Test, SearchError> {
        let refused = |value: &Value| {
            let text = scalar_text(value).unwrap_or_default();
            SearchError::illegal(match field.kind {
                FieldKind::Date => format!(
                    "failed to parse date field [{text}] with format [strict_date_optional_time||epoch_millis]"
                ),
                FieldKind::Boolean => {
                    format!("Can't parse boolean value [{text}], expected [true] or [false]")
                }
                _ => format!("failed to create query: For input string: \"{text}\""),
            })
        };
        let convert = |parse: &dyn Fn(&Value) -> Option<Test>| -> Result<Test, SearchError> {
            let mut merged: Option<Test> = None;
            for value in values {
                let test = match parse(value) {
                    Some(test) => test,
                    None if is_lenient => continue,
                    None => return Err(refused(value)),
                };
                merged = Some(match merged {
                    None => test,
                    Some(before) => join(before, test),
                });
            }
            Ok(merged.unwrap_or(Test::Texts(Vec::new())))
        };
        match field.kind {
            FieldKind::Text | FieldKind::Keyword => {
                let texts = values.iter().filter_map(scalar_text);
                Ok(match (field.kind, ignore_case) {
                    (FieldKind::Keyword, false) => Test::Texts(texts.collect()),
                    (FieldKind::Keyword, true) => {
                        Test::FoldedTexts(texts.map(|text| text.to_lowercase()).collect())
                    }
                    // Tokens are lower case; an upper-case term finds nothing, as in Elasticsearch.
                    (_, false) => Test::Tokens {
                        terms: texts.collect(),
                        is_all: false,
                    },
                    (_, true) => Test::Tokens {
                        terms: texts.map(|text| text.to_lowercase()).collect(),
                        is_all: false,
                    },
                })
            }
            FieldKind::Integer => convert(&|value| {
                integer(value)
                    .map(|number| Test::Integers(vec![number]))
                    .or_else(|| number(value).map(|number| Test::Numbers(vec![number])))
            }),
            FieldKind::Float => {
                convert(&|value| number(value).map(|number| Test::Numbers(vec![number])))
            }
            FieldKind::Boolean => convert(&|value| flag(value).map(Test::Flag)),
            FieldKind::Date => convert(&|value| {
                let text = scalar_text(value)?;
                let from = dates::bound(&text, false, self.now_ms)?;
                let to = dates::bound(&text, true, self.now_ms)?;
                Some(Test::DateRanges(vec![(from, to)]))
            }),
        }
    }

    fn matching(&mut self, spec: &Match, boost: f32) -> Result<Node, SearchError> {
        let mut nodes = Vec::new();
        for name in &spec.fields {
            if name == "_id" || name == "_index" {
                nodes.push(self.terms(name, std::slice::from_ref(&spec.text), false, boost)?);
                continue;
            }
            let is_lenient = spec.is_lenient || name.contains('*');
            nodes.push(self.over(name, is_lenient, &mut |this, field| {
                let test = match field.kind {
                    FieldKind::Text => this.text_match(spec),
                    _ if spec.mode == MatchMode::PhrasePrefix => Test::Prefix {
                        prefix: scalar_text(&spec.text).unwrap_or_default(),
                        is_folded: false,
                    },
                    _ => this.exact(&field, std::slice::from_ref(&spec.text), false, is_lenient)?,
                };
                Ok(has(field, test, boost))
            })?);
        }
        Ok(any(nodes))
    }

    fn text_match(&self, spec: &Match) -> Test {
        let text = scalar_text(&spec.text).unwrap_or_default();
        let mut terms: Vec<String> = tokens(&text).collect();
        match spec.mode {
            MatchMode::Phrase | MatchMode::PhrasePrefix if !terms.is_empty() => Test::Phrase {
                terms,
                is_last_prefix: spec.mode == MatchMode::PhrasePrefix,
            },
            mode => {
                terms.sort_unstable();
                terms.dedup();
                Test::Tokens {
                    terms,
                    is_all: mode == MatchMode::AllTokens,
                }
            }
        }
    }

    fn range(&self, field: Field, range: &Range, boost: f32) -> Result<Node, SearchError> {
        let test = match field.kind {
            FieldKind::Integer | FieldKind::Float => {
                let convert = |bound: &Option<(Value, bool)>| match bound {
                    None => Ok(None),
                    Some((value, is_in)) => number(value)
                        .map(|number| Some((number, *is_in)))
                        .ok_or_else(|| {
                            SearchError::illegal(format!(
                                "failed to create query: For input string: \"{}\"",
                                scalar_text(value).unwrap_or_default()
                            ))
                        }),
                };
                Test::NumberRange {
                    from: convert(&range.from)?,
                    to: convert(&range.to)?,
                }
            }
            FieldKind::Date => {
                let convert = |value: &Value, is_up: bool| {
                    let text = scalar_text(value).unwrap_or_default();
                    dates::bound(&text, is_up, self.now_ms).ok_or_else(|| {
                        SearchError::illegal(format!(
                            "failed to parse date field [{text}] with format [strict_date_optional_time||epoch_millis]"
                        ))
                    })
                };
                let from = match &range.from {
                    None => i64::MIN,
                    Some((value, true)) => convert(value, false)?,
                    Some((value, false)) => convert(value, true)?.saturating_add(1),
                };
                let to = match &range.to {
                    None => i64::MAX,
                    Some((value, true)) => convert(value, true)?,
                    Some((value, false)) => convert(value, false)?.saturating_sub(1),
                };
                Test::DateRanges(vec![(from, to)])
            }
            FieldKind::Text | FieldKind::Keyword | FieldKind::Boolean => {
                let convert = |bound: &Option<(Value, bool)>| {
                    bound
                        .as_ref()
                        .and_then(|(value, is_in)| Some((scalar_text(value)?, *is_in)))
                };
                Test::TextRange {
                    from: convert(&range.from),
                    to: convert(&range.to),
                }
            }
        };
        Ok(has(field, test, boost))
    }

    /// Builds a node for the field, or for all that a pattern names. Where `skips`, fields of a pattern
    /// whose type does not fit the value are left out instead of failing.
    fn over(
        &mut self,
        name: &str,
        skips: bool,
        build: &mut dyn FnMut(&Self, Field) -> Result<Node, SearchError>,
    ) -> Result<Node, SearchError> {
        if !name.contains('*') {
            return match self.field(name)? {
                Some(field) => build(self, field),
                None => Ok(Node::Nothing),
            };
        }
        let mut nodes = Vec::new();
        for name in self.names_like(name) {
            let Ok(Some(field)) = self.field(&name) else {
                continue;
            };
            match build(self, field) {
                Ok(node) => nodes.push(node),
                Err(_) if skips => {}
                Err(error) => return Err(error),
            }
        }
        Ok(any(nodes))
    }

    /// Looks a field up; `None` when the mapping does not have it.
    fn field(&mut self, name: &str) -> Result<Option<Field>, SearchError> {
        let make = |place, kind| Field { place, kind };
        match name {
            "_id" => return Ok(Some(make(Place::Id, FieldKind::Keyword))),
            "_routing" => return Ok(Some(make(Place::Routing, FieldKind::Keyword))),
            "_seq_no" => return Ok(Some(make(Place::SeqNo, FieldKind::Integer))),
            "_version" => return Ok(Some(make(Place::Version, FieldKind::Integer))),
            _ => {}
        }
        let Some(definition) = field(&self.index.mappings, name) else {
            return Ok(None);
        };
        let Some(kind) = definition.get("type").and_then(Value::as_str) else {
            return Ok(None);
        };
        let kind_here = match kind {
            "text" | "match_only_text" | "search_as_you_type" | "annotated_text" => FieldKind::Text,
            "keyword" | "constant_keyword" | "wildcard" | "ip" | "version" | "flattened"
            | "flat_object" | "binary" => FieldKind::Keyword,
            "long" | "integer" | "short" | "byte" | "unsigned_long" => FieldKind::Integer,
            "double" | "float" | "half_float" | "scaled_float" => FieldKind::Float,
            "date" | "date_nanos" => FieldKind::Date,
            "boolean" => FieldKind::Boolean,
            "object" | "nested" => return Ok(None),
            other => {
                return Err(SearchError::unsupported(format!(
                    "query on a field of type {other}"
                )));
            }
        };
        if kind == "ip" || definition.get("normalizer").is_some() {
            return Err(SearchError::unsupported(format!(
                "query on the {kind} field [{name}]{}",
                if kind == "ip" {
                    ""
                } else {
                    " with a normalizer"
                }
            )));
        }
        if kind_here == FieldKind::Date {
            check_date_format(definition)?;
        }
        let path = self.source_path(name);
        self.wanted.add(&path);
        Ok(Some(make(Place::Source(path), kind_here)))
    }

    /// Where the values of a field lie: a multi-field has those of its parent.
    fn source_path(&self, name: &str) -> String {
        if let Some((parent, leaf)) = name.rsplit_once('.') {
            let is_multi = field(&self.index.mappings, parent)
                .and_then(|definition| definition.get("fields")?.get(leaf))
                .is_some();
            if is_multi {
                return parent.to_owned();
            }
        }
        name.to_owned()
    }

    /// Names of mapped fields that match a pattern, without multi-fields.
    fn names_like(&self, pattern: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect_names(&self.index.mappings, "", &mut names);
        names.retain(|name| wildcard(pattern, name));
        names
    }
}

/// Refuses formats in which the same text or number would mean another date.
fn check_date_format(definition: &Value) -> Result<(), SearchError> {
    const KNOWN: [&str; 12] = [
        "strict_date_optional_time",
        "date_optional_time",
        "strict_date_optional_time_nanos",
        "epoch_millis",
        "strict_date",
        "date",
        "strict_date_time",
        "date_time",
        "yyyy-MM-dd",
        "yyyy-MM-dd HH:mm:ss",
        "yyyy/MM/dd",
        "yyyy/MM/dd HH:mm:ss",
    ];
    let Some(format) = definition.get("format").and_then(Value::as_str) else {
        return Ok(());
    };
    match format.split("||").find(|part| !KNOWN.contains(part)) {
        Some(part) => Err(SearchError::unsupported(format!(
            "query on a date of format {part}"
        ))),
        None => Ok(()),
    }
}

fn collect_names(node: &Value, parent: &str, names: &mut Vec<String>) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (name, definition) in properties {
        let path = if parent.is_empty() {
            name.clone()
        } else {
            format!("{parent}.{name}")
        };
        collect_names(definition, &path, names);
        if definition.get("type").is_some() {
            names.push(path);
        }
    }
}

fn has(field: Field, test: Test, boost: f32) -> Node {
    let Field { place, .. } = field;
    Node::Has { place, test, boost }
}

fn any(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        0 => Node::Nothing,
        1 => nodes.remove(0),
        _ => Node::Any(nodes),
    }
}

/// Two tests of the same field as one.
fn join(one: Test, other: Test) -> Test {
    match (one, other) {
        (Test::Integers(mut one), Test::Integers(other)) => {
            one.extend(other);
            Test::Integers(one)
        }
        (Test::Numbers(mut one), Test::Numbers(other)) => {
            one.extend(other);
            Test::Numbers(one)
        }
        (Test::Integers(one), Test::Numbers(mut other))
        | (Test::Numbers(mut other), Test::Integers(one)) => {
            other.extend(one.into_iter().map(|number| number as f64));
            Test::Numbers(other)
        }
        (Test::DateRanges(mut one), Test::DateRanges(other)) => {
            one.extend(other);
            Test::DateRanges(one)
        }
        // Two different flags: every boolean matches.
        (Test::Flag(one), Test::Flag(other)) if one != other => {
            Test::Texts(vec!["true".to_owned(), "false".to_owned()])
        }
        (one, _) => one,
    }
}
