//! The query language, parsed: what is asked, before the fields' types are known.

use serde_json::{Map, Value};

use super::SearchError;
use super::query_string;

/// Deepest nesting of queries.
const MAX_DEPTH: usize = 50;
/// Most values in `terms` or `ids`, as in Elasticsearch (`index.max_terms_count`).
const MAX_TERMS: usize = 65_536;
/// Most clauses in one `bool`, as in Elasticsearch (`indices.query.bool.max_clause_count`).
const MAX_CLAUSES: usize = 1024;

/// A parsed query with its boost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) kind: Kind,
    pub(super) boost: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    All,
    Nothing,
    Ids(Vec<String>),
    /// The field has one of these values exactly (a token, in text fields).
    Terms {
        field: String,
        values: Vec<Value>,
        ignore_case: bool,
    },
    Match(Match),
    Range(Range),
    Exists(String),
    Prefix {
        field: String,
        value: String,
        ignore_case: bool,
    },
    Wildcard {
        field: String,
        pattern: String,
        ignore_case: bool,
    },
    Bool(Box<Bool>),
    /// Matches like the inner query, scores the boost.
    Constant(Box<Query>),
}

/// A full-text match in any of some fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    /// May hold `*`.
    pub(super) fields: Vec<String>,
    pub(super) text: Value,
    pub(super) mode: MatchMode,
    /// Values that do not fit a field's type count as no match instead of an error.
    pub(super) is_lenient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchMode {
    AnyToken,
    AllTokens,
    Phrase,
    PhrasePrefix,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Range {
    pub(super) field: String,
    /// Bound and whether it is included.
    pub(super) from: Option<(Value, bool)>,
    pub(super) to: Option<(Value, bool)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bool {
    pub(super) must: Vec<Query>,
    pub(super) filter: Vec<Query>,
    pub(super) should: Vec<Query>,
    pub(super) must_not: Vec<Query>,
    pub(super) minimum_should_match: Option<i64>,
}

impl Query {
    pub(super) fn new(kind: Kind) -> Self {
        Query { kind, boost: 1.0 }
    }

    pub(super) fn all() -> Self {
        Self::new(Kind::All)
    }

    /// Both must match; `filter` does not count for the score.
    pub(super) fn filtered(self, filter: Query) -> Self {
        Self::new(Kind::Bool(Box::new(Bool {
            must: vec![self],
            filter: vec![filter],
            ..Bool::default()
        })))
    }

    /// Parses `{"match_all":{}}` and the like.
    pub(super) fn parse(body: &Value) -> Result<Query, SearchError> {
        parse(body, 0)
    }
}

fn parse(body: &Value, depth: usize) -> Result<Query, SearchError> {
    if depth > MAX_DEPTH {
        return Err(SearchError::illegal(format!(
            "The nested depth of the query exceeds the maximum nested depth for queries set to [{MAX_DEPTH}]"
        )));
    }
    let Some(map) = body.as_object() else {
        return Err(SearchError::parsing(
            "[_na] query malformed, must start with start_object",
        ));
    };
    let mut entries = map.iter();
    let (Some((name, spec)), None) = (entries.next(), entries.next()) else {
        return Err(SearchError::parsing(match map.len() {
            0 => "query malformed, empty clause found".to_owned(),
            _ => {
                let first = map.keys().next().map_or("", String::as_str);
                format!("[{first}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
            }
        }));
    };
    let Some(parameters) = spec.as_object() else {
        return Err(SearchError::parsing(format!(
            "[{name}] query malformed, no start_object after query name"
        )));
    };
    let parser = Parser { name, depth };
    let (kind, boost) = match name.as_str() {
        "match_all" => (Kind::All, parser.only(parameters, &[])?),
        "match_none" => (Kind::Nothing, parser.only(parameters, &[])?),
        "ids" => parser.ids(parameters)?,
        "term" => parser.term(parameters)?,
        "terms" => parser.terms(parameters)?,
        "match" => parser.match_one(parameters, MatchMode::AnyToken)?,
        "match_phrase" => parser.match_one(parameters, MatchMode::Phrase)?,
        "match_phrase_prefix" => parser.match_one(parameters, MatchMode::PhrasePrefix)?,
        "multi_match" => parser.multi_match(parameters)?,
        "range" => parser.range(parameters)?,
        "exists" => {
            let boost = parser.only(parameters, &["field"])?;
            (Kind::Exists(parser.text(parameters, "field")?), boost)
        }
        "prefix" => parser.pattern(parameters, true)?,
        "wildcard" => parser.pattern(parameters, false)?,
        "bool" => parser.boolean(parameters)?,
        "constant_score" => {
            let boost = parser.only(parameters, &["filter"])?;
            let filter = parameters.get("filter").ok_or_else(|| {
                SearchError::parsing("[constant_score] requires a 'filter' element")
            })?;
            (Kind::Constant(Box::new(parse(filter, depth + 1)?)), boost)
        }
        "query_string" | "simple_query_string" => {
            let query = query_string::from_parameters(name, parameters)?;
            (query.kind, query.boost)
        }
        known if NOT_OFFERED.contains(&known) => {
            return Err(SearchError::unsupported(format!("{known} query")));
        }
        _ => {
            return Err(SearchError::UnknownQuery { name: name.clone() });
        }
    };
    Ok(Query { kind, boost })
}

/// Queries of Elasticsearch and OpenSearch that are not offered.
const NOT_OFFERED: [&str; 33] = [
    "boosting",
    "combined_fields",
    "common",
    "dis_max",
    "distance_feature",
    "function_score",
    "fuzzy",
    "geo_bounding_box",
    "geo_distance",
    "geo_polygon",
    "geo_shape",
    "has_child",
    "has_parent",
    "intervals",
    "knn",
    "match_bool_prefix",
    "more_like_this",
    "nested",
    "parent_id",
    "percolate",
    "pinned",
    "rank_feature",
    "regexp",
    "script",
    "script_score",
    "semantic",
    "shape",
    "span_near",
    "span_or",
    "span_term",
    "terms_set",
    "type",
    "wrapper",
];

struct Parser<'a> {
    name: &'a str,
    depth: usize,
}

type Parsed = Result<(Kind, f32), SearchError>;

impl Parser<'_> {
    /// Refuses parameters besides `known`, `boost` and `_name`; returns the boost.
    fn only(&self, map: &Map<String, Value>, known: &[&str]) -> Result<f32, SearchError> {
        for key in map.keys() {
            if !known.contains(&key.as_str()) && key != "boost" && key != "_name" {
                return Err(SearchError::parsing(format!(
                    "[{}] query does not support [{key}]",
                    self.name
                )));
            }
        }
        Ok(boost(map))
    }

    fn text(&self, map: &Map<String, Value>, key: &str) -> Result<String, SearchError> {
        map.get(key)
            .and_then(scalar_text)
            .ok_or_else(|| SearchError::illegal(format!("[{}] requires [{key}]", self.name)))
    }

    /// The one `field: …` entry of a query.
    fn field<'a>(
        &self,
        map: &'a Map<String, Value>,
    ) -> Result<(&'a str, &'a Value, f32), SearchError> {
        let mut fields = map
            .iter()
            .filter(|(key, _)| *key != "boost" && *key != "_name");
        match (fields.next(), fields.next()) {
            (Some((field, value)), None) => Ok((field, value, boost(map))),
            (None, _) => Err(SearchError::illegal("field name is null or empty")),
            (Some((first, _)), Some((second, _))) => Err(SearchError::parsing(format!(
                "[{}] query doesn't support multiple fields, found [{first}] and [{second}]",
                self.name
            ))),
        }
    }

    fn ids(&self, map: &Map<String, Value>) -> Parsed {
        let boost = self.only(map, &["values", "type"])?;
        let values = match map.get("values") {
            Some(Value::Array(values)) => values.iter().filter_map(scalar_text).collect(),
            Some(value) => scalar_text(value).into_iter().collect(),
            None => Vec::new(),
        };
        check_terms(values.len())?;
        Ok((Kind::Ids(values), boost))
    }

    fn term(&self, map: &Map<String, Value>) -> Parsed {
        let (field, spec, mut weight) = self.field(map)?;
        let mut ignore_case = false;
        let value = match spec {
            Value::Object(spec) => {
                weight *= self.only(spec, &["value", "case_insensitive"])?;
                ignore_case = flag(spec, "case_insensitive");
                spec.get("value").cloned().unwrap_or(Value::Null)
            }
            Value::Array(_) => {
                return Err(SearchError::parsing(
                    "[term] query does not support array of values",
                ));
            }
            value => value.clone(),
        };
        if value.is_null() {
            return Err(SearchError::illegal("value cannot be null"));
        }
        let kind = Kind::Terms {
            field: field.to_owned(),
            values: vec![value],
            ignore_case,
        };
        Ok((kind, weight))
    }

    fn terms(&self, map: &Map<String, Value>) -> Parsed {
        let (field, values, boost) = self.field(map)?;
        let values = match values {
            Value::Array(values) => values.clone(),
            Value::Object(_) => return Err(SearchError::unsupported("terms lookup")),
            _ => {
                return Err(SearchError::parsing(
                    "[terms] query requires an array of terms",
                ));
            }
        };
        check_terms(values.len())?;
        let kind = Kind::Terms {
            field: field.to_owned(),
            values,
            ignore_case: false,
        };
        Ok((kind, boost))
    }

    fn match_one(&self, map: &Map<String, Value>, mut mode: MatchMode) -> Parsed {
        let (field, spec, mut weight) = self.field(map)?;
        let mut is_lenient = false;
        let text = match spec {
            Value::Object(spec) => {
                weight *= self.only(
                    spec,
                    &[
                        "query",
                        "operator",
                        "lenient",
                        "zero_terms_query",
                        "auto_generate_synonyms_phrase_query",
                        "analyzer",
                        "slop",
                        "minimum_should_match",
                        "fuzziness",
                    ],
                )?;
                refuse(
                    spec,
                    self.name,
                    &["minimum_should_match", "fuzziness", "analyzer"],
                )?;
                if spec.get("slop").is_some_and(|slop| slop != 0) {
                    return Err(SearchError::unsupported(format!("{} with slop", self.name)));
                }
                is_lenient = flag(spec, "lenient");
                if mode == MatchMode::AnyToken && is_and(spec, "operator") {
                    mode = MatchMode::AllTokens;
                }
                spec.get("query").cloned().unwrap_or(Value::Null)
            }
            value => value.clone(),
        };
        if text.is_null() {
            return Err(SearchError::illegal(format!(
                "[{}] requires query value",
                self.name
            )));
        }
        let kind = Kind::Match(Match {
            fields: vec![field.to_owned()],
            text,
            mode,
            is_lenient,
        });
        Ok((kind, weight))
    }

    fn multi_match(&self, map: &Map<String, Value>) -> Parsed {
        let boost = self.only(
            map,
            &[
                "query",
                "fields",
                "type",
                "operator",
                "lenient",
                "tie_breaker",
            ],
        )?;
        let mode = match map.get("type").and_then(Value::as_str) {
            Some("phrase") => MatchMode::Phrase,
            Some("phrase_prefix") => MatchMode::PhrasePrefix,
            None | Some("best_fields" | "most_fields") if is_and(map, "operator") => {
                MatchMode::AllTokens
            }
            None | Some("best_fields" | "most_fields") => MatchMode::AnyToken,
            Some(other) => {
                return Err(SearchError::unsupported(format!(
                    "multi_match type {other}"
                )));
            }
        };
        let fields = fields_of(map.get("fields"));
        let kind = Kind::Match(Match {
            fields: if fields.is_empty() {
                vec!["*".to_owned()]
            } else {
                fields
            },
            text: map
                .get("query")
                .cloned()
                .ok_or_else(|| SearchError::parsing("No text specified for multi_match query"))?,
            mode,
            is_lenient: true,
        });
        Ok((kind, boost))
    }

    fn range(&self, map: &Map<String, Value>) -> Parsed {
        let (field, spec, mut weight) = self.field(map)?;
        let Value::Object(spec) = spec else {
            return Err(SearchError::parsing(
                "[range] query malformed, no start_object after query name",
            ));
        };
        weight *= self.only(
            spec,
            &[
                "gt",
                "gte",
                "lt",
                "lte",
                "from",
                "to",
                "include_lower",
                "include_upper",
                "format",
                "time_zone",
                "relation",
            ],
        )?;
        refuse(spec, self.name, &["time_zone"])?;
        let given = |key: &str| spec.get(key).filter(|value| !value.is_null()).cloned();
        let includes = |key: &str| spec.get(key) != Some(&Value::Bool(false));
        let from = given("gte")
            .map(|value| (value, true))
            .or_else(|| given("gt").map(|value| (value, false)))
            .or_else(|| given("from").map(|value| (value, includes("include_lower"))));
        let to = given("lte")
            .map(|value| (value, true))
            .or_else(|| given("lt").map(|value| (value, false)))
            .or_else(|| given("to").map(|value| (value, includes("include_upper"))));
        let kind = Kind::Range(Range {
            field: field.to_owned(),
            from,
            to,
        });
        Ok((kind, weight))
    }

    fn pattern(&self, map: &Map<String, Value>, is_prefix: bool) -> Parsed {
        let (field, spec, mut weight) = self.field(map)?;
        let mut ignore_case = false;
        let text = match spec {
            Value::Object(spec) => {
                weight *= self.only(
                    spec,
                    &["value", "wildcard", "prefix", "rewrite", "case_insensitive"],
                )?;
                ignore_case = flag(spec, "case_insensitive");
                spec.get("value")
                    .or_else(|| spec.get("wildcard"))
                    .or_else(|| spec.get("prefix"))
            }
            value => Some(value),
        };
        let text = text
            .and_then(scalar_text)
            .ok_or_else(|| SearchError::illegal("value cannot be null"))?;
        let field = field.to_owned();
        let kind = if is_prefix {
            Kind::Prefix {
                field,
                value: text,
                ignore_case,
            }
        } else {
            Kind::Wildcard {
                field,
                pattern: text,
                ignore_case,
            }
        };
        Ok((kind, weight))
    }

    fn boolean(&self, map: &Map<String, Value>) -> Parsed {
        let boost = self.only(
            map,
            &[
                "must",
                "filter",
                "should",
                "must_not",
                "mustNot",
                "minimum_should_match",
                "adjust_pure_negative",
            ],
        )?;
        let mut query = Bool {
            must: self.clauses(map.get("must"))?,
            filter: self.clauses(map.get("filter"))?,
            should: self.clauses(map.get("should"))?,
            must_not: self.clauses(map.get("must_not").or_else(|| map.get("mustNot")))?,
            minimum_should_match: None,
        };
        let clauses =
            query.must.len() + query.filter.len() + query.should.len() + query.must_not.len();
        if clauses > MAX_CLAUSES {
            return Err(SearchError::illegal(format!(
                "maxClauseCount is set to {MAX_CLAUSES}"
            )));
        }
        if let Some(minimum) = map.get("minimum_should_match") {
            query.minimum_should_match = Some(minimum_should_match(minimum, query.should.len())?);
        }
        Ok((Kind::Bool(Box::new(query)), boost))
    }

    fn clauses(&self, clauses: Option<&Value>) -> Result<Vec<Query>, SearchError> {
        match clauses {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(clauses)) => clauses
                .iter()
                .map(|clause| parse(clause, self.depth + 1))
                .collect(),
            Some(clause) => Ok(vec![parse(clause, self.depth + 1)?]),
        }
    }
}

