//! Sorting: what is asked, the keys of documents, and their order.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::SearchError;
use super::dates;
use super::document::{Wanted, any_value};
use crate::index::field;
use crate::{DocumentRef, IndexMeta};

/// Most sort keys.
const MAX_KEYS: usize = 32;

/// One key of a sort.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SortKey {
    pub(super) by: SortBy,
    pub(super) is_descending: bool,
    /// Documents without a value come first instead of last.
    missing_first: bool,
    /// Replaces a missing value.
    missing_value: Option<Value>,
    /// Of several values take the greatest instead of the least.
    takes_greatest: bool,
    /// The index may lack the field.
    may_be_unmapped: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum SortBy {
    Score,
    /// Place in the search: shard, then sequence number.
    Doc,
    Id,
    Index,
    SeqNo,
    Field(String),
}

/// A value to sort by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Integer(i64),
    Float(f64),
    Text(String),
    Missing,
}

impl SortKey {
    pub(super) fn doc() -> Self {
        SortKey {
            by: SortBy::Doc,
            is_descending: false,
            missing_first: false,
            missing_value: None,
            takes_greatest: false,
            may_be_unmapped: false,
        }
    }

    /// Whether it sorts by place.
    pub(super) fn is_doc(&self) -> bool {
        self.by == SortBy::Doc
    }

    /// Best score first.
    pub(super) fn score() -> Self {
        SortKey {
            by: SortBy::Score,
            is_descending: true,
            ..Self::doc()
        }
    }

    /// Parses `sort` of a body: a name, an object, or a list of them.
    pub(super) fn parse_all(sort: &Value) -> Result<Vec<SortKey>, SearchError> {
        let items: Vec<&Value> = match sort {
            Value::Null => Vec::new(),
            Value::Array(items) => items.iter().collect(),
            single => vec![single],
        };
        let mut keys = Vec::new();
        for item in items {
            match item {
                Value::String(name) => keys.push(Self::parse(name, &Value::Null)?),
                Value::Object(map) => {
                    for (name, spec) in map {
                        keys.push(Self::parse(name, spec)?);
                    }
                }
                _ => {
                    return Err(SearchError::illegal(
                        "malformed sort format, within the sort array, an object, or an actual string are allowed",
                    ));
                }
            }
        }
        if keys.len() > MAX_KEYS {
            return Err(SearchError::illegal(format!(
                "more than {MAX_KEYS} sort keys"
            )));
        }
        Ok(keys)
    }

    fn parse(name: &str, spec: &Value) -> Result<SortKey, SearchError> {
        let by = match name {
            "_score" => SortBy::Score,
            "_doc" | "_shard_doc" => SortBy::Doc,
            "_id" => SortBy::Id,
            "_index" => SortBy::Index,
            "_seq_no" => SortBy::SeqNo,
            "_script" | "_geo_distance" => {
                return Err(SearchError::unsupported(format!("{name} sort")));
            }
            name => SortBy::Field(name.to_owned()),
        };
        let mut key = SortKey {
            is_descending: by == SortBy::Score,
            by,
            ..SortKey::doc()
        };
        let order = match spec {
            Value::Null => None,
            Value::String(order) => Some(order.as_str()),
            Value::Object(map) => {
                key.read_options(map)?;
                map.get("order").and_then(Value::as_str)
            }
            _ => return Err(SearchError::parsing(format!("malformed sort of [{name}]"))),
        };
        match order.map(str::to_lowercase).as_deref() {
            None => {}
            Some("asc") => key.is_descending = false,
            Some("desc") => key.is_descending = true,
            Some(other) => {
                return Err(SearchError::illegal(format!(
                    "No enum constant org.elasticsearch.search.sort.SortOrder.{}",
                    other.to_uppercase()
                )));
            }
        }
        let mode = spec.get("mode").and_then(Value::as_str);
        key.takes_greatest = mode.map_or(key.is_descending, |mode| mode == "max");
        Ok(key)
    }

