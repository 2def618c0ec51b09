//! What a real server fills in where a class says nothing. Clients parse these parts, so they must be there.

use serde_json::{Map, Value, json};

use super::data_type::DataType;
use super::names::capitalised;

/// Keys of a class that are found in any case; others are kept as they are.
const CLASS_KEYS: [&str; 13] = [
    "class",
    "description",
    "invertedIndexConfig",
    "moduleConfig",
    "multiTenancyConfig",
    "objectTtlConfig",
    "properties",
    "replicationConfig",
    "shardingConfig",
    "vectorConfig",
    "vectorIndexConfig",
    "vectorIndexType",
    "vectorizer",
];

const PROPERTY_KEYS: [&str; 11] = [
    "dataType",
    "description",
    "indexFilterable",
    "indexInverted",
    "indexRangeFilters",
    "indexSearchable",
    "moduleConfig",
    "name",
    "nestedProperties",
    "textAnalyzer",
    "tokenization",
];

const VIRTUAL_PER_PHYSICAL: u64 = 128;

/// Spells known keys as documented and drops those without a value; of a key given twice the last counts.
fn spelled(map: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let mut result = Map::new();
    for (key, value) in map {
        let name = known
            .iter()
            .find(|name| name.eq_ignore_ascii_case(key))
            .map_or(key.as_str(), |name| name);
        if !value.is_null() {
            result.insert(name.to_owned(), value.clone());
        }
    }
    result
}

/// `given` over `defaults`, object by object; what is null in `given` keeps its default.
fn merged(defaults: Value, given: Option<&Value>) -> Value {
    match (defaults, given) {
        (defaults, None | Some(Value::Null)) => defaults,
        (Value::Object(mut defaults), Some(Value::Object(given))) => {
            for (key, value) in given {
                let default = defaults.get(key).cloned().unwrap_or(Value::Null);
                defaults.insert(key.clone(), merged(default, Some(value)));
            }
            Value::Object(defaults)
        }
        (_, Some(given)) => given.clone(),
    }
}

fn hnsw() -> Value {
    json!({
        "skip": false, "cleanupIntervalSeconds": 300, "maxConnections": 32, "efConstruction": 128, "ef": -1,
        "dynamicEfMin": 100, "dynamicEfMax": 500, "dynamicEfFactor": 8, "vectorCacheMaxObjects": 1_000_000_000_000_u64,
        "flatSearchCutoff": 40_000, "distance": "cosine",
        "pq": {"enabled": false, "bitCompression": false, "segments": 0, "centroids": 256, "trainingLimit": 100_000,
            "encoder": {"type": "kmeans", "distribution": "log-normal"}},
        "bq": {"enabled": false},
        "sq": {"enabled": false, "trainingLimit": 100_000, "rescoreLimit": 20},
        "rq": {"enabled": false, "bits": 8, "rescoreLimit": 20},
        "filterStrategy": "acorn",
        "multivector": {"enabled": false, "muvera": {"enabled": false, "ksim": 4, "dprojections": 16, "repetitions": 10},
            "aggregation": "maxSim"},
        "skipDefaultQuantization": false, "trackDefaultQuantization": false,
    })
}

fn flat() -> Value {
    json!({
        "distance": "cosine", "vectorCacheMaxObjects": 1_000_000_000_000_u64,
        "pq": {"enabled": false, "rescoreLimit": -1, "cache": false},
        "bq": {"enabled": false, "rescoreLimit": -1, "cache": false},
        "sq": {"enabled": false, "rescoreLimit": -1, "cache": false},
        "rq": {"enabled": false, "rescoreLimit": -1, "cache": false, "bits": 8},
        "skipDefaultQuantization": false, "trackDefaultQuantization": false,
    })
}

/// `vectorIndexConfig` of a kind of index, completed.
fn vector_index_config(kind: &str, given: Option<&Value>) -> Value {
    let defaults = match kind {
        "flat" => flat(),
        "dynamic" => {
            json!({"distance": "cosine", "threshold": 10_000, "hnsw": hnsw(), "flat": flat()})
        }
        _ => hnsw(),
    };
    merged(defaults, given)
}

fn inverted_index_config(given: Option<&Value>) -> Value {
    let defaults = json!({
        "bm25": {"b": 0.75, "k1": 1.2}, "cleanupIntervalSeconds": 60,
        "stopwords": {"additions": null, "preset": "en", "removals": null}, "usingBlockMaxWAND": true,
    });
    merged(defaults, given)
}

