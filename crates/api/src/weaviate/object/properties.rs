//! Checks of an object's properties against its class, and the form in which they are kept.
//!
//! Kept are: UUIDs in lower case, whole numbers as a double would hold them, coordinates in single precision, phone
//! numbers completed, references as `[{"beacon": …}]` with their class. What is null is left out. Properties are
//! sorted by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use super::beacon::Beacon;
use super::input::parse_id;
use crate::weaviate::class::{ClassSchema, DataType, PropertySchema, complete_phone};

/// Asks whether the target of a reference exists, and fills in its class where the beacon names none.
pub type Resolve<'a> = &'a mut dyn FnMut(&PropertySchema, Beacon) -> Result<Beacon, String>;

/// What Go calls the type of a decoded value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as `%v` prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Checks properties and brings them into the form in which they are kept.
///
/// # Errors
/// The first complaint, without the class of error before it.
pub fn check_and_normalise(
    class: &ClassSchema,
    properties: Map<String, Value>,
    resolve: Resolve<'_>,
) -> Result<Map<String, Value>, String> {
    let mut given: Vec<(String, Value)> = properties.into_iter().collect();
    given.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut kept = Map::new();
    for (name, value) in given {
        let Some(property) = class.property(&name) else {
            return Err(format!(
                "no such prop with name '{name}' found in class '{}' in the schema. Check your schema files for which \
                 properties in this class are available",
                class.name
            ));
        };
        if value.is_null() {
            continue;
        }
        kept.insert(name, normalise(class, property, value, resolve)?);
    }
    Ok(kept)
}

fn normalise(
    class: &ClassSchema,
    property: &PropertySchema,
    value: Value,
    resolve: Resolve<'_>,
) -> Result<Value, String> {
    if property.data_type.is_reference() {
        return references(class, property, value, resolve);
    }
    let context = |complaint| {
        format!(
            "invalid {} property '{}' on class '{}': {complaint}",
            word(&property.data_type),
            property.name,
            class.name
        )
    };
    if let Some(element) = property.data_type.element() {
        let Value::Array(items) = value else {
            let expected = word(&property.data_type);
            let article = if expected.starts_with(['a', 'i', 'o']) {
                "an"
            } else {
                "a"
            };
            return Err(context(format!(
                "not {article} {expected}, but {}",
                go_type(&value)
            )));
        };
        let items: Result<Vec<Value>, String> = items
            .into_iter()
            .map(|item| single(&element, property, item))
            .collect();
        return items.map(Value::Array).map_err(context);
    }
    single(&property.data_type, property, value).map_err(context)
}

/// What errors call a type.
fn word(data_type: &DataType) -> String {
    match data_type {
        DataType::Int => "integer".to_owned(),
        DataType::IntArray => "integer array".to_owned(),
        other => match other.element() {
            Some(element) => format!("{element} array"),
            None => other.to_string(),
        },
    }
}

fn single(data_type: &DataType, property: &PropertySchema, value: Value) -> Result<Value, String> {
    match data_type {
        DataType::Text => match value {
            Value::String(_) => Ok(value),
            other => Err(format!("not a string, but {}", go_type(&other))),
        },
        DataType::Int => int(value),
        DataType::Number => match value.as_f64() {
            Some(number) => Ok(json!(number)),
            None => Err(format!(
                "requires a float, the given value is '{}'",
                shown(&value)
            )),
        },
        DataType::Boolean => match value {
            Value::Bool(_) => Ok(value),
            other => Err(format!(
                "requires a bool, the given value is '{}'",
                shown(&other)
            )),
        },
        DataType::Date => match &value {
            Value::String(text) if is_date(text) => Ok(value),
            other => Err(format!(
                "requires a string with a RFC3339 formatted date, but the given value is '{}'",
                shown(other)
            )),
        },
        DataType::Uuid => match value.as_str().map(|text| parse_id(text, "", "")) {
            Some(Ok(Some(id))) => Ok(json!(id)),
            _ => Err(format!(
                "requires a string of UUID format, but the given value is '{}'",
                shown(&value)
            )),
        },
        DataType::Blob => match &value {
            Value::String(text) if !text.is_empty() && STANDARD.decode(text).is_ok() => Ok(value),
            Value::String(_) => Err("not a valid blob base64 string".to_owned()),
            other => Err(format!("not a blob base64 string, but {}", go_type(other))),
        },
        DataType::GeoCoordinates => geo(&value),
        DataType::PhoneNumber => match &value {
            Value::Object(map) => complete_phone(map).map(Value::Object),
            other => Err(format!(
                "phoneNumber must be a map, but got: {}",
                go_type(other)
            )),
        },
        DataType::Object => match value {
            Value::Object(map) => nested(property, map),
            other => Err(format!(
                "object must be a map, but got: {}",
                go_type(&other)
            )),
        },
        // Arrays were taken apart, references are handled elsewhere.
        other => Err(format!("a value of type {other} cannot stand here")),
    }
}

