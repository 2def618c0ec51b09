//! `Get`: objects of a class.

use serde_json::{Map, Value};
use snapkeep_store::collections::ObjectHit;

use super::Stop;
use super::additional;
use super::arguments::Arguments;
use super::properties::{self, Scope};
use super::syntax::Field;
use crate::auth::Need;
use crate::weaviate::object::{ClassCatalogue, StorageContext, ready_tenant};
use crate::weaviate::request::WvRequest;

const KNOWN: [&str; 9] = [
    "after",
    "consistencyLevel",
    "limit",
    "nearObject",
    "nearVector",
    "offset",
    "sort",
    "tenant",
    "where",
];

/// The objects of the class that a field names, as they are asked for.
pub(super) fn resolve(request: &WvRequest, field: &Field) -> Result<Result<Value, String>, Stop> {
    let store = &request.state.store;
    let mut classes = ClassCatalogue::new(store);
    let Some(class) = classes.get(&field.name) else {
        return Err(field.unknown_on("GetObjectsObj").into());
    };
    let names = [class.meta.name.clone()];
    request.authorise(Need::read("read_data").resources(&names))?;
    properties::check(request, &mut classes, &class.schema, field)?;
    let arguments = match Arguments::read(field, &class, &KNOWN)? {
        Ok(arguments) => arguments,
        Err(complaint) => return Ok(Err(complaint)),
    };
    if let Some(tenant) = &arguments.tenant {
        ready_tenant(store, &class, tenant, false)?;
    }
    let metric = arguments.metric();
    let tenant = arguments.tenant.clone();
    let view = store.peek();
    let query = match arguments.query(&view, &class) {
        Ok(query) => query,
        Err(complaint) => return Ok(Err(complaint)),
    };
    let hits = match view.search_objects(&query) {
        Ok(hits) => hits,
        Err(error) => {
            let error = StorageContext::Search.error(&class.meta.name, &error);
            return Ok(Err(error.message().to_owned()));
        }
    };
    let mut scope = Scope::new(&view, classes, tenant);
    let shown = |hit: &ObjectHit| {
        let mut object = Map::new();
        for part in &field.selections {
            let value = match part.name.as_str() {
                "_additional" => additional::shown(part, hit, metric),
                "__typename" => Value::from(names[0].as_str()),
                _ => scope.property(part, &hit.object, 0),
            };
            object.insert(part.key.clone(), value);
        }
        Value::Object(object)
    };
    Ok(Ok(hits.iter().map(shown).collect()))
}
