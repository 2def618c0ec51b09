//! `where` clauses and sort keys of REST, GraphQL and gRPC, as the store understands them.

use serde_json::Value;
use snapkeep_store::collections::{
    Comparison, Condition, Filter, FilterPath, FilterValue, GeoRange, ObjectSort, Tokenization,
};

use super::class::{ClassSchema, DataType, PropertySchema};

/// Deepest nesting of a clause.
const MAX_DEPTH: usize = 64;

/// A clause `{"operator", "operands"}` or `{"operator", "path", "value…"}`.
///
/// # Errors
/// The complaint.
pub fn parse_where(class: &ClassSchema, clause: &Value) -> Result<Filter, String> {
    parse(class, clause, 0)
}

fn parse(class: &ClassSchema, clause: &Value, depth: usize) -> Result<Filter, String> {
    if depth > MAX_DEPTH {
        return Err(format!("where filters may be nested {MAX_DEPTH} deep"));
    }
    let operator = clause["operator"].as_str().unwrap_or_default();
    if !matches!(operator, "And" | "Or" | "Not") {
        return condition(class, operator, clause).map(Filter::Is);
    }
    let operands = match &clause["operands"] {
        Value::Array(operands) if !operands.is_empty() => operands.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(format!("operator '{operator}' set, but no operands set")),
    };
    let mut parsed = operands
        .iter()
        .map(|operand| parse(class, operand, depth + 1))
        .collect::<Result<Vec<_>, _>>()?;
    match operator {
        "And" => Ok(Filter::And(parsed)),
        "Or" => Ok(Filter::Or(parsed)),
        _ => match parsed.pop() {
            Some(operand) if parsed.is_empty() => Ok(Filter::Not(Box::new(operand))),
            _ => Err("operator 'Not' takes exactly one operand".to_owned()),
        },
    }
}

/// What a path leads to, and the type of what is there.
#[derive(Debug)]
struct Place {
    path: FilterPath,
    data_type: DataType,
    tokenization: Tokenization,
    name: String,
}

fn place(class: &ClassSchema, path: &Value) -> Result<Place, String> {
    let parts: Vec<&str> = match path {
        Value::String(only) => vec![only],
        Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let name = match parts.as_slice() {
        [] => return Err("invalid where filter: field 'path' must be set".to_owned()),
        [name] => *name,
        [name, ..] => {
            return Err(format!(
                "filters along references (path [{}], property '{name}') are not offered by this server",
                parts.join(" ")
            ));
        }
    };
    let fixed = |path, data_type| Place {
        path,
        data_type,
        tokenization: Tokenization::Exact,
        name: name.to_owned(),
    };
    match name {
        "id" | "_id" => return Ok(fixed(FilterPath::Id, DataType::Uuid)),
        "_creationTimeUnix" => return Ok(fixed(FilterPath::CreationTime, DataType::Date)),
        "_lastUpdateTimeUnix" => return Ok(fixed(FilterPath::LastUpdateTime, DataType::Date)),
        _ => {}
    }
    let inner = name
        .strip_prefix("len(")
        .and_then(|rest| rest.strip_suffix(')'));
    let property = property(class, inner.unwrap_or(name))?;
    // A reference is filtered by how many there are.
    if inner.is_some() || property.data_type.is_reference() {
        let path = FilterPath::Length(vec![property.name.clone()]);
        return Ok(fixed(path, DataType::Int));
    }
    Ok(Place {
        path: FilterPath::property(name),
        data_type: property
            .data_type
            .element()
            .unwrap_or_else(|| property.data_type.clone()),
        tokenization: property.tokenization,
        name: name.to_owned(),
    })
}

fn property<'a>(class: &'a ClassSchema, name: &str) -> Result<&'a PropertySchema, String> {
    class.property(name).ok_or_else(|| {
        format!(
            "no such prop with name '{name}' found in class '{}' in the schema. Check your schema files for which \
             properties in this class are available",
            class.name
        )
    })
}

/// The key of the value and the value.
fn given(clause: &Value) -> Option<(&str, &Value)> {
    let map = clause.as_object()?;
    map.iter()
        .find(|(key, value)| key.starts_with("value") && !value.is_null())
        .map(|(key, value)| (key.as_str(), value))
}

