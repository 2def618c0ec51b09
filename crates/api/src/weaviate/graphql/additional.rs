//! `_additional`: what an object has beside its properties.

use serde_json::{Map, Value, json};
use snapkeep_store::collections::{Metric, ObjectHit, ObjectVector};

use super::Stop;
use super::syntax::Field;
use crate::weaviate::class::ClassSchema;
use crate::weaviate::errors::WvError;

const KNOWN: [&str; 9] = [
    "id",
    "vector",
    "vectors",
    "distance",
    "certainty",
    "creationTimeUnix",
    "lastUpdateTimeUnix",
    "isConsistent",
    "__typename",
];

/// Parts that need modules or an inverted index.
const NOT_OFFERED: [&str; 13] = [
    "answer",
    "classification",
    "explainScore",
    "featureProjection",
    "generate",
    "group",
    "interpretation",
    "nearestNeighbors",
    "queryProfile",
    "rerank",
    "score",
    "semanticPath",
    "summary",
];

/// Checks what is asked for.
pub(super) fn check(class: &ClassSchema, field: &Field) -> Result<(), Stop> {
    let type_name = format!("{}Additional", class.name);
    if field.selections.is_empty() {
        return Err(field.without_selection(&type_name).into());
    }
    for part in &field.selections {
        if NOT_OFFERED.contains(&part.name.as_str()) {
            return Err(WvError::not_offered(format!("_additional {{ {} }}", part.name)).into());
        }
        if !KNOWN.contains(&part.name.as_str()) {
            return Err(part.unknown_on(&type_name).into());
        }
        for vector in &part.selections {
            if !class.named_vectors.contains_key(&vector.name) {
                let type_name = format!("{}AdditionalVectors", class.name);
                return Err(vector.unknown_on(&type_name).into());
            }
        }
    }
    Ok(())
}

fn vector(vector: Option<&ObjectVector>) -> Value {
    match vector {
        None => json!([]),
        Some(vector) if vector.rows.is_some() => vector.rows().map(numbers).collect(),
        Some(vector) => numbers(&vector.values),
    }
}

/// Numbers that print like the single-precision ones.
fn numbers(values: &[f32]) -> Value {
    values.iter().map(|value| single(*value)).collect()
}

fn single(value: f32) -> Value {
    let text = value.to_string();
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

/// The parts of a hit that are asked for; `metric` is that of the search.
pub(super) fn shown(field: &Field, hit: &ObjectHit, metric: Option<Metric>) -> Value {
    let object = &hit.object;
    let mut parts = Map::new();
    for part in &field.selections {
        let value = match part.name.as_str() {
            "id" => json!(object.id),
            "vector" => vector(object.vector("")),
            "vectors" => {
                let named = part.selections.iter().map(|name| {
                    let value = vector(object.vector(&name.name));
                    (name.key.clone(), value)
                });
                Value::Object(named.collect())
            }
            "distance" => hit.distance.map_or(Value::Null, single),
            "certainty" => match (hit.distance, metric) {
                (Some(distance), Some(Metric::Cosine)) => json!(1.0 - f64::from(distance) / 2.0),
                _ => Value::Null,
            },
            "creationTimeUnix" => json!(object.created_ms.to_string()),
            "lastUpdateTimeUnix" => json!(object.updated_ms.to_string()),
            "isConsistent" => json!(true),
            _ => Value::Null,
        };
        parts.insert(part.key.clone(), value);
    }
    Value::Object(parts)
}
