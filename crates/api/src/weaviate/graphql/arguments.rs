//! Arguments of `Get` and `Aggregate`.

use serde_json::Value;
use snapkeep_store::View;
use snapkeep_store::collections::{
    Filter, Metric, NearVector, Object, ObjectId, ObjectQuery, ObjectSort, QueryVector,
};

use super::Stop;
use super::syntax::Field;
use crate::weaviate::errors::WvError;
use crate::weaviate::filter::{parse_where, sort_key};
use crate::weaviate::object::{Beacon, ClassContext, StorageContext};
use crate::weaviate::state::{DEFAULT_RESULTS, MAX_RESULTS};

/// What is asked for of a class.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) filter: Option<Filter>,
    pub(super) tenant: Option<String>,
    sort: Vec<ObjectSort>,
    limit: Option<i64>,
    offset: Option<i64>,
    after: Option<ObjectId>,
    near: Option<Near>,
}

#[derive(Debug)]
struct Near {
    target: String,
    from: From,
    metric: Metric,
    max_distance: Option<f32>,
}

#[derive(Debug)]
enum From {
    Vector(QueryVector),
    Object(ObjectId),
}

/// Whether arguments were understood: a text is the complaint that the answer shows.
type Read<T> = Result<Result<T, String>, Stop>;

impl Arguments {
    /// Reads the arguments of a class; `known` are those that the operation takes.
    pub(super) fn read(field: &Field, class: &ClassContext, known: &[&str]) -> Read<Self> {
        let mut arguments = Self::default();
        for (name, value) in &field.arguments {
            if !known.contains(&name.as_str()) {
                let feature = format!("argument {name:?} of GraphQL {}", field.name);
                return Err(WvError::not_offered(feature).into());
            }
            if let Err(complaint) = arguments.take(name, value, class)? {
                return Ok(Err(complaint));
            }
        }
        Ok(Ok(arguments))
    }

    fn take(&mut self, name: &str, value: &Value, class: &ClassContext) -> Read<()> {
        let text = || value.as_str().map(str::to_owned);
        let read = match name {
            "limit" => number(name, value).map(|it| self.limit = it),
            "offset" => number(name, value).map(|it| self.offset = it),
            "tenant" => {
                self.tenant = text();
                Ok(())
            }
            "after" => match text().unwrap_or_default().as_str() {
                "" => Ok(()),
                id => match id.parse() {
                    Ok(id) => {
                        self.after = Some(id);
                        Ok(())
                    }
                    Err(_) => Err(format!("after parameter '{id}' is not a valid uuid")),
                },
            },
            "where" => parse_where(&class.schema, value).map(|it| self.filter = Some(it)),
            "sort" => sorts(class, value).map(|it| self.sort = it),
            "nearVector" | "nearObject" => match near(name, class, value)? {
                Ok(near) => {
                    self.near = Some(near);
                    Ok(())
                }
                Err(complaint) => Err(complaint),
            },
            // All levels are the same with one node.
            _ => Ok(()),
        };
        Ok(read)
    }

    /// The query for the store. Looks up the object of `nearObject`.
    pub(super) fn query(self, view: &View, class: &ClassContext) -> Result<ObjectQuery, String> {
        let (limit, offset) = (
            self.limit.unwrap_or(DEFAULT_RESULTS),
            self.offset.unwrap_or(0),
        );
        let window = (usize::try_from(limit), usize::try_from(offset));
        let (Ok(limit), Ok(offset)) = window else {
            return Err(format!(
                "invalid 'limit' {limit} or 'offset' {offset}: negative"
            ));
        };
        if limit.saturating_add(offset) > MAX_RESULTS {
            return Err(format!(
                "query maximum results exceeded: the total limit calculated from the provided offset '{offset}' and \
                 limit '{limit}' exceeds the configured value for QUERY_MAXIMUM_RESULTS '{MAX_RESULTS}'"
            ));
        }
        let name = &class.meta.name;
        let near = match self.near {
            None => None,
            Some(near) => {
                let vector = match near.from {
                    From::Vector(vector) => vector,
                    From::Object(id) => {
                        let found =
                            view.object(name, self.tenant.as_deref(), id)
                                .map_err(|error| {
                                    StorageContext::Search
                                        .error(name, &error)
                                        .message()
                                        .to_owned()
                                })?;
                        vector_of(found.as_ref(), id, &near.target)?
                    }
                };
                Some(NearVector {
                    target: near.target,
                    vector,
                    metric: near.metric,
                    max_distance: near.max_distance,
                })
            }
        };
        Ok(ObjectQuery {
            collection: name.clone(),
            tenant: self.tenant,
            filter: self.filter,
            near,
            sort: self.sort,
            limit,
            offset,
            after: self.after,
        })
    }