fn condition(class: &ClassSchema, operator: &str, clause: &Value) -> Result<Condition, String> {
    let place = place(class, &clause["path"])?;
    let Some((key, value)) = given(clause) else {
        return Err(format!(
            "got operator '{operator}', but no value<Type> field set"
        ));
    };
    let one = || convert(&place, key, single(value)?);
    let many = || -> Result<Vec<FilterValue>, String> {
        match value {
            Value::Array(items) => items.iter().map(|it| convert(&place, key, it)).collect(),
            only => Ok(vec![convert(&place, key, only)?]),
        }
    };
    let comparison = match operator {
        "Equal" => Comparison::Equal(one()?),
        "NotEqual" => Comparison::NotEqual(one()?),
        "GreaterThan" => Comparison::GreaterThan(one()?),
        "GreaterThanEqual" => Comparison::GreaterThanEqual(one()?),
        "LessThan" => Comparison::LessThan(one()?),
        "LessThanEqual" => Comparison::LessThanEqual(one()?),
        "ContainsAny" => Comparison::ContainsAny(many()?),
        "ContainsAll" => Comparison::ContainsAll(many()?),
        "ContainsNone" => Comparison::ContainsNone(many()?),
        "Like" => match (single(value)?.as_str(), &place.data_type) {
            (Some(pattern), DataType::Text | DataType::Uuid) => Comparison::Like {
                pattern: pattern.to_owned(),
                tokenization: place.tokenization,
            },
            _ => {
                return Err(format!(
                    "operator 'Like' needs a text value and a text property, but '{}' is of type {}",
                    place.name, place.data_type
                ));
            }
        },
        "IsNull" => match value.as_bool() {
            Some(wanted) => Comparison::IsNull(wanted),
            None => return Err("operator IsNull requires a boolean value".to_owned()),
        },
        "WithinGeoRange" => Comparison::WithinGeoRange(geo_range(value)?),
        "" => return Err("invalid where filter: field 'operator' must be set".to_owned()),
        other => return Err(format!("unrecognized operator: {other}")),
    };
    Ok(Condition {
        path: place.path,
        comparison,
    })
}

/// The value itself, or the only one of a list.
fn single(value: &Value) -> Result<&Value, String> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [only] => Ok(only),
            _ => Err("this operator takes one value, not a list".to_owned()),
        },
        other => Ok(other),
    }
}

fn convert(place: &Place, key: &str, value: &Value) -> Result<FilterValue, String> {
    let mismatch = |expected: &str| {
        let data_type = &place.data_type;
        format!(
            "data type filter cannot use \"{key}\" on type \"{data_type}\", use \"{expected}\" instead"
        )
    };
    match &place.data_type {
        DataType::Text | DataType::Blob => match value.as_str() {
            Some(text) if key.starts_with("valueText") || key.starts_with("valueString") => {
                Ok(FilterValue::Text(text.to_owned(), place.tokenization))
            }
            _ => Err(mismatch("valueText")),
        },
        DataType::Uuid => match value.as_str() {
            Some(text) => Ok(FilterValue::Text(
                text.to_ascii_lowercase(),
                Tokenization::Exact,
            )),
            None => Err(mismatch("valueText")),
        },
        DataType::Int | DataType::Number => match value.as_f64() {
            Some(number) => Ok(FilterValue::Number(number)),
            None if place.data_type == DataType::Int => Err(mismatch("valueInt")),
            None => Err(mismatch("valueNumber")),
        },
        DataType::Boolean => match value.as_bool() {
            Some(flag) => Ok(FilterValue::Boolean(flag)),
            None => Err(mismatch("valueBoolean")),
        },
        DataType::Date => match value {
            Value::String(text) => match text.parse::<f64>() {
                // The two times of an object may be given in milliseconds, as text.
                Ok(number) if place.path != FilterPath::property(&place.name) => {
                    Ok(FilterValue::Number(number))
                }
                _ if text.parse::<jiff::Timestamp>().is_ok() => Ok(FilterValue::Date(text.clone())),
                _ => Err(format!("trying parse time as RFC3339 string: {text:?}")),
            },
            Value::Number(number) => Ok(FilterValue::Number(number.as_f64().unwrap_or(0.0))),
            _ => Err(mismatch("valueDate")),
        },
        other => Err(format!(
            "property '{}' of type {other} cannot be filtered this way",
            place.name
        )),
    }
}

