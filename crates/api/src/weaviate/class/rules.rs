//! What a class must be to be accepted, in the order in which a real server looks.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::data_type::DataType;
use super::names::{check_class_name, check_property_name};
use crate::weaviate::errors::WvError;

const TOKENIZATIONS: [&str; 9] = [
    "word",
    "lowercase",
    "whitespace",
    "field",
    "trigram",
    "gse",
    "kagome_kr",
    "kagome_ja",
    "gse_ch",
];

const VECTOR_INDEX_TYPES: [&str; 4] = ["hnsw", "flat", "dynamic", "hfresh"];
const DISTANCES: [&str; 5] = ["cosine", "dot", "l2-squared", "hamming", "manhattan"];

/// Deepest nesting of properties.
const MAX_NESTING: usize = 64;

/// What a class is checked against.
pub struct Surroundings<'a> {
    /// Whether a class of that name exists.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// Most shards of one class.
    pub max_shards: usize,
}

/// Checks what the request's framework checks before anything else: values of enumerations.
fn check_enums(properties: &[Value], path: &str, depth: usize) -> Result<(), WvError> {
    for (position, property) in properties.iter().enumerate() {
        let place = format!("{path}.{position}");
        if let Some(given) = property["tokenization"].as_str()
            && !given.is_empty()
            && !TOKENIZATIONS.contains(&given)
        {
            return Err(WvError::not_among(
                &format!("{place}.tokenization"),
                "body",
                &TOKENIZATIONS,
            ));
        }
        if let Some(nested) = property["nestedProperties"].as_array() {
            if depth >= MAX_NESTING {
                return Err(WvError::schema(format!(
                    "properties may be nested {MAX_NESTING} deep"
                )));
            }
            check_enums(nested, &format!("{place}.nestedProperties"), depth + 1)?;
        }
    }
    Ok(())
}

/// Checks a completed class.
///
/// # Errors
/// The first complaint.
pub fn check_class(class: &Map<String, Value>, around: &Surroundings<'_>) -> Result<(), WvError> {
    let name = class["class"].as_str().unwrap_or_default();
    let properties = list(class.get("properties"));
    check_enums(properties, "properties", 0)?;
    check_class_name(name).map_err(WvError::schema)?;
    if class.contains_key("vectorConfig") && class.contains_key("vectorIndexType") {
        return Err(WvError::schema(
            "creating a class with both a class level vector index and named vectors is forbidden",
        ));
    }
    // Kept silently, it would promise that objects go when they do not.
    let expires = class
        .get("objectTtlConfig")
        .is_some_and(|it| it["enabled"].as_bool() == Some(true));
    if expires {
        return Err(WvError::not_offered("objectTtlConfig (expiry of objects)").into_schema());
    }
    check_properties(name, &[], properties, around)?;
    check_vectors(class)?;
    check_sharding(class, around)
}

fn check_sharding(class: &Map<String, Value>, around: &Surroundings<'_>) -> Result<(), WvError> {
    let factor = class["replicationConfig"]["factor"].as_i64().unwrap_or(1);
    if factor > 1 {
        return Err(WvError::schema(format!(
            "init sharding state: could not find enough weaviate nodes for replication: 1 available, {factor} requested"
        )));
    }
    let shards = class["shardingConfig"]["desiredCount"]
        .as_u64()
        .unwrap_or(1);
    let is_bounded = usize::try_from(shards).is_ok_and(|count| count <= around.max_shards);
    if !is_bounded {
        return Err(WvError::schema(format!(
            "shardingConfig.desiredCount is {shards}; at most {} shards are possible",
            around.max_shards
        )));
    }
    Ok(())
}

fn check_vectors(class: &Map<String, Value>) -> Result<(), WvError> {
    if let Some(kind) = class.get("vectorIndexType") {
        check_index(kind, &class["vectorIndexConfig"])?;
        check_vectorizer(class["vectorizer"].as_str().unwrap_or_default())?;
    }
    for (name, config) in class
        .get("vectorConfig")
        .and_then(Value::as_object)
        .unwrap_or(&Map::new())
    {
        if !is_vector_name(name) {
            return Err(WvError::schema(format!(
                "'{name}' is not a valid vector name. Vector names in Weaviate are restricted to valid GraphQL \
                 names, which must be “/[_A-Za-z][_0-9A-Za-z]{{0,230}}/”"
            )));
        }
        check_index(&config["vectorIndexType"], &config["vectorIndexConfig"])?;
        match config["vectorizer"].as_object() {
            Some(modules) if modules.len() == 1 => {
                modules.keys().try_for_each(|it| check_vectorizer(it))?;
            }
            _ => {
                return Err(WvError::schema(format!(
                    "vectorizer for target vector {name:?} must consist of exactly 1 configuration"
                )));
            }
        }
    }
    Ok(())
}

