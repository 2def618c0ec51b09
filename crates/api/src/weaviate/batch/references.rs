//! Adding many references.

use serde_json::{Value, json};
use snapkeep_store::collections::{ObjectId, ObjectOp};

use super::objects::result;
use crate::auth::Need;
use crate::weaviate::class::{DataType, capitalised};
use crate::weaviate::errors::WvError;
use crate::weaviate::json::Fields;
use crate::weaviate::object::{Beacon, ClassCatalogue, StorageContext, resolve_reference};
use crate::weaviate::objects::check_consistency;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::{WeaviateState, blocking};

pub(super) fn register(table: &mut RouteTable) {
    table.post("/batch/references", create);
}

/// A reference to add.
#[derive(Debug, Clone)]
pub struct ReferenceInput {
    /// Class of the object that refers.
    pub class: String,
    /// Its id.
    pub id: ObjectId,
    /// Its property.
    pub property: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Where it points.
    pub to: Beacon,
}

/// One item of the body, as it came and as it was understood.
struct Item {
    from: String,
    to: String,
    tenant: Option<String>,
    parsed: Result<ReferenceInput, WvError>,
}

fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty() && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
    })
}

fn item(value: Value) -> Result<Item, WvError> {
    let fields = Fields::of_body(value, "body", "BatchReference")?;
    let [from, to] = ["from", "to"].map(|name| -> Result<String, WvError> {
        let text = fields.string(name)?.unwrap_or_default();
        if !text.is_empty() && !is_uri(&text) {
            return Err(WvError::wrong_format(name, "body", "uri", &text));
        }
        Ok(text)
    });
    let (from, to) = (from?, to?);
    let tenant = fields.string("tenant")?.filter(|it| !it.is_empty());
    let parsed = parse(&from, &to, tenant.clone())
        .map_err(|complaint| WvError::unprocessable(format!("invalid reference: {complaint}")));
    Ok(Item {
        from,
        to,
        tenant,
        parsed,
    })
}

/// `from` is `weaviate://localhost/<class>/<id>/<property>`.
fn parse(from: &str, to: &str, tenant: Option<String>) -> Result<ReferenceInput, String> {
    let (source, property) = from.rsplit_once('/').unwrap_or((from, ""));
    let source = Beacon::parse(source)?;
    let class = source.class.ok_or_else(|| {
        "source path must be of format '<class>/<uuid>/<property>', but names no class".to_owned()
    })?;
    Ok(ReferenceInput {
        class,
        id: source.id,
        property: property.to_owned(),
        tenant,
        to: Beacon::parse(to)?,
    })
}

async fn create(request: WvRequest) -> WvResult {
    let values = match request.value("body")? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        _ => {
            return Err(WvError::undecodable(
                "body",
                "json: cannot unmarshal object into Go value of type []*models.BatchReference",
            ));
        }
    };
    check_consistency(&request)?;
    if values.is_empty() {
        return Err(WvError::unprocessable(
            "invalid param 'references': cannot be empty, need at least one reference for batching",
        ));
    }
    blocking(move || {
        let items = values
            .into_iter()
            .map(item)
            .collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<ReferenceInput> = items
            .iter()
            .filter_map(|item| item.parsed.clone().ok())
            .collect();
        let mut names: Vec<String> = inputs.iter().map(|it| it.class.clone()).collect();
        names.sort_unstable();
        names.dedup();
        request.authorise(Need::write("update_data").resources(&names))?;
        let mut outcomes = write_references(&request.state, inputs).into_iter();
        let shown: Vec<Value> = items
            .iter()
            .map(|item| {
                let error = match &item.parsed {
                    Err(error) => Some(error.clone()),
                    Ok(_) => outcomes.next().and_then(Result::err),
                };
                let mut shown = json!({"from": item.from, "to": item.to});
                if let Some(tenant) = &item.tenant {
                    shown["tenant"] = json!(tenant);
                }
                shown["result"] = result(error.as_ref());
                shown
            })
            .collect();
        Ok(WvResponse::value(&shown))
    })
    .await
}