fn sharding_config(multi_tenant: bool, given: Option<&Value>) -> Value {
    if multi_tenant {
        return json!({
            "virtualPerPhysical": 0, "desiredCount": 0, "actualCount": 0, "desiredVirtualCount": 0,
            "actualVirtualCount": 0, "key": "", "strategy": "", "function": "",
        });
    }
    let number = |key: &str, default: u64| {
        given
            .and_then(|it| it[key].as_u64())
            .filter(|count| *count > 0)
            .unwrap_or(default)
    };
    let per_physical = number("virtualPerPhysical", VIRTUAL_PER_PHYSICAL);
    let desired = number("desiredCount", 1);
    let virtual_count = per_physical.saturating_mul(desired);
    json!({
        "virtualPerPhysical": per_physical, "desiredCount": desired, "actualCount": desired,
        "desiredVirtualCount": virtual_count, "actualVirtualCount": virtual_count,
        "key": "_id", "strategy": "hash", "function": "murmur3",
    })
}

/// A property with everything filled in; also its nested properties.
pub fn complete_property(property: &Map<String, Value>) -> Map<String, Value> {
    let mut given = spelled(property, &PROPERTY_KEYS);
    let mut names: Vec<String> = match given.shift_remove("dataType") {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    // `string` is the old name of a text that is cut at white space only.
    let is_string = matches!(names.as_slice(), [only] if only == "string" || only == "string[]");
    if is_string {
        names = vec![names[0].replace("string", "text")];
    }
    let references: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_text = DataType::parse(&references).is_some_and(|it| it.is_text());
    // The old key for all indices of a property.
    let inverted = given.shift_remove("indexInverted");
    let inverted = inverted.and_then(|it| it.as_bool()).unwrap_or(true);
    let tokenization = match (is_string, is_text) {
        (true, _) => Some(json!("whitespace")),
        (false, true) => Some(json!("word")),
        _ => None,
    };
    let defaults = [
        ("description", None),
        ("indexFilterable", Some(json!(inverted))),
        ("indexRangeFilters", Some(json!(false))),
        ("indexSearchable", Some(json!(inverted && is_text))),
        ("name", None),
        ("tokenization", tokenization),
    ];

    let mut result = Map::new();
    result.insert("dataType".into(), json!(names));
    for (key, default) in defaults {
        let value = given.shift_remove(key).filter(|it| *it != json!(""));
        if let Some(value) = value.or(default) {
            result.insert(key.to_owned(), value);
        }
    }
    if let Some(Value::Array(nested)) = given.shift_remove("nestedProperties") {
        let nested: Vec<Value> = nested
            .iter()
            .filter_map(Value::as_object)
            .map(|it| Value::Object(complete_property(it)))
            .collect();
        if !nested.is_empty() {
            result.insert("nestedProperties".into(), Value::Array(nested));
        }
    }
    result.extend(given);
    result
}

/// A class with everything filled in.
pub fn complete(class: &Map<String, Value>) -> Map<String, Value> {
    let mut given = spelled(class, &CLASS_KEYS);
    let mut result = Map::new();
    let name = given.shift_remove("class");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
    result.insert("class".into(), json!(capitalised(name)));
    if let Some(description) = given
        .shift_remove("description")
        .filter(|it| *it != json!(""))
    {
        result.insert("description".into(), description);
    }
    let inverted = given.shift_remove("invertedIndexConfig");
    result.insert(
        "invertedIndexConfig".into(),
        inverted_index_config(inverted.as_ref()),
    );
    if let Some(modules) = given.shift_remove("moduleConfig") {
        result.insert("moduleConfig".into(), modules);
    }
    let tenancy = merged(
        json!({"autoTenantActivation": false, "autoTenantCreation": false, "enabled": false}),
        given.shift_remove("multiTenancyConfig").as_ref(),
    );
    let multi_tenant = tenancy["enabled"].as_bool() == Some(true);
    result.insert("multiTenancyConfig".into(), tenancy);
    let properties = match given.shift_remove("properties") {
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_object)
            .map(|it| Value::Object(complete_property(it)))
            .collect(),
        _ => Value::Null,
    };
    result.insert("properties".into(), properties);
    let sharding = given.shift_remove("shardingConfig");
    result.insert(
        "shardingConfig".into(),
        sharding_config(multi_tenant, sharding.as_ref()),
    );
    complete_vectors(&mut given, &mut result);
    let mut replication = merged(
        json!({"deletionStrategy": "TimeBasedResolution", "factor": 1, "asyncEnabled": false}),
        given.shift_remove("replicationConfig").as_ref(),
    );
    if replication["factor"]
        .as_i64()
        .is_none_or(|factor| factor < 1)
    {
        replication["factor"] = json!(1);
    }
    result.insert("replicationConfig".into(), replication);
    result.extend(given);
    result
}