    /// The metric of the search, if there is one.
    pub(super) fn metric(&self) -> Option<Metric> {
        self.near.as_ref().map(|near| near.metric)
    }
}

fn vector_of(object: Option<&Object>, id: ObjectId, target: &str) -> Result<QueryVector, String> {
    let vector = object.and_then(|it| it.vector(target));
    let vector = vector.ok_or_else(|| format!("vector not found for object {id}"))?;
    Ok(match vector.rows {
        Some(_) => QueryVector::Multi(vector.rows().map(<[f32]>::to_vec).collect()),
        None => QueryVector::Single(vector.values.clone()),
    })
}

fn number(name: &str, value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        other => match other.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(format!(
                "argument '{name}' must be an integer, but is {other}"
            )),
        },
    }
}

fn sorts(class: &ClassContext, value: &Value) -> Result<Vec<ObjectSort>, String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    items
        .iter()
        .map(|item| {
            let descending = match item["order"].as_str().unwrap_or("asc") {
                "asc" => false,
                "desc" => true,
                other => {
                    return Err(format!(
                        "invalid order parameter, possible values are: [\"asc\", \"desc\"] not: {other:?}"
                    ));
                }
            };
            sort_key(&class.schema, &item["path"], descending)
        })
        .collect()
}

fn near(name: &str, class: &ClassContext, value: &Value) -> Read<Near> {
    for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
        let known = [
            "vector",
            "id",
            "beacon",
            "distance",
            "certainty",
            "targetVectors",
        ];
        if !known.contains(&key.as_str()) {
            return Err(WvError::not_offered(format!("{key:?} of {name}")).into());
        }
    }
    let targets: Vec<&str> = match &value["targetVectors"] {
        Value::String(one) => vec![one],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if targets.len() > 1 {
        return Err(WvError::not_offered("a search over several target vectors").into());
    }
    Ok(near_of(class, value, targets.first().copied()))
}

fn near_of(class: &ClassContext, value: &Value, target: Option<&str>) -> Result<Near, String> {
    let schema = &class.schema;
    let target = match (target, schema.vector, schema.named_vectors.len()) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(_), _) => String::new(),
        (None, None, 1) => schema
            .named_vectors
            .keys()
            .next()
            .cloned()
            .unwrap_or_default(),
        _ => {
            return Err(format!(
                "class {} has multiple vectors, but no target vectors were provided",
                schema.name
            ));
        }
    };
    let Some(index) = schema.vector_index(&target) else {
        return Err(format!(
            "class {} does not have named vector {target} configured",
            schema.name
        ));
    };
    let given = |key: &str| value[key].as_f64().map(|number| number as f32);
    let max_distance = match (given("distance"), given("certainty")) {
        (Some(_), Some(_)) => {
            return Err(
                "cannot provide distance and certainty: found 'distance' and 'certainty' parameters set at the same \
                 time"
                    .to_owned(),
            );
        }
        (Some(distance), None) => Some(distance),
        (None, Some(_)) if index.metric != Metric::Cosine => {
            return Err(
                "can't compute and return certainty when vector index is configured with a distance other than cosine"
                    .to_owned(),
            );
        }
        (None, certainty) => certainty.map(|certainty| (1.0 - certainty) * 2.0),
    };
    let from = match (&value["vector"], &value["id"], &value["beacon"]) {
        (Value::Array(items), ..) => From::Vector(query_vector(items, index.is_multi)?),
        (_, Value::String(id), _) => From::Object(
            id.parse()
                .map_err(|_| format!("'{id}' is not a valid uuid"))?,
        ),
        (_, _, Value::String(beacon)) => From::Object(Beacon::parse(beacon)?.id),
        _ => return Err("a vector, id or beacon must be given to search near it".to_owned()),
    };
    Ok(Near {
        target,
        from,
        metric: index.metric,
        max_distance,
    })
}

fn query_vector(items: &[Value], is_multi: bool) -> Result<QueryVector, String> {
    let floats = |items: &[Value]| -> Result<Vec<f32>, String> {
        items
            .iter()
            .map(|item| match item.as_f64() {
                Some(number) => Ok(number as f32),
                None => Err(format!("a vector consists of numbers, but has {item}")),
            })
            .collect()
    };
    if !is_multi {
        return floats(items).map(QueryVector::Single);
    }
    let rows: Result<Vec<Vec<f32>>, String> = items
        .iter()
        .map(|row| match row {
            Value::Array(items) => floats(items),
            _ => Err("the vectors of this name are multi-vectors; give a list of lists".to_owned()),
        })
        .collect();
    rows.map(QueryVector::Multi)
}
