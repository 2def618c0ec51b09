//! `Aggregate`: how many objects there are.

use serde_json::{Map, Value, json};

use super::Stop;
use super::arguments::Arguments;
use super::syntax::Field;
use crate::auth::Need;
use crate::weaviate::errors::WvError;
use crate::weaviate::object::{ClassCatalogue, StorageContext, ready_tenant};
use crate::weaviate::request::WvRequest;

const KNOWN: [&str; 2] = ["tenant", "where"];

/// The counts of the class that a field names.
pub(super) fn resolve(request: &WvRequest, field: &Field) -> Result<Result<Value, String>, Stop> {
    let store = &request.state.store;
    let Some(class) = ClassCatalogue::new(store).get(&field.name) else {
        return Err(field.unknown_on("AggregateObjectsObj").into());
    };
    let names = [class.meta.name.clone()];
    request.authorise(Need::read("read_data").resources(&names))?;
    let type_name = format!("Aggregate{}", names[0]);
    if field.selections.is_empty() {
        return Err(field.without_selection(&format!("[{type_name}]")).into());
    }
    for part in &field.selections {
        match part.name.as_str() {
            "meta" => {
                let is_known = |it: &&Field| it.name == "count";
                if let Some(unknown) = part.selections.iter().find(|it| !is_known(it)) {
                    return Err(unknown.unknown_on(&format!("{type_name}MetaObject")).into());
                }
            }
            name if name == "groupedBy" || class.schema.property(name).is_some() => {
                let feature = format!("GraphQL Aggregate of {name:?} (only meta {{ count }} is)");
                return Err(WvError::not_offered(feature).into());
            }
            _ => return Err(part.unknown_on(&type_name).into()),
        }
    }
    let arguments = match Arguments::read(field, &class, &KNOWN)? {
        Ok(arguments) => arguments,
        Err(complaint) => return Ok(Err(complaint)),
    };
    let tenant = arguments.tenant.as_deref();
    if let Some(tenant) = tenant {
        ready_tenant(store, &class, tenant, false)?;
    }
    let filter = arguments.filter.as_ref();
    let count = match store.peek().count_objects(&names[0], tenant, filter) {
        Ok(count) => count,
        Err(error) => {
            let error = StorageContext::Search.error(&names[0], &error);
            return Ok(Err(error.message().to_owned()));
        }
    };
    let mut shown = Map::new();
    for part in &field.selections {
        let counts = part
            .selections
            .iter()
            .map(|it| (it.key.clone(), json!(count)));
        shown.insert(part.key.clone(), Value::Object(counts.collect()));
    }
    Ok(Ok(json!([shown])))
}