/// `2`, `"2"`, `-1`, `"75%"`.
fn minimum_should_match(value: &Value, clauses: usize) -> Result<i64, SearchError> {
    let text = scalar_text(value).unwrap_or_default();
    let clauses = clauses as i64;
    let malformed = || SearchError::unsupported(format!("minimum_should_match [{text}]"));
    let number = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: i64 = percent.parse().map_err(|_| malformed())?;
            clauses * percent / 100
        }
        None => text.parse().map_err(|_| malformed())?,
    };
    Ok(if number < 0 {
        (clauses + number).max(0)
    } else {
        number
    })
}

fn check_terms(count: usize) -> Result<(), SearchError> {
    if count > MAX_TERMS {
        return Err(SearchError::illegal(format!(
            "The number of terms [{count}] used in the Terms Query request has exceeded the allowed maximum of [{MAX_TERMS}]. This maximum can be set by changing the [index.max_terms_count] index level setting."
        )));
    }
    Ok(())
}

fn refuse(map: &Map<String, Value>, name: &str, keys: &[&str]) -> Result<(), SearchError> {
    match keys.iter().find(|key| map.contains_key(**key)) {
        Some(key) => Err(SearchError::unsupported(format!("{name} with {key}"))),
        None => Ok(()),
    }
}

fn boost(map: &Map<String, Value>) -> f32 {
    map.get("boost").and_then(Value::as_f64).unwrap_or(1.0) as f32
}

pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    matches!(map.get(key), Some(Value::Bool(true)))
        || map.get(key).and_then(Value::as_str) == Some("true")
}

pub(super) fn is_and(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key)
        .and_then(Value::as_str)
        .is_some_and(|word| word.eq_ignore_ascii_case("and"))
}

/// Field names of a list or a single name, boosts (`title^2`) taken off.
pub(super) fn fields_of(value: Option<&Value>) -> Vec<String> {
    let bare = |name: &str| name.split('^').next().unwrap_or(name).to_owned();
    match value {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(bare).collect(),
        Some(Value::String(name)) => vec![bare(name)],
        _ => Vec::new(),
    }
}

/// Text of a string, number or boolean.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