fn geo_range(value: &Value) -> Result<GeoRange, String> {
    let coordinates = &value["geoCoordinates"];
    let number = |value: &Value, name: &str| {
        value
            .as_f64()
            .ok_or_else(|| format!("valueGeoRange: field '{name}' must be a number"))
    };
    Ok(GeoRange {
        latitude: number(&coordinates["latitude"], "latitude")?,
        longitude: number(&coordinates["longitude"], "longitude")?,
        max_distance_m: number(&value["distance"]["max"], "distance.max")?,
    })
}

/// A key of a sort by the path of a property.
///
/// # Errors
/// The complaint.
pub fn sort_key(class: &ClassSchema, path: &Value, descending: bool) -> Result<ObjectSort, String> {
    let place =
        place(class, path).map_err(|complaint| format!("invalid 'sort' parameter: {complaint}"))?;
    let is_property = matches!(place.path, FilterPath::Property(_));
    Ok(ObjectSort {
        dates: is_property && place.data_type == DataType::Date,
        path: place.path,
        descending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class() -> ClassSchema {
        ClassSchema::parse(
            "Article",
            &json!({"properties": [
                {"name": "title", "dataType": ["text"], "tokenization": "field"},
                {"name": "wordCount", "dataType": ["int"]},
                {"name": "tags", "dataType": ["text[]"]},
                {"name": "when", "dataType": ["date"]},
                {"name": "ref", "dataType": ["Article"]},
            ]}),
        )
    }

    fn refused(clause: Value) -> String {
        parse_where(&class(), &clause).unwrap_err()
    }

    #[test]
    fn a_condition_compares_as_the_property_is_cut() {
        let clause = json!({"path": ["title"], "operator": "Equal", "valueText": "b 11"});
        let Filter::Is(condition) = parse_where(&class(), &clause).unwrap() else {
            panic!("not a condition");
        };
        assert_eq!(
            condition.comparison,
            Comparison::Equal(FilterValue::Text("b 11".into(), Tokenization::Field))
        );
    }

    #[test]
    fn conditions_combine() {
        let clause = json!({"operator": "And", "operands": [
            {"path": ["wordCount"], "operator": "GreaterThan", "valueInt": 8},
            {"operator": "Not", "operands": [{"path": "tags", "operator": "ContainsAny", "valueText": ["a", "b"]}]},
        ]});
        let Filter::And(operands) = parse_where(&class(), &clause).unwrap() else {
            panic!("not a conjunction");
        };
        assert!(matches!(&operands[1], Filter::Not(_)));
    }

    #[test]
    fn times_of_the_object_may_be_numbers_in_text() {
        let clause = json!({"path": ["_creationTimeUnix"], "operator": "LessThan", "valueText": "1700000000000"});
        let Filter::Is(condition) = parse_where(&class(), &clause).unwrap() else {
            panic!("not a condition");
        };
        assert_eq!(
            condition.comparison,
            Comparison::LessThan(FilterValue::Number(1_700_000_000_000.0))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            refused(json!({"path": ["x"], "operator": "Equal", "valueInt": 1}))
                .starts_with("no such prop")
        );
        assert_eq!(
            refused(json!({"path": ["wordCount"], "operator": "Equal", "valueText": "x"})),
            "data type filter cannot use \"valueText\" on type \"int\", use \"valueInt\" instead"
        );
        assert!(
            refused(
                json!({"path": ["ref", "Article", "title"], "operator": "Equal", "valueText": "x"})
            )
            .contains("not offered")
        );
        assert!(refused(json!({"operator": "And"})).contains("no operands"));
        assert_eq!(
            refused(json!({"path": ["title"], "operator": "Near", "valueText": "x"})),
            "unrecognized operator: Near"
        );
    }
}
