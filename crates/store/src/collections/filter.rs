//! Filters made ready and asked of objects.

use std::cell::OnceCell;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::codec::Stored;
use super::{
    Comparison, Condition, Filter, FilterPath, FilterValue, GeoRange, ObjectId, Tokenization,
};
use crate::StoreError;

/// Mean radius of the Earth in metres.
const EARTH_RADIUS_M: f64 = 6_371_000.0;

/// One object while it is looked at; its properties are parsed when first asked for.
pub(super) struct Candidate<'a> {
    pub(super) id: &'a str,
    pub(super) stored: &'a Stored<'a>,
    properties: OnceCell<Map<String, Value>>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(id: &'a str, stored: &'a Stored<'a>) -> Self {
        Candidate {
            id,
            stored,
            properties: OnceCell::new(),
        }
    }

    pub(super) fn properties(&self) -> Result<&Map<String, Value>, StoreError> {
        if let Some(properties) = self.properties.get() {
            return Ok(properties);
        }
        let parsed = self.stored.properties(self.id)?;
        Ok(self.properties.get_or_init(|| parsed))
    }
}

/// A filter made ready.
pub(super) enum Matcher {
    All(Vec<Matcher>),
    Any(Vec<Matcher>),
    Not(Box<Matcher>),
    Is(FilterPath, Test),
}

/// What is asked of the values at a path.
pub(super) enum Test {
    /// Every token is there.
    Tokens(Vec<String>, Tokenization),
    /// Any token is in this order to the text.
    TextOrder(String, Tokenization, Order),
    /// Any token fits all of these patterns' … one token each.
    Like(Vec<Vec<char>>, Tokenization),
    Number(f64, Order),
    /// Nanoseconds since 1970.
    Moment(i128, Order),
    Boolean(bool),
    IsNull(bool),
    Within(GeoRange),
    /// A value that cannot be compared that way: nothing matches.
    Never,
}

/// How a value lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Order {
    fn holds(self, found: Option<std::cmp::Ordering>) -> bool {
        let Some(found) = found else {
            return false;
        };
        match self {
            Order::Equal => found.is_eq(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
        }
    }
}

impl Matcher {
    pub(super) fn new(filter: &Filter) -> Self {
        match filter {
            Filter::And(filters) => Matcher::All(filters.iter().map(Matcher::new).collect()),
            Filter::Or(filters) => Matcher::Any(filters.iter().map(Matcher::new).collect()),
            Filter::Not(filter) => Matcher::Not(Box::new(Matcher::new(filter))),
            Filter::Is(condition) => Self::condition(condition),
        }
    }

    fn condition(condition: &Condition) -> Self {
        let path = &condition.path;
        let is = |value: &FilterValue, order| Self::compare(path, value, order);
        let equal = |values: &[FilterValue]| -> Vec<Matcher> {
            values.iter().map(|value| is(value, Order::Equal)).collect()
        };
        let not = |matcher| Matcher::Not(Box::new(matcher));
        match &condition.comparison {
            Comparison::Equal(value) => is(value, Order::Equal),
            Comparison::NotEqual(value) => not(is(value, Order::Equal)),
            Comparison::GreaterThan(value) => is(value, Order::Greater),
            Comparison::GreaterThanEqual(value) => is(value, Order::GreaterOrEqual),
            Comparison::LessThan(value) => is(value, Order::Less),
            Comparison::LessThanEqual(value) => is(value, Order::LessOrEqual),
            Comparison::ContainsAny(values) => Matcher::Any(equal(values)),
            Comparison::ContainsAll(values) => Matcher::All(equal(values)),
            Comparison::ContainsNone(values) => not(Matcher::Any(equal(values))),
            Comparison::Like {
                pattern,
                tokenization,
            } => Matcher::Is(path.clone(), like(pattern, *tokenization)),
            Comparison::IsNull(is_null) => Matcher::Is(path.clone(), Test::IsNull(*is_null)),
            Comparison::WithinGeoRange(range) => Matcher::Is(path.clone(), Test::Within(*range)),
        }
    }

