//! Filters in the shape of REST's `where`.

use serde_json::{Value, json};

use super::proto::{FilterOperator, FilterTargetKind, FilterTest, Filters};

/// Deepest nesting that is translated; the decoder stops before.
const MAX_DEPTH: usize = 64;

/// The clause.
///
/// # Errors
/// The complaint.
pub(super) fn clause(filters: &Filters) -> Result<Value, String> {
    translate(filters, 0)
}

fn translate(filters: &Filters, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("filters may be nested {MAX_DEPTH} deep"));
    }
    let operator = FilterOperator::try_from(filters.operator)
        .ok()
        .and_then(word);
    let operator = operator.ok_or_else(|| {
        format!(
            "filter operator {} is not offered by this server",
            filters.operator
        )
    })?;
    if matches!(operator, "And" | "Or" | "Not") {
        let operands = filters.filters.iter().map(|it| translate(it, depth + 1));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        return Ok(json!({"operator": operator, "operands": operands}));
    }
    let (name, value) = value(filters.test_value.as_ref())?;
    Ok(json!({"operator": operator, "path": path(filters)?, name: value}))
}

fn word(operator: FilterOperator) -> Option<&'static str> {
    Some(match operator {
        FilterOperator::Unspecified => return None,
        FilterOperator::Equal => "Equal",
        FilterOperator::NotEqual => "NotEqual",
        FilterOperator::GreaterThan => "GreaterThan",
        FilterOperator::GreaterThanEqual => "GreaterThanEqual",
        FilterOperator::LessThan => "LessThan",
        FilterOperator::LessThanEqual => "LessThanEqual",
        FilterOperator::And => "And",
        FilterOperator::Or => "Or",
        FilterOperator::WithinGeoRange => "WithinGeoRange",
        FilterOperator::Like => "Like",
        FilterOperator::IsNull => "IsNull",
        FilterOperator::ContainsAny => "ContainsAny",
        FilterOperator::ContainsAll => "ContainsAll",
        FilterOperator::ContainsNone => "ContainsNone",
        FilterOperator::Not => "Not",
    })
}

fn path(filters: &Filters) -> Result<Value, String> {
    match filters.target.as_ref().and_then(|it| it.target.as_ref()) {
        Some(FilterTargetKind::Property(name)) => Ok(json!([name])),
        Some(FilterTargetKind::Count(count)) => Ok(json!([count.on])),
        Some(FilterTargetKind::SingleTarget(_) | FilterTargetKind::MultiTarget(_)) => {
            Err("filters along references are not offered by this server".to_owned())
        }
        None => Ok(json!(filters.on)),
    }
}

/// The key of a value and the value. The type of the property decides what a text is: a date and a uuid come as texts too.
fn value(test: Option<&FilterTest>) -> Result<(&'static str, Value), String> {
    Ok(match test {
        None => return Err("a filter has no value".to_owned()),
        Some(FilterTest::Text(text)) => ("valueText", json!(text)),
        Some(FilterTest::Int(number)) => ("valueInt", json!(number)),
        Some(FilterTest::Boolean(truth)) => ("valueBoolean", json!(truth)),
        Some(FilterTest::Number(number)) => ("valueNumber", json!(number)),
        Some(FilterTest::TextArray(list)) => ("valueText", json!(list.values)),
        Some(FilterTest::IntArray(list)) => ("valueInt", json!(list.values)),
        Some(FilterTest::BooleanArray(list)) => ("valueBoolean", json!(list.values)),
        Some(FilterTest::NumberArray(list)) => ("valueNumber", json!(list.values)),
        Some(FilterTest::Geo(geo)) => (
            "valueGeoRange",
            json!({
                "geoCoordinates": {"latitude": geo.latitude, "longitude": geo.longitude},
                "distance": {"max": geo.distance},
            }),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::proto::{FilterTarget, TextArray};
    use super::*;

    fn is(operator: FilterOperator, name: &str, value: FilterTest) -> Filters {
        Filters {
            operator: operator.into(),
            test_value: Some(value),
            target: Some(FilterTarget {
                target: Some(FilterTargetKind::Property(name.into())),
            }),
            ..Filters::default()
        }
    }

    #[test]
    fn conditions_and_their_combinations_read_as_in_rest() {
        let words = TextArray {
            values: vec!["a".into(), "b".into()],
        };
        let filters = Filters {
            operator: FilterOperator::And.into(),
            filters: vec![
                is(
                    FilterOperator::ContainsAny,
                    "title",
                    FilterTest::TextArray(words),
                ),
                is(FilterOperator::LessThan, "size", FilterTest::Int(3)),
            ],
            ..Filters::default()
        };
        let expected = json!({"operator": "And", "operands": [
            {"operator": "ContainsAny", "path": ["title"], "valueText": ["a", "b"]},
            {"operator": "LessThan", "path": ["size"], "valueInt": 3},
        ]});
        assert_eq!(clause(&filters).unwrap(), expected);
    }

    #[test]
    fn a_way_along_references_is_refused_by_name() {
        let mut filters = is(FilterOperator::Equal, "x", FilterTest::Int(1));
        filters.target = Some(FilterTarget {
            target: Some(FilterTargetKind::SingleTarget(Default::default())),
        });
        assert!(clause(&filters).unwrap_err().contains("references"));
    }
}
