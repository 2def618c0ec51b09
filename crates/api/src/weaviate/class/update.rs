//! What may be changed of a class that exists.

use serde_json::{Map, Value};

use crate::weaviate::errors::WvError;

/// Checks a completed class that is to take the place of `old`.
///
/// # Errors
/// The first thing that may not change.
pub fn check_update(old: &Value, new: &Map<String, Value>) -> Result<(), WvError> {
    let text = |class: &Value| class.as_str().unwrap_or_default().to_owned();
    let (from, to) = (text(&old["class"]), text(&new["class"]));
    if from != to {
        return Err(immutable("class name", &from, &to));
    }
    let tenancy = |class: &Value| class["enabled"].as_bool() == Some(true);
    match (
        tenancy(&old["multiTenancyConfig"]),
        tenancy(&new["multiTenancyConfig"]),
    ) {
        (true, false) => {
            return Err(WvError::schema(
                "disabling multi-tenancy for an existing class is not supported",
            ));
        }
        (false, true) => {
            return Err(WvError::schema(
                "enabling multi-tenancy for an existing class is not supported",
            ));
        }
        _ => {}
    }
    check_kept_vectors(old, new)?;
    check_kept_properties(old, new)?;
    let shards = |class: &Value| class["desiredCount"].as_u64().unwrap_or_default();
    let (from, to) = (
        shards(&old["shardingConfig"]),
        shards(&new["shardingConfig"]),
    );
    if from != to {
        return Err(within(format!(
            "re-sharding not supported yet: shard count is immutable: attempted change from \"{from}\" to \"{to}\""
        )));
    }
    Ok(())
}

fn immutable(what: &str, from: &str, to: &str) -> WvError {
    WvError::schema(format!(
        "{what} is immutable: attempted change from {from:?} to {to:?}"
    ))
}

fn within(complaint: String) -> WvError {
    WvError::schema(format!(
        "updating schema: TYPE_UPDATE_CLASS: bad request :parse class update: {complaint}"
    ))
}

fn check_kept_vectors(old: &Value, new: &Map<String, Value>) -> Result<(), WvError> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let pairs = [
        ("vectorizer", "vectorizer"),
        ("vectorIndexType", "vector index type"),
    ];
    for (key, what) in pairs {
        let (from, to) = (text(old.get(key)), text(new.get(key)));
        if from != to {
            return Err(within(format!(
                "{what} is immutable: attempted change from {from:?} to {to:?}"
            )));
        }
    }
    let none = Map::new();
    let named = |class: Option<&Value>| class.and_then(Value::as_object).unwrap_or(&none).clone();
    let after = named(new.get("vectorConfig"));
    for (name, config) in named(old.get("vectorConfig")) {
        let Some(kept) = after.get(&name) else {
            return Err(within(format!("missing config for vector {name:?}")));
        };
        if kept["vectorIndexType"] != config["vectorIndexType"] {
            return Err(within(format!(
                "vector index type of vector {name:?} is immutable: attempted change from {} to {}",
                config["vectorIndexType"], kept["vectorIndexType"]
            )));
        }
        check_index(&config["vectorIndexConfig"], &kept["vectorIndexConfig"])?;
    }
    check_index(
        old.get("vectorIndexConfig").unwrap_or(&Value::Null),
        new.get("vectorIndexConfig").unwrap_or(&Value::Null),
    )
}

/// What vectors mean may not change under them.
fn check_index(old: &Value, new: &Value) -> Result<(), WvError> {
    for key in [
        "distance",
        "efConstruction",
        "maxConnections",
        "multivector",
    ] {
        if !old[key].is_null() && old[key] != new[key] {
            return Err(within(format!(
                "vector index config: {key} is immutable: attempted change from \"{}\" to \"{}\"",
                plain(&old[key]),
                plain(&new[key])
            )));
        }
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Descriptions may change; names, types and indices may not, and properties are added elsewhere.
fn check_kept_properties(old: &Value, new: &Map<String, Value>) -> Result<(), WvError> {
    let stripped = |list: Option<&Value>| -> Vec<Value> {
        let list = list
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let mut properties: Vec<Value> = list
            .iter()
            .map(|it| {
                let keys = ["name", "dataType", "tokenization"];
                keys.iter().map(|&key| it[key].clone()).collect()
            })
            .collect();
        properties.sort_by_key(Value::to_string);
        properties
    };
    let before = stripped(old.get("properties"));
    let after = stripped(new.get("properties"));
    // A list that was left out says nothing about the properties.
    if new.get("properties").is_none_or(Value::is_null) || before == after {
        return Ok(());
    }
    Err(WvError::schema(
        "updating schema: TYPE_UPDATE_CLASS: bad request :property fields other than description cannot be updated \
         through updating the class. Use the add property feature (e.g. \"POST /v1/schema/{className}/properties\") \
         to add additional properties",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weaviate::class::complete;
    use serde_json::json;

    fn change(old: Value, new: Value) -> String {
        let old = Value::Object(complete(old.as_object().unwrap()));
        match check_update(&old, &complete(new.as_object().unwrap())) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn descriptions_and_additions_pass() {
        let old = json!({"class": "A", "vectorConfig": {"a": {}}});
        let new = json!({"class": "A", "description": "d", "vectorConfig": {"a": {}, "b": {}}});
        assert_eq!(change(old, new), "fine");
    }

    #[test]
    fn what_the_objects_depend_on_stays() {
        let plain = json!({"class": "A"});
        assert_eq!(
            change(plain.clone(), json!({"class": "B"})),
            "class name is immutable: attempted change from \"A\" to \"B\""
        );
        assert_eq!(
            change(
                plain.clone(),
                json!({"class": "A", "vectorIndexType": "flat"})
            ),
            "updating schema: TYPE_UPDATE_CLASS: bad request :parse class update: vector index type is immutable: \
             attempted change from \"hnsw\" to \"flat\""
        );
        let with_property =
            json!({"class": "A", "properties": [{"name": "x", "dataType": ["text"]}]});
        assert!(change(plain.clone(), with_property).contains("add property feature"));
        assert!(
            change(
                plain,
                json!({"class": "A", "vectorIndexConfig": {"distance": "dot"}})
            )
            .contains("distance is immutable")
        );
    }
}