    fn compare(path: &FilterPath, value: &FilterValue, order: Order) -> Self {
        let is_time = matches!(path, FilterPath::CreationTime | FilterPath::LastUpdateTime);
        let test = match value {
            // Times are in milliseconds; as text they are either a number of them or a date.
            FilterValue::Text(text, _) | FilterValue::Date(text) if is_time => {
                match text
                    .parse::<i64>()
                    .ok()
                    .map(from_ms)
                    .or_else(|| moment(text))
                {
                    Some(moment) => Test::Moment(moment, order),
                    None => Test::Never,
                }
            }
            FilterValue::Number(ms) if is_time => Test::Moment(from_ms(*ms as i64), order),
            FilterValue::Number(number) => Test::Number(*number, order),
            FilterValue::Boolean(truth) if order == Order::Equal => Test::Boolean(*truth),
            FilterValue::Boolean(_) => Test::Never,
            FilterValue::Date(text) => match moment(text) {
                Some(moment) => Test::Moment(moment, order),
                None => Test::Never,
            },
            FilterValue::Text(text, tokenization) => {
                let text = match path {
                    FilterPath::Id => text.to_lowercase(),
                    _ => text.clone(),
                };
                if order == Order::Equal {
                    Test::Tokens(tokens(&text, *tokenization), *tokenization)
                } else {
                    Test::TextOrder(text, *tokenization, order)
                }
            }
        };
        Matcher::Is(path.clone(), test)
    }

    /// The only ids that can match, where the filter says so.
    pub(super) fn ids(filter: &Filter) -> Option<Vec<ObjectId>> {
        let id = |value: &FilterValue| match value {
            FilterValue::Text(text, _) => Some(text.parse().ok()),
            _ => None,
        };
        match filter {
            Filter::Is(Condition {
                path: FilterPath::Id,
                comparison,
            }) => {
                let ids: Option<Vec<Option<ObjectId>>> = match comparison {
                    Comparison::Equal(value) => Some(vec![id(value)?]),
                    Comparison::ContainsAny(values) => values.iter().map(id).collect(),
                    _ => None,
                };
                // What is no id at all is the id of nothing.
                let mut ids: Vec<ObjectId> = ids?.into_iter().flatten().collect();
                ids.sort_unstable();
                ids.dedup();
                Some(ids)
            }
            Filter::And(filters) => filters.iter().find_map(Self::ids),
            _ => None,
        }
    }