fn is_vector_name(name: &str) -> bool {
    let is_part = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    (1..=231).contains(&name.len())
        && name.bytes().all(is_part)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn check_vectorizer(name: &str) -> Result<(), WvError> {
    match name {
        "none" => Ok(()),
        other => Err(WvError::schema(format!(
            "vectorizer: no module with name {other:?} present"
        ))),
    }
}

fn check_index(kind: &Value, config: &Value) -> Result<(), WvError> {
    let kind = kind.as_str().unwrap_or_default();
    if !VECTOR_INDEX_TYPES.contains(&kind) {
        return Err(WvError::schema(format!(
            "unrecognized or unsupported vectorIndexType {kind:?}"
        )));
    }
    if !config.is_object() {
        return Err(WvError::schema(format!(
            "parse vector index config: input must be a non-nil map, but is {config}"
        )));
    }
    for place in [&config["distance"], &config["hnsw"]["distance"]] {
        if let Some(distance) = place.as_str()
            && !DISTANCES.contains(&distance)
        {
            return Err(WvError::schema(format!(
                "unrecognized distance metric {distance:?}, must be one of [{}]",
                DISTANCES.join(" ")
            )));
        }
    }
    Ok(())
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Checks completed properties that are to be added to those that a class has.
///
/// # Errors
/// The first complaint.
pub fn check_properties(
    class: &str,
    existing: &[Value],
    added: &[Value],
    around: &Surroundings<'_>,
) -> Result<(), WvError> {
    check_enums(added, "properties", 0)?;
    let lower = |property: &Value| property["name"].as_str().unwrap_or_default().to_lowercase();
    let mut names: HashSet<String> = existing.iter().map(lower).collect();
    for property in added {
        let name = property["name"].as_str().unwrap_or_default();
        check_property_name(name).map_err(WvError::schema)?;
        if !names.insert(lower(property)) {
            return Err(WvError::schema(format!(
                "class {class:?}: conflict for property {:?}: already in use or provided multiple times",
                lower(property)
            )));
        }
        check_property(class, property, around)?;
    }
    Ok(())
}

fn check_property(class: &str, property: &Value, around: &Surroundings<'_>) -> Result<(), WvError> {
    let name = property["name"].as_str().unwrap_or_default();
    let names: Vec<&str> = list(property.get("dataType"))
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let wrong = |complaint: String| {
        let all = names.join(" ");
        WvError::schema(format!(
            "property '{name}': invalid dataType: [{all}]: {complaint}"
        ))
    };
    let data_type = DataType::parse(&names);
    match (&data_type, names.as_slice()) {
        (_, []) => return Err(wrong("dataType must have at least one element".to_owned())),
        (None, [only, ..]) => return Err(wrong(format!("unknown primitive data type '{only}'"))),
        (Some(DataType::Reference(classes)), _) => {
            for target in classes {
                check_class_name(target).map_err(wrong)?;
            }
            if !classes.iter().all(|it| it == class || (around.exists)(it)) {
                return Err(WvError::schema(
                    "bad request: reference property to nonexistent class",
                ));
            }
        }
        _ => {}
    }
    let Some(data_type) = data_type else {
        return Ok(());
    };
    let tokenization = property["tokenization"].as_str().unwrap_or_default();
    if !tokenization.is_empty() && !data_type.is_text() {
        return Err(WvError::schema(match &data_type {
            DataType::Reference(_) => {
                "tokenization is not allowed for reference data type".to_owned()
            }
            other => format!("tokenization is not allowed for data type '{other}'"),
        }));
    }
    let nested = list(property.get("nestedProperties"));
    match (data_type.is_object(), nested.is_empty()) {
        (true, true) => Err(WvError::schema(format!(
            "property '{name}': At least one nested property is required for data type object/object[]"
        ))),
        (false, false) => Err(WvError::schema(format!(
            "property '{name}': nestedProperties not allowed for data types other than object/object[]"
        ))),
        _ => nested
            .iter()
            .try_for_each(|inner| check_nested(name, inner)),
    }
}

fn check_nested(path: &str, property: &Value) -> Result<(), WvError> {
    let name = property["name"].as_str().unwrap_or_default();
    let path = format!("{path}.{name}");
    check_property_name(name)
        .map_err(|complaint| WvError::schema(format!("property '{path}': {complaint}")))?;
    let names: Vec<&str> = list(property.get("dataType"))
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match DataType::parse(&names) {
        None | Some(DataType::Reference(_)) => Err(WvError::schema(format!(
            "property '{path}': invalid dataType: [{}]: unknown primitive data type '{}'",
            names.join(" "),
            names.first().unwrap_or(&"")
        ))),
        Some(data_type) if data_type.is_object() => {
            let nested = list(property.get("nestedProperties"));
            if nested.is_empty() {
                return Err(WvError::schema(format!(
                    "property '{path}': At least one nested property is required for data type object/object[]"
                )));
            }
            nested
                .iter()
                .try_for_each(|inner| check_nested(&path, inner))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weaviate::class::complete;
    use serde_json::json;

    fn complaint(class: Value) -> String {
        let around = Surroundings {
            exists: &|name| name == "Article",
            max_shards: 100,
        };
        let class = complete(class.as_object().unwrap());
        match check_class(&class, &around) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.message().to_owned(),
        }
    }

    fn of_property(property: Value) -> String {
        complaint(json!({"class": "PropTest", "properties": [property]}))
    }

    #[test]
    fn good_classes_pass() {
        assert_eq!(complaint(json!({"class": "A"})), "fine");
        assert_eq!(
            of_property(json!({"name": "x", "dataType": ["Article", "PropTest"]})),
            "fine"
        );
        assert_eq!(
            complaint(json!({"class": "A", "vectorConfig": {"a": {"vectorizer": {"none": {}}}}})),
            "fine"
        );
    }

    #[test]
    fn properties_need_a_name_and_a_type() {
        let cases = [
            (
                json!({"name": "x", "dataType": ["frob"]}),
                "property 'x': invalid dataType: [frob]: unknown primitive data type 'frob'",
            ),
            (
                json!({"name": "x", "dataType": ["Frob"]}),
                "bad request: reference property to nonexistent class",
            ),
            (
                json!({"name": "x"}),
                "property 'x': invalid dataType: []: dataType must have at least one element",
            ),
            (
                json!({"name": "x", "dataType": ["text", "int"]}),
                "property 'x': invalid dataType: [text int]: 'text' is not a valid class name",
            ),
            (
                json!({"name": "x", "dataType": ["int"], "tokenization": "word"}),
                "tokenization is not allowed for data type 'int'",
            ),
            (
                json!({"name": "x", "dataType": ["object"]}),
                "property 'x': At least one nested property is required for data type object/object[]",
            ),
            (
                json!({"name": "x", "dataType": ["text"], "tokenization": "frob"}),
                "properties.0.tokenization in body should be one of [word lowercase whitespace field trigram gse kagome_kr kagome_ja gse_ch]",
            ),
        ];
        for (property, expected) in cases {
            assert_eq!(of_property(property), expected);
        }
    }

    #[test]
    fn names_of_properties_differ_by_more_than_case() {
        let class = json!({"class": "PropTest", "properties": [
            {"name": "x", "dataType": ["text"]}, {"name": "X", "dataType": ["text"]}]});
        assert_eq!(
            complaint(class),
            "class \"PropTest\": conflict for property \"x\": already in use or provided multiple times"
        );
    }

    #[test]
    fn vectors_are_named_or_not_and_come_from_outside() {
        let cases = [
            (
                json!({"class": "Both", "vectorizer": "none", "vectorConfig": {"a": {"vectorizer": {"none": {}}}}}),
                "creating a class with both a class level vector index and named vectors is forbidden",
            ),
            (
                json!({"class": "A", "vectorizer": "text2vec-nope"}),
                "vectorizer: no module with name \"text2vec-nope\" present",
            ),
            (
                json!({"class": "A", "objectTtlConfig": {"enabled": true}}),
                "objectTtlConfig (expiry of objects) is not offered by this server",
            ),
            (
                json!({"class": "A", "vectorIndexType": "frob"}),
                "unrecognized or unsupported vectorIndexType \"frob\"",
            ),
            (
                json!({"class": "A", "replicationConfig": {"factor": 3}}),
                "init sharding state: could not find enough weaviate nodes for replication: 1 available, 3 requested",
            ),
        ];
        for (class, expected) in cases {
            assert_eq!(complaint(class), expected);
        }
    }
}