fn is_date(text: &str) -> bool {
    // RFC 3339 has a `T` or `t` between date and time; the parser would take a blank, too.
    text.as_bytes()
        .get(10)
        .is_some_and(|byte| matches!(byte, b'T' | b't'))
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// Whole numbers are kept as a double holds them.
fn int(value: Value) -> Result<Value, String> {
    let Value::Number(number) = &value else {
        return Err(format!(
            "requires an integer, the given value is '{}'",
            shown(&value)
        ));
    };
    // 2^63 as a double is the first that does not fit.
    let limit = 9_223_372_036_854_775_808.0;
    match number.as_f64() {
        Some(double) if double.fract() == 0.0 && double >= -limit && double < limit => {
            Ok(json!(double as i64))
        }
        _ => Err(format!(
            "the JSON number '{number}' could not be converted to an int"
        )),
    }
}

/// The double that prints like the single-precision number.
fn single_precision(value: f64) -> Option<Number> {
    let text = (value as f32).to_string();
    Number::from_f64(text.parse().ok()?)
}

fn geo(value: &Value) -> Result<Value, String> {
    let Value::Object(map) = value else {
        return Err(format!(
            "geoCoordinates must be a map, but got: {}",
            go_type(value)
        ));
    };
    let mut kept = Map::new();
    for key in ["latitude", "longitude"] {
        let Some(given) = map.get(key).filter(|it| !it.is_null()) else {
            return Err(format!("geoCoordinates is missing required field '{key}'"));
        };
        let Some(number) = given.as_f64().and_then(single_precision) else {
            return Err(format!(
                "geoCoordinates field '{key}' must be a number, but got: {}",
                go_type(given)
            ));
        };
        kept.insert(key.to_owned(), Value::Number(number));
    }
    Ok(Value::Object(kept))
}

fn nested(property: &PropertySchema, map: Map<String, Value>) -> Result<Value, String> {
    let mut given: Vec<(String, Value)> = map.into_iter().collect();
    given.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut kept = Map::new();
    for (name, value) in given {
        let Some(inner) = property.nested.iter().find(|it| it.name == name) else {
            return Err(format!("unknown nested property '{name}'"));
        };
        if value.is_null() {
            continue;
        }
        let normalised = match (inner.data_type.element(), value) {
            (Some(element), Value::Array(items)) => items
                .into_iter()
                .map(|item| single(&element, inner, item))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            (Some(_), other) => Err(format!("not an array, but {}", go_type(&other))),
            (None, value) => single(&inner.data_type, inner, value),
        };
        let normalised = normalised.map_err(|complaint| {
            format!(
                "invalid nested {} property '{name}': {complaint}",
                inner.data_type
            )
        })?;
        kept.insert(name, normalised);
    }
    Ok(Value::Object(kept))
}

fn references(
    class: &ClassSchema,
    property: &PropertySchema,
    value: Value,
    resolve: Resolve<'_>,
) -> Result<Value, String> {
    let Value::Array(items) = value else {
        return Err(format!(
            "invalid cref: class '{}' with property '{}' requires a list of references, but the given value is '{}'",
            class.name,
            property.name,
            shown(&value)
        ));
    };
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item["beacon"].as_str() else {
            return Err(format!(
                "invalid cref: 'cref' {}:{}: missing or malformed 'beacon'",
                class.name, property.name
            ));
        };
        let beacon =
            Beacon::parse(text).map_err(|complaint| format!("invalid cref URI: {complaint}"))?;
        let beacon = resolve(property, beacon).map_err(|complaint| {
            format!(
                "invalid cref: 'cref' {}:{}: {complaint}",
                class.name, property.name
            )
        })?;
        kept.push(json!({"beacon": beacon.to_string()}));
    }
    Ok(Value::Array(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> ClassSchema {
        let types = [
            ("t", "text"),
            ("ts", "text[]"),
            ("i", "int"),
            ("is", "int[]"),
            ("n", "number"),
            ("b", "boolean"),
            ("d", "date"),
            ("u", "uuid"),
            ("us", "uuid[]"),
            ("geo", "geoCoordinates"),
            ("blob", "blob"),
            ("ref", "Other"),
        ];
        let mut properties: Vec<Value> = types
            .iter()
            .map(|(name, data_type)| json!({"name": name, "dataType": [data_type]}))
            .collect();
        properties.push(json!({"name": "o", "dataType": ["object"],
            "nestedProperties": [{"name": "y", "dataType": ["int"]}]}));
        ClassSchema::parse("AllTypes", &json!({"properties": properties}))
    }

    fn kept(properties: Value) -> Result<Value, String> {
        let Value::Object(map) = properties else {
            panic!("not an object");
        };
        check_and_normalise(&class(), map, &mut |_, beacon| {
            if beacon.id.0[15] == 0x4d {
                Err(format!("no object with id {} found", beacon.id))
            } else {
                Ok(beacon)
            }
        })
        .map(Value::Object)
    }

    #[test]
    fn values_take_the_form_of_their_type() {
        let properties = kept(json!({
            "u": "ABCDEF00-0000-4000-8000-000000000001", "i": 9_007_199_254_740_993_i64, "t": null,
            "geo": {"latitude": 52.3932696, "longitude": 4.8374263}, "o": {"y": 3, "x": null},
        }));
        assert_eq!(
            properties.unwrap_err(),
            "invalid object property 'o' on class 'AllTypes': unknown nested property 'x'"
        );
        let properties = kept(json!({
            "u": "ABCDEF00-0000-4000-8000-000000000001", "i": 9_007_199_254_740_993_i64, "t": null,
            "geo": {"latitude": 52.3932696, "longitude": 4.8374263}, "o": {"y": 3},
            "d": "2024-02-29T12:34:56.123456789+02:00", "n": -0.0,
        }))
        .unwrap();
        assert_eq!(
            properties.to_string(),
            r#"{"d":"2024-02-29T12:34:56.123456789+02:00","geo":{"latitude":52.39327,"longitude":4.837426},"i":9007199254740992,"n":-0.0,"o":{"y":3},"u":"abcdef00-0000-4000-8000-000000000001"}"#
        );
    }

    #[test]
    fn wrong_values_are_told_in_a_real_servers_words() {
        let cases = [
            (
                json!({"t": 3}),
                "invalid text property 't' on class 'AllTypes': not a string, but json.Number",
            ),
            (
                json!({"i": "ten"}),
                "invalid integer property 'i' on class 'AllTypes': requires an integer, the given value is 'ten'",
            ),
            (
                json!({"i": 1.5}),
                "invalid integer property 'i' on class 'AllTypes': the JSON number '1.5' could not be converted to an int",
            ),
            (
                json!({"d": "yesterday"}),
                "invalid date property 'd' on class 'AllTypes': requires a string with a RFC3339 formatted date, but the given value is 'yesterday'",
            ),
            (
                json!({"u": "x"}),
                "invalid uuid property 'u' on class 'AllTypes': requires a string of UUID format, but the given value is 'x'",
            ),
            (
                json!({"blob": "***"}),
                "invalid blob property 'blob' on class 'AllTypes': not a valid blob base64 string",
            ),
            (
                json!({"geo": {"latitude": 1}}),
                "invalid geoCoordinates property 'geo' on class 'AllTypes': geoCoordinates is missing required field 'longitude'",
            ),
            (
                json!({"ref": [{"beacon": "nope"}]}),
                "invalid cref URI: path must be of format '<class>/<uuid>', but got 'nope'",
            ),
            (
                json!({"ref": [{"beacon": "weaviate://localhost/Other/00000000-0000-4000-8000-00000000004d"}]}),
                "invalid cref: 'cref' AllTypes:ref: no object with id 00000000-0000-4000-8000-00000000004d found",
            ),
        ];
        for (properties, expected) in cases {
            assert_eq!(kept(properties).unwrap_err(), expected);
        }
        assert!(
            kept(json!({"x": 1}))
                .unwrap_err()
                .starts_with("no such prop with name 'x' found in class 'AllTypes'")
        );
    }

    #[test]
    fn references_are_kept_without_their_href() {
        let reference = json!([{"beacon": "weaviate://localhost/other/00000000-0000-4000-8000-000000000001", "href": "/x"}]);
        assert_eq!(
            kept(json!({"ref": reference})).unwrap(),
            json!({"ref": [{"beacon": "weaviate://localhost/Other/00000000-0000-4000-8000-000000000001"}]})
        );
    }
}