    pub(super) fn matches(&self, object: &Candidate<'_>) -> Result<bool, StoreError> {
        match self {
            Matcher::All(matchers) => {
                for matcher in matchers {
                    if !matcher.matches(object)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Matcher::Any(matchers) => {
                for matcher in matchers {
                    if matcher.matches(object)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Matcher::Not(matcher) => Ok(!matcher.matches(object)?),
            Matcher::Is(path, test) => Ok(test.holds(&values(path, object)?)),
        }
    }
}

/// The values at a path, arrays taken apart; nulls and what is not there give none.
pub(super) fn values(path: &FilterPath, object: &Candidate<'_>) -> Result<Vec<Value>, StoreError> {
    Ok(match path {
        FilterPath::Id => vec![Value::from(object.id)],
        FilterPath::CreationTime => vec![Value::from(object.stored.created_ms)],
        FilterPath::LastUpdateTime => vec![Value::from(object.stored.updated_ms)],
        FilterPath::Property(names) => {
            let mut found = Vec::new();
            collect(object.properties()?, names, &mut |value| {
                found.push(value.clone())
            });
            found
        }
        FilterPath::Length(names) => {
            vec![Value::from(length(object.properties()?, names))]
        }
    })
}

fn collect(object: &Map<String, Value>, names: &[String], visit: &mut dyn FnMut(&Value)) {
    let Some((name, rest)) = names.split_first() else {
        return;
    };
    if let Some(value) = object.get(name) {
        collect_value(value, rest, visit);
    }
}

fn collect_value(value: &Value, rest: &[String], visit: &mut dyn FnMut(&Value)) {
    match value {
        Value::Null => {}
        Value::Array(elements) => {
            for element in elements {
                collect_value(element, rest, visit);
            }
        }
        Value::Object(object) if !rest.is_empty() => collect(object, rest, visit),
        _ if rest.is_empty() => visit(value),
        _ => {}
    }
}

fn length(object: &Map<String, Value>, names: &[String]) -> u64 {
    let Some((name, rest)) = names.split_first() else {
        return 0;
    };
    match object.get(name) {
        Some(Value::Object(inner)) if !rest.is_empty() => length(inner, rest),
        Some(Value::Array(elements)) if rest.is_empty() => elements.len() as u64,
        Some(Value::String(text)) if rest.is_empty() => text.chars().count() as u64,
        _ => 0,
    }
}

impl Test {
    fn holds(&self, values: &[Value]) -> bool {
        let texts = || values.iter().filter_map(Value::as_str);
        match self {
            Test::Never => false,
            Test::IsNull(wanted) => values.is_empty() == *wanted,
            Test::Boolean(truth) => values.iter().any(|value| value.as_bool() == Some(*truth)),
            Test::Number(number, order) => values
                .iter()
                .filter_map(Value::as_f64)
                .any(|value| order.holds(value.partial_cmp(number))),
            Test::Moment(wanted, order) => values
                .iter()
                .filter_map(value_moment)
                .any(|value| order.holds(Some(value.cmp(wanted)))),
            Test::Tokens(wanted, tokenization) => {
                let found: HashSet<String> = texts()
                    .flat_map(|text| tokens(text, *tokenization))
                    .collect();
                !wanted.is_empty() && wanted.iter().all(|token| found.contains(token))
            }
            Test::TextOrder(wanted, tokenization, order) => texts()
                .flat_map(|text| tokens(text, *tokenization))
                .any(|token| order.holds(Some(token.as_str().cmp(wanted)))),
            Test::Like(patterns, tokenization) => {
                let found: Vec<Vec<char>> = texts()
                    .flat_map(|text| tokens(text, *tokenization))
                    .map(|token| token.chars().collect())
                    .collect();
                let fits = |pattern: &Vec<char>| found.iter().any(|token| fits(pattern, token));
                !patterns.is_empty() && patterns.iter().all(fits)
            }
            Test::Within(range) => values.iter().any(|value| is_within(range, value)),
        }
    }
}

fn like(pattern: &str, tokenization: Tokenization) -> Test {
    let is_kept = |character: char| character == '*' || character == '?';
    let patterns = cut(pattern, tokenization, is_kept);
    let patterns = patterns.iter().map(|pattern| pattern.chars().collect());
    Test::Like(patterns.collect(), tokenization)
}

/// The tokens of a text.
fn tokens(text: &str, tokenization: Tokenization) -> Vec<String> {
    cut(text, tokenization, |_| false)
}

fn cut(text: &str, tokenization: Tokenization, is_kept: impl Fn(char) -> bool) -> Vec<String> {
    match tokenization {
        Tokenization::Word => text
            .split(|character: char| !character.is_alphanumeric() && !is_kept(character))
            .filter(|token| !token.is_empty())
            .map(str::to_lowercase)
            .collect(),
        Tokenization::Lowercase => text.split_whitespace().map(str::to_lowercase).collect(),
        Tokenization::Whitespace => text.split_whitespace().map(str::to_owned).collect(),
        Tokenization::Field => vec![text.trim().to_owned()],
        Tokenization::Exact => vec![text.to_owned()],
    }
}

/// Whether a text fits a pattern with `?` and `*`. Takes time proportional to the product of the lengths.
fn fits(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go on after the last star, one character further each time.
    let mut retry: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at, seen));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star, from)) = retry else {
                    return false;
                };
                retry = Some((star, from + 1));
                at = star + 1;
                seen = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

fn from_ms(ms: i64) -> i128 {
    i128::from(ms) * 1_000_000
}

/// A text in RFC 3339 as nanoseconds since 1970.
pub(super) fn moment(text: &str) -> Option<i128> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    Some(timestamp.as_nanosecond())
}

/// A stored value as a moment: a date, or the milliseconds of a creation time.
fn value_moment(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => moment(text),
        Value::Number(ms) => ms.as_i64().map(from_ms),
        _ => None,
    }
}

fn is_within(range: &GeoRange, value: &Value) -> bool {
    let degrees = |name: &str| value.get(name).and_then(Value::as_f64);
    let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) else {
        return false;
    };
    // The haversine formula.
    let (here, there) = (range.latitude.to_radians(), latitude.to_radians());
    let half_height = ((there - here) / 2.0).sin();
    let half_width = ((longitude - range.longitude).to_radians() / 2.0).sin();
    let chord = half_height * half_height + here.cos() * there.cos() * half_width * half_width;
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin() <= range.max_distance_m
}

#[cfg(test)]
mod tests;
