//! References of one object.

use serde_json::{Value, json};
use snapkeep_store::collections::{Object, ObjectOp};

use super::common::{check_consistency, class_in_path, path_id};
use crate::auth::Need;
use crate::weaviate::errors::WvError;
use crate::weaviate::json::Fields;
use crate::weaviate::object::{Beacon, ClassCatalogue, StorageContext, resolve_reference};
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    for path in [
        "/objects/{class}/{id}/references/{property}",
        "/objects/{id}/references/{property}",
    ] {
        table.post(path, add);
        table.put(path, replace);
        table.delete(path, remove);
    }
}

/// What happens to a list of references.
enum Change {
    Add(Beacon),
    Replace(Vec<Beacon>),
    Remove(Beacon),
}

fn beacon(value: Value) -> Result<Beacon, WvError> {
    let fields = Fields::of_body(value, "body", "SingleRef")?;
    let text = fields.string("beacon")?.unwrap_or_default();
    Beacon::parse(&text).map_err(|complaint| {
        WvError::unprocessable(format!("msg:bad inputs code:400 err:{complaint}"))
    })
}

async fn add(request: WvRequest) -> WvResult {
    let change = Change::Add(beacon(request.value("body")?)?);
    blocking(move || apply(&request, change, WvResponse::empty())).await
}

async fn replace(request: WvRequest) -> WvResult {
    let beacons = match request.value("body")? {
        Value::Null => Vec::new(),
        Value::Array(items) => items.into_iter().map(beacon).collect::<Result<_, _>>()?,
        _ => {
            return Err(WvError::undecodable(
                "body",
                "json: cannot unmarshal object into Go value of type models.MultipleRef",
            ));
        }
    };
    blocking(move || apply(&request, Change::Replace(beacons), WvResponse::empty())).await
}

async fn remove(request: WvRequest) -> WvResult {
    let change = Change::Remove(beacon(request.value("body")?)?);
    blocking(move || apply(&request, change, WvResponse::no_content())).await
}

fn apply(request: &WvRequest, change: Change, answer: WvResponse) -> WvResult {
    let id = path_id(request)?;
    check_consistency(request)?;
    let class = class_in_path(request, id, Need::write("update_data"))?;
    let name = request.captured("property").to_owned();
    let inputs = |complaint: String| {
        WvError::unprocessable(format!("msg:validate inputs code:400 err:{complaint}"))
    };
    let Some(property) = class.schema.property(&name) else {
        return Err(inputs(format!(
            "no such prop with name '{name}' found in class '{}' in the schema. Check your schema files for which \
             properties in this class are available",
            class.meta.name
        )));
    };
    if !property.data_type.is_reference() {
        return Err(inputs(format!(
            "property '{name}' is a primitive datatype, not a reference-type"
        )));
    }
    let tenant = request.query.get("tenant");
    let store = &request.state.store;
    let mut classes = ClassCatalogue::new(store);
    let mut resolve = |beacon| {
        resolve_reference(store, &mut classes, property, beacon, tenant).map_err(|complaint| {
            WvError::unprocessable(format!(
                "msg:validate existence code:400 err:validate reference: {complaint}"
            ))
        })
    };
    let change = match change {
        Change::Add(beacon) => Change::Add(resolve(beacon)?),
        Change::Replace(beacons) => {
            Change::Replace(beacons.into_iter().map(resolve).collect::<Result<_, _>>()?)
        }
        // What is taken away need not exist any more.
        Change::Remove(beacon) => Change::Remove(beacon),
    };
    let op = ObjectOp::modify(
        class.meta.name.clone(),
        tenant.map(str::to_owned),
        id,
        move |object| {
            change.apply(object, &name);
            Ok(())
        },
    );
    for outcome in store.write_objects(vec![op]) {
        outcome.map_err(|error| StorageContext::Read.error(&class.meta.name, &error))?;
    }
    Ok(answer)
}

impl Change {
    fn apply(self, object: &mut Object, property: &str) {
        let kept = |beacon: &Beacon| json!({"beacon": beacon.to_string()});
        let mut list = match object.properties.get_mut(property).map(Value::take) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        match self {
            Self::Add(beacon) => list.push(kept(&beacon)),
            Self::Replace(beacons) => list = beacons.iter().map(kept).collect(),
            Self::Remove(gone) => list.retain(|item| {
                let beacon = Beacon::parse(item["beacon"].as_str().unwrap_or_default());
                let is_gone = beacon.is_ok_and(|it| {
                    it.id == gone.id && (gone.class.is_none() || gone.class == it.class)
                });
                !is_gone
            }),
        }
        object
            .properties
            .insert(property.to_owned(), Value::Array(list));
        object.properties.sort_keys();
    }
}