/// Either named vectors or the three keys of the unnamed one.
fn complete_vectors(given: &mut Map<String, Value>, result: &mut Map<String, Value>) {
    let named = match given.shift_remove("vectorConfig") {
        Some(Value::Object(named)) => named,
        _ => Map::new(),
    };
    let legacy = ["vectorIndexConfig", "vectorIndexType", "vectorizer"];
    let mut unnamed: Map<String, Value> = Map::new();
    for key in legacy {
        if let Some(value) = given.shift_remove(key).filter(|it| *it != json!("")) {
            unnamed.insert(key.to_owned(), value);
        }
    }
    if named.is_empty() || !unnamed.is_empty() {
        let kind = unnamed
            .get("vectorIndexType")
            .and_then(Value::as_str)
            .unwrap_or("hnsw");
        let config = vector_index_config(kind, unnamed.get("vectorIndexConfig"));
        result.insert("vectorIndexConfig".into(), config);
        result.insert("vectorIndexType".into(), json!(kind));
        let vectorizer = unnamed.get("vectorizer").cloned();
        result.insert(
            "vectorizer".into(),
            vectorizer.unwrap_or_else(|| json!("none")),
        );
    }
    if !named.is_empty() {
        let completed: Map<String, Value> = named
            .iter()
            .map(|(name, config)| (name.clone(), complete_named(config)))
            .collect();
        result.insert("vectorConfig".into(), Value::Object(completed));
    }
}

fn complete_named(config: &Value) -> Value {
    let known = ["vectorIndexConfig", "vectorIndexType", "vectorizer"];
    let Some(config) = config.as_object() else {
        return config.clone();
    };
    let mut given = spelled(config, &known);
    let kind = given
        .get("vectorIndexType")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let kind = if kind.is_empty() { "hnsw" } else { kind }.to_owned();
    let index = vector_index_config(&kind, given.get("vectorIndexConfig"));
    given.insert("vectorIndexConfig".into(), index);
    given.insert("vectorIndexType".into(), json!(kind));
    given
        .entry("vectorizer")
        .or_insert_with(|| json!({"none": {}}));
    Value::Object(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(class: Value) -> Value {
        Value::Object(complete(class.as_object().unwrap()))
    }

    #[test]
    fn a_class_of_a_name_gets_all_that_clients_read() {
        let class = completed(json!({"CLASS": "article", "Description": "d"}));
        assert_eq!(class["class"], "Article");
        assert_eq!(class["description"], "d");
        assert_eq!(class["properties"], Value::Null);
        assert_eq!(class["vectorizer"], "none");
        assert_eq!(class["vectorIndexConfig"]["distance"], "cosine");
        assert_eq!(class["shardingConfig"]["desiredVirtualCount"], 128);
        assert_eq!(class["replicationConfig"]["factor"], 1);
    }

    #[test]
    fn what_is_given_and_what_is_unknown_stays() {
        let class = completed(
            json!({"class": "A", "frob": 1, "vectorIndexConfig": {"ef": 7, "frob": {"x": null}},
            "invertedIndexConfig": {"indexTimestamps": true, "bm25": {"b": 0.5}}}),
        );
        assert_eq!(class["frob"], 1);
        assert_eq!(class["vectorIndexConfig"]["ef"], 7);
        assert_eq!(class["vectorIndexConfig"]["frob"], json!({"x": null}));
        assert_eq!(
            class["invertedIndexConfig"]["bm25"],
            json!({"b": 0.5, "k1": 1.2})
        );
    }

    #[test]
    fn completing_twice_changes_nothing() {
        let once = completed(json!({"class": "A", "properties": [
            {"name": "t", "dataType": ["string"]},
            {"name": "o", "dataType": ["object"], "nestedProperties": [{"name": "x", "dataType": ["int"]}]}],
            "vectorConfig": {"a": {"vectorizer": {"none": {}}, "vectorIndexType": "flat"}}}));
        assert_eq!(once["properties"][0]["dataType"], json!(["text"]));
        assert_eq!(once["properties"][0]["tokenization"], "whitespace");
        assert_eq!(
            once["properties"][1]["nestedProperties"][0]["indexSearchable"],
            false
        );
        assert_eq!(
            once["vectorConfig"]["a"]["vectorIndexConfig"]["rq"]["bits"],
            8
        );
        assert!(once.get("vectorizer").is_none());
        assert_eq!(completed(once.clone()), once);
    }

    #[test]
    fn tenants_leave_no_sharding() {
        let class = completed(json!({"class": "A", "multiTenancyConfig": {"enabled": true}}));
        assert_eq!(class["shardingConfig"]["desiredCount"], 0);
    }
}