/// Adds references as one durable batch; outcomes by position. Targets must exist only where they have tenants. Blocks.
pub fn write_references(
    state: &WeaviateState,
    inputs: Vec<ReferenceInput>,
) -> Vec<Result<(), WvError>> {
    let mut classes = ClassCatalogue::new(&state.store);
    let mut outcomes: Vec<Result<(), WvError>> = Vec::with_capacity(inputs.len());
    let mut ops = Vec::new();
    let mut positions = Vec::new();
    for (position, input) in inputs.into_iter().enumerate() {
        let class = input.class.clone();
        match operation(state, &mut classes, input) {
            Ok(op) => {
                ops.push(op);
                positions.push((position, class));
                outcomes.push(Ok(()));
            }
            Err(complaint) => {
                outcomes.push(Err(WvError::unprocessable(format!(
                    "ref batch: {complaint}"
                ))));
            }
        }
    }
    let results = state.store.write_objects(ops);
    for ((position, class), result) in positions.into_iter().zip(results) {
        outcomes[position] = result.map(|_| ()).map_err(|error| match error {
            snapkeep_store::StoreError::ObjectNotFound { id, .. } => {
                WvError::unprocessable(format!("ref batch: no object with id {id} found"))
            }
            other => StorageContext::Read.error(&capitalised(&class), &other),
        });
    }
    outcomes
}

fn operation(
    state: &WeaviateState,
    classes: &mut ClassCatalogue<'_>,
    input: ReferenceInput,
) -> Result<ObjectOp, String> {
    let class = classes
        .get(&input.class)
        .ok_or_else(|| format!("class '{}' not found in schema", input.class))?;
    let property = class
        .schema
        .property(&input.property)
        .ok_or_else(|| format!("property '{}' not found in schema", input.property))?;
    let DataType::Reference(targets) = &property.data_type else {
        return Err(format!(
            "property '{}' is not a reference-type",
            input.property
        ));
    };
    let tenant = input.tenant.as_deref();
    let named = input.to.class.as_deref().or(match targets.as_slice() {
        [only] => Some(only.as_str()),
        _ => None,
    });
    let target = named.and_then(|name| classes.get(name));
    let must_exist = target.as_ref().is_none_or(|it| it.meta.multi_tenant);
    let beacon = match target {
        Some(target) if !must_exist => Beacon {
            class: Some(target.meta.name.clone()),
            id: input.to.id,
        },
        _ => resolve_reference(&state.store, classes, property, input.to, tenant)?,
    };
    let shard = match tenant {
        Some(tenant) => tenant,
        None => class
            .meta
            .shard_of(input.id)
            .map_or("", |it| it.name.as_str()),
    };
    state
        .check_writable(&class.meta, shard)
        .map_err(|error| error.message().to_owned())?;
    let name = input.property;
    let reference = json!({"beacon": beacon.to_string()});
    Ok(ObjectOp::modify(
        class.meta.name.clone(),
        input.tenant,
        input.id,
        move |object| {
            match object.properties.get_mut(&name) {
                Some(Value::Array(list)) => list.push(reference),
                _ => {
                    object
                        .properties
                        .insert(name, Value::Array(vec![reference]));
                    object.properties.sort_keys();
                }
            }
            Ok(())
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_class_id_and_property() {
        let id = "00000000-0000-4000-8000-000000000001";
        let from = format!("weaviate://localhost/paragraph/{id}/inArticle");
        let input = parse(&from, &format!("weaviate://localhost/Article/{id}"), None).unwrap();
        assert_eq!(
            (input.class.as_str(), input.property.as_str()),
            ("Paragraph", "inArticle")
        );
        assert!(parse(&format!("weaviate://localhost/{id}/p"), "x", None).is_err());
    }

    #[test]
    fn what_is_no_uri_fails_the_request() {
        let error = item(json!({"from": "x", "to": "y"})).err().unwrap();
        assert_eq!(error.message(), "from in body must be of type uri: \"x\"");
    }
}