    fn read_options(&mut self, map: &Map<String, Value>) -> Result<(), SearchError> {
        for (option, value) in map {
            match (option.as_str(), value) {
                ("order" | "numeric_type", _) => {}
                ("mode", Value::String(mode)) if mode == "min" || mode == "max" => {}
                ("missing", Value::String(word)) if word == "_last" => {}
                ("missing", Value::String(word)) if word == "_first" => self.missing_first = true,
                ("missing", value) => self.missing_value = Some(value.clone()),
                ("unmapped_type" | "ignore_unmapped", _) => self.may_be_unmapped = true,
                ("format", Value::String(format)) if format.contains("epoch_millis") => {}
                _ => return Err(SearchError::unsupported(format!("sort with {option}"))),
            }
        }
        Ok(())
    }
}

/// Sort keys made ready for one index.
pub(super) struct Sorter {
    keys: Vec<(SortKey, Kind)>,
    pub(super) wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Float,
    Date,
    Boolean,
    Text,
    Unmapped,
}

impl Sorter {
    pub(super) fn new(keys: &[SortKey], index: &IndexMeta) -> Result<Self, SearchError> {
        let mut wanted = Wanted::default();
        let mut ready = Vec::with_capacity(keys.len());
        for key in keys {
            let mut key = key.clone();
            let kind = match &mut key.by {
                SortBy::Field(name) => {
                    let kind = kind_of(index, name, key.may_be_unmapped)?;
                    if let Some((parent, leaf)) = name.rsplit_once('.') {
                        let is_multi = field(&index.mappings, parent)
                            .and_then(|definition| definition.get("fields")?.get(leaf))
                            .is_some();
                        if is_multi {
                            *name = parent.to_owned();
                        }
                    }
                    wanted.add(name);
                    kind
                }
                SortBy::Id | SortBy::Index => Kind::Text,
                SortBy::Score => Kind::Float,
                SortBy::Doc | SortBy::SeqNo => Kind::Integer,
            };
            ready.push((key, kind));
        }
        Ok(Sorter {
            keys: ready,
            wanted,
        })
    }

    /// The keys of a document.
    pub(super) fn keys(
        &self,
        document: &DocumentRef<'_>,
        fields: &Map<String, Value>,
        index: &str,
        place: u64,
        score: f32,
    ) -> Vec<Key> {
        self.keys
            .iter()
            .map(|(key, kind)| match &key.by {
                SortBy::Score => Key::Float(f64::from(score)),
                SortBy::Doc => Key::Integer(place as i64),
                SortBy::Id => Key::Text(document.id.to_owned()),
                SortBy::Index => Key::Text(index.to_owned()),
                SortBy::SeqNo => Key::Integer(document.seq_no as i64),
                SortBy::Field(path) => key.of_field(fields, path, *kind),
            })
            .collect()
    }

    /// Values of `search_after` as keys.
    pub(super) fn after(&self, values: &[Value]) -> Result<Vec<Key>, SearchError> {
        if values.len() != self.keys.len() {
            return Err(SearchError::illegal(format!(
                "search_after has {} value(s) but sort has {}.",
                values.len(),
                self.keys.len()
            )));
        }
        values
            .iter()
            .zip(&self.keys)
            .map(|(value, (key, kind))| {
                if value.is_null() {
                    return Ok(Key::Missing);
                }
                convert(value, *kind).ok_or_else(|| {
                    SearchError::illegal(format!(
                        "Failed to parse search_after value for field [{}].",
                        key.name()
                    ))
                })
            })
            .collect()
    }
}

impl SortKey {
    fn name(&self) -> &str {
        match &self.by {
            SortBy::Score => "_score",
            SortBy::Doc => "_doc",
            SortBy::Id => "_id",
            SortBy::Index => "_index",
            SortBy::SeqNo => "_seq_no",
            SortBy::Field(name) => name,
        }
    }

    fn of_field(&self, fields: &Map<String, Value>, path: &str, kind: Kind) -> Key {
        let mut best = Key::Missing;
        any_value(fields, path, &mut |value| {
            if let Some(key) = convert(value, kind) {
                let is_better = match (&best, compare_values(&key, &best)) {
                    (Key::Missing, _) => true,
                    (_, Ordering::Greater) => self.takes_greatest,
                    (_, Ordering::Less) => !self.takes_greatest,
                    (_, Ordering::Equal) => false,
                };
                if is_better {
                    best = key;
                }
            }
            false
        });
        match (&best, &self.missing_value) {
            (Key::Missing, Some(value)) => convert(value, kind).unwrap_or(Key::Missing),
            _ => best,
        }
    }
}

