//! Requests and results.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::query::{Query, scalar_text};
use super::sort::SortKey;
use super::{SearchError, SourceFilter};

/// Elasticsearch's default of `index.max_result_window`.
pub(super) const DEFAULT_WINDOW: u64 = 10_000;
/// Totals are counted exactly up to here unless asked otherwise.
const DEFAULT_TOTAL_LIMIT: u64 = 10_000;
const DEFAULT_SIZE: u64 = 10;

/// A parsed search body.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    pub(super) query: Query,
    pub(super) sort: Vec<SortKey>,
    pub(super) from: u64,
    pub(super) size: u64,
    pub(super) search_after: Option<Vec<Value>>,
    pub(super) source: SourceFilter,
    /// Count up to here exactly; `None`: do not count.
    pub(super) total_limit: Option<u64>,
    pub(super) with_seq_no: bool,
    pub(super) with_version: bool,
    pub(super) track_scores: bool,
    pub(super) min_score: Option<f32>,
    /// This slice of how many.
    pub(super) slice: Option<(u64, u64)>,
    /// Filters of the aliases through which indices were named.
    pub(super) index_filters: BTreeMap<String, Query>,
    /// Shards of an index that routing leaves.
    pub(super) index_shards: BTreeMap<String, Vec<u16>>,
    /// Shards of every index that are wanted.
    pub(super) shards: Option<Vec<u16>>,
}

impl Default for SearchRequest {
    fn default() -> Self {
        SearchRequest {
            query: Query::all(),
            sort: Vec::new(),
            from: 0,
            size: DEFAULT_SIZE,
            search_after: None,
            source: SourceFilter::all(),
            total_limit: Some(DEFAULT_TOTAL_LIMIT),
            with_seq_no: false,
            with_version: false,
            track_scores: false,
            min_score: None,
            slice: None,
            index_filters: BTreeMap::new(),
            index_shards: BTreeMap::new(),
            shards: None,
        }
    }
}

/// Keys of a search body that are not offered.
const NOT_OFFERED: [&str; 18] = [
    "aggs",
    "aggregations",
    "collapse",
    "docvalue_fields",
    "explain",
    "ext",
    "fields",
    "highlight",
    "indices_boost",
    "knn",
    "profile",
    "rank",
    "rescore",
    "retriever",
    "runtime_mappings",
    "script_fields",
    "suggest",
    "terminate_after",
];

impl SearchRequest {
    /// Parses a search body (`query`, `sort`, `from`, `size`, `search_after`, `_source`,
    /// `track_total_hits`, `seq_no_primary_term`, `version`, `slice`, `post_filter`, `min_score`, …). URL
    /// parameters are merged into the body by the caller; `pit` is the caller's too. Keys not offered are
    /// [`SearchError::Unsupported`].
    pub fn parse(body: &Value) -> Result<SearchRequest, SearchError> {
        let mut request = SearchRequest::default();
        let map = match body {
            Value::Null => return Ok(request),
            Value::Object(map) => map,
            _ => {
                return Err(SearchError::parsing(
                    "Expected [START_OBJECT] but found [VALUE_STRING]",
                ));
            }
        };
        for (key, value) in map {
            request.read(key, value, map)?;
        }
        if request.search_after.is_some() {
            if request.sort.is_empty() {
                return Err(SearchError::illegal(
                    "Sort must contain at least one field.",
                ));
            }
            if request.from > 0 {
                return Err(SearchError::illegal(
                    "`from` parameter must be set to 0 when `search_after` is used.",
                ));
            }
        }
        Ok(request)
    }

    fn read(
        &mut self,
        key: &str,
        value: &Value,
        map: &Map<String, Value>,
    ) -> Result<(), SearchError> {
        match key {
            "query" if value.is_null() => {}
            "query" => self.query = Query::parse(value)?,
            "post_filter" => {}
            "sort" => self.sort = SortKey::parse_all(value)?,
            "from" => self.from = count_of(key, value)?,
            "size" => self.size = count_of(key, value)?,
            "search_after" => {
                let values = value.as_array().filter(|values| !values.is_empty());
                let values = values.ok_or_else(|| {
                    SearchError::illegal("Values must contains at least one value.")
                })?;
                self.search_after = Some(values.clone());
            }
            "_source" => self.source = SourceFilter::parse(value)?,
            "track_total_hits" => self.total_limit = total_limit(value)?,
            "seq_no_primary_term" => self.with_seq_no = flag_of(key, value)?,
            "version" => self.with_version = flag_of(key, value)?,
            "track_scores" => self.track_scores = flag_of(key, value)?,
            "min_score" => {
                let score = value
                    .as_f64()
                    .ok_or_else(|| SearchError::parsing("[min_score] must be a number"))?;
                self.min_score = Some(score as f32);
            }
            "slice" => self.slice = Some(slice_of(value)?),
            // Hints that change nothing here, and what the caller reads.
            "timeout" | "stats" | "pit" | "allow_partial_search_results" => {}
            "stored_fields" => {
                // Only `_source` is stored; asking for fields alone switches it off.
                let is_none =
                    value.as_str() == Some("_none_") || value.as_array().is_some_and(Vec::is_empty);
                if is_none && !map.contains_key("_source") {
                    self.source = SourceFilter::parse(&Value::Bool(false))?;
                }
            }
            "explain" | "profile" if value == &Value::Bool(false) => {}
            "terminate_after" if value == &Value::from(0) => {}
            known if NOT_OFFERED.contains(&known) => {
                let is_empty = value.as_object().is_some_and(Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty);
                if !is_empty {
                    return Err(SearchError::unsupported(known));
                }
            }
            unknown => {
                let token = match value {
                    Value::Object(_) => "START_OBJECT",
                    Value::Array(_) => "START_ARRAY",
                    Value::String(_) => "VALUE_STRING",
                    Value::Number(_) => "VALUE_NUMBER",
                    Value::Bool(_) => "VALUE_BOOLEAN",
                    Value::Null => "VALUE_NULL",
                };
                return Err(SearchError::parsing(format!(
                    "Unknown key for a {token} in [{unknown}]."
                )));
            }
        }
        if key == "post_filter" && !value.is_null() {
            // Without aggregations a filter afterwards is a filter.
            let filter = Query::parse(value)?;
            let query = map.get("query").filter(|query| !query.is_null());
            let query = query.map_or_else(|| Ok(Query::all()), Query::parse)?;
            self.query = query.filtered(filter);
        }
        Ok(())
    }