fn kind_of(index: &IndexMeta, name: &str, may_be_unmapped: bool) -> Result<Kind, SearchError> {
    let kind = field(&index.mappings, name).and_then(|definition| definition.get("type")?.as_str());
    Ok(match kind {
        Some("long" | "integer" | "short" | "byte" | "unsigned_long") => Kind::Integer,
        Some("double" | "float" | "half_float" | "scaled_float") => Kind::Float,
        Some("date" | "date_nanos") => Kind::Date,
        Some("boolean") => Kind::Boolean,
        Some("keyword" | "constant_keyword" | "wildcard" | "version") => Kind::Text,
        Some("text" | "match_only_text") => {
            return Err(SearchError::illegal(format!(
                "Text fields are not optimised for operations that require per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set fielddata=true on [{name}] in order to load field data by uninverting the inverted index. Note that this can use significant memory."
            )));
        }
        Some(other) => {
            return Err(SearchError::unsupported(format!(
                "sort on a field of type {other}"
            )));
        }
        None if may_be_unmapped => Kind::Unmapped,
        None => {
            return Err(SearchError::illegal(format!(
                "No mapping found for [{name}] in order to sort on"
            )));
        }
    })
}

fn convert(value: &Value, kind: Kind) -> Option<Key> {
    match kind {
        Kind::Integer => match value {
            Value::Number(number) => number
                .as_i64()
                .map(Key::Integer)
                .or_else(|| number.as_f64().map(Key::Float)),
            Value::String(text) => text.trim().parse().ok().map(Key::Integer),
            _ => None,
        },
        Kind::Float => match value {
            Value::Number(number) => number.as_f64().map(Key::Float),
            Value::String(text) => text.trim().parse().ok().map(Key::Float),
            _ => None,
        },
        Kind::Date => dates::of_value(value).map(Key::Integer),
        Kind::Boolean => match value {
            Value::Bool(flag) => Some(Key::Integer(i64::from(*flag))),
            Value::Number(number) => number.as_i64().map(Key::Integer),
            Value::String(text) => Some(Key::Integer(i64::from(text == "true"))),
            _ => None,
        },
        Kind::Text => super::query::scalar_text(value).map(Key::Text),
        Kind::Unmapped => None,
    }
}

fn compare_values(one: &Key, other: &Key) -> Ordering {
    match (one, other) {
        (Key::Integer(one), Key::Integer(other)) => one.cmp(other),
        (Key::Float(one), Key::Float(other)) => one.total_cmp(other),
        (Key::Integer(one), Key::Float(other)) => (*one as f64).total_cmp(other),
        (Key::Float(one), Key::Integer(other)) => one.total_cmp(&(*other as f64)),
        (Key::Text(one), Key::Text(other)) => one.cmp(other),
        // Fields of other types in other indices: some fixed order.
        (Key::Text(_), _) => Ordering::Greater,
        (_, Key::Text(_)) => Ordering::Less,
        (Key::Missing, _) | (_, Key::Missing) => Ordering::Equal,
    }
}

/// Order of two documents by their keys: the one that comes first is less.
pub(super) fn compare(keys: &[SortKey], one: &[Key], other: &[Key]) -> Ordering {
    for ((key, one), other) in keys.iter().zip(one).zip(other) {
        let order = match (one, other) {
            (Key::Missing, Key::Missing) => Ordering::Equal,
            (Key::Missing, _) if key.missing_first => Ordering::Less,
            (Key::Missing, _) => Ordering::Greater,
            (_, Key::Missing) if key.missing_first => Ordering::Greater,
            (_, Key::Missing) => Ordering::Less,
            (one, other) if key.is_descending => compare_values(other, one),
            (one, other) => compare_values(one, other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

impl Key {
    /// The value in the answer.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Key::Integer(number) => Value::from(*number),
            Key::Float(number) => Value::from(*number),
            Key::Text(text) => Value::from(text.as_str()),
            Key::Missing => Value::Null,
        }
    }
}