    /// Adds the filter of the alias through which `index` was named.
    pub fn add_index_filter(&mut self, index: &str, filter: &Value) -> Result<(), SearchError> {
        let filter = Query::parse(filter)?;
        self.index_filters.insert(index.to_owned(), filter);
        Ok(())
    }

    /// Keeps the search to these shards of one index (routing), or with `None` of every index
    /// (`preference=_shards:0,1`); both can be given. Other shards are not counted in the result.
    pub fn keep_to_shards(&mut self, index: Option<&str>, shards: Vec<u16>) {
        match index {
            Some(index) => {
                self.index_shards.insert(index.to_owned(), shards);
            }
            None => self.shards = Some(shards),
        }
    }

    /// Whether a shard is searched at all.
    pub(super) fn wants_shard(&self, index: &str, shard: u16) -> bool {
        let allowed =
            |shards: Option<&Vec<u16>>| shards.is_none_or(|shards| shards.contains(&shard));
        allowed(self.shards.as_ref()) && allowed(self.index_shards.get(index))
    }

    /// Hits asked for.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hits skipped.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Whether the total is counted at all.
    pub fn is_total_tracked(&self) -> bool {
        self.total_limit.is_some()
    }
}

fn count_of(key: &str, value: &Value) -> Result<u64, SearchError> {
    let text = scalar_text(value).unwrap_or_default();
    if let Ok(count) = text.parse::<u64>() {
        return Ok(count);
    }
    match text.parse::<i64>() {
        Ok(negative) => Err(SearchError::illegal(format!(
            "[{key}] parameter cannot be negative, found [{negative}]"
        ))),
        Err(_) => Err(SearchError::parsing(format!(
            "Failed to parse int parameter [{key}] with value [{text}]"
        ))),
    }
}

fn flag_of(key: &str, value: &Value) -> Result<bool, SearchError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text.is_empty() => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(SearchError::illegal(format!(
            "Failed to parse value [{}] for [{key}] as only [true] or [false] are allowed.",
            scalar_text(value).unwrap_or_default()
        ))),
    }
}

fn total_limit(value: &Value) -> Result<Option<u64>, SearchError> {
    match scalar_text(value).as_deref() {
        Some("true" | "") => Ok(Some(u64::MAX)),
        Some("false") => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(-1) => Ok(Some(u64::MAX)),
            Ok(limit) if limit >= 0 => Ok(Some(limit as u64)),
            _ => Err(SearchError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {text}"
            ))),
        },
        None => Err(SearchError::parsing(
            "[track_total_hits] must be a boolean or a number",
        )),
    }
}

fn slice_of(value: &Value) -> Result<(u64, u64), SearchError> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    match (number("id"), number("max")) {
        (Some(id), Some(max)) if max > 1 && id < max => Ok((id, max)),
        (Some(_), Some(max)) if max <= 1 => Err(SearchError::illegal("max must be greater than 1")),
        _ => Err(SearchError::illegal("max must be greater than id")),
    }
}

/// Whether a total is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalRelation {
    /// Exact.
    Eq,
    /// At least that many.
    Gte,
}

impl TotalRelation {
    /// Elasticsearch's word.
    pub fn as_str(self) -> &'static str {
        match self {
            TotalRelation::Eq => "eq",
            TotalRelation::Gte => "gte",
        }
    }
}

/// Number of matching documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalHits {
    /// Count.
    pub value: u64,
    /// Exact or a lower bound.
    pub relation: TotalRelation,
}

impl TotalHits {
    /// A count, cut at the limit up to which it was asked for.
    pub(super) fn limited(count: u64, limit: u64) -> Self {
        if count > limit {
            TotalHits {
                value: limit,
                relation: TotalRelation::Gte,
            }
        } else {
            TotalHits {
                value: count,
                relation: TotalRelation::Eq,
            }
        }
    }
}

/// One hit.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Concrete index.
    pub index: String,
    /// `_id`.
    pub id: String,
    /// `_routing`.
    pub routing: Option<String>,
    /// `_score`; `None` when sorted by something else.
    pub score: Option<f32>,
    /// `_version`, where asked for.
    pub version: Option<u64>,
    /// `_seq_no` (with primary term 1), where asked for.
    pub seq_no: Option<u64>,
    /// `_source` after filtering; `None` when not wanted.
    pub source: Option<Box<RawValue>>,
    /// Sort values, where a sort was given.
    pub sort: Option<Vec<Value>>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct SearchResult {
    /// `None` with `track_total_hits: false`.
    pub total: Option<TotalHits>,
    /// Highest score; `None` when sorted or empty.
    pub max_score: Option<f32>,
    /// The page.
    pub hits: Vec<Hit>,
    /// Shards searched.
    pub shards: u32,
}
