//! Changing a part of an object.

use serde_json::{Map, Value};
use snapkeep_store::collections::ObjectOp;

use super::failure::StorageContext;
use super::input::ObjectInput;
use super::properties::check_and_normalise;
use super::vectors::{adopt_names, check_vectors};
use super::write::{ClassCatalogue, adapt_schema, invalid, ready_tenant, resolve_reference};
use crate::weaviate::errors::WvError;
use crate::weaviate::state::WeaviateState;

/// Takes over the properties and vectors that are given; what is null goes. Blocks.
///
/// # Errors
/// 404 if there is no such object; else as for a write.
pub fn merge_object(state: &WeaviateState, mut input: ObjectInput) -> Result<(), WvError> {
    let mut classes = ClassCatalogue::new(&state.store);
    let id = input.id.ok_or_else(|| invalid("the given id is empty"))?;
    let inputs = std::slice::from_ref(&input);
    if let Some((_, error)) = adapt_schema(state, &mut classes, inputs).pop_first() {
        return Err(error);
    }
    let class = classes.get(&input.class).ok_or_else(WvError::not_found)?;
    adopt_names(&class.schema, &mut input.vectors);
    check_vectors(&class.schema, &input.vectors).map_err(invalid)?;
    let tenant = input.tenant.as_deref();
    if let Some(tenant) = tenant {
        ready_tenant(&state.store, &class, tenant, true)?;
    }
    let (removed, given): (Map<String, Value>, Map<String, Value>) = input
        .properties
        .into_iter()
        .partition(|(_, value)| value.is_null());
    let given = check_and_normalise(&class.schema, given, &mut |property, beacon| {
        resolve_reference(&state.store, &mut classes, property, beacon, tenant)
    })
    .map_err(invalid)?;
    let shard = match tenant {
        Some(tenant) => tenant,
        None => class.meta.shard_of(id).map_or("", |it| it.name.as_str()),
    };
    state.check_writable(&class.meta, shard)?;
    let vectors = std::mem::take(&mut input.vectors);
    let change = move |object: &mut snapkeep_store::collections::Object| {
        let mut merged = std::mem::take(&mut object.properties);
        merged.retain(|name, _| !removed.contains_key(name));
        merged.extend(given);
        merged.sort_keys();
        object.properties = merged;
        for vector in vectors {
            object.vectors.retain(|it| it.name != vector.name);
            object.vectors.push(vector);
        }
        object
            .vectors
            .sort_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    };
    let name = class.meta.name.clone();
    let op = ObjectOp::modify(name.clone(), input.tenant.clone(), id, change);
    for outcome in state.store.write_objects(vec![op]) {
        let context = StorageContext::Write { id, shard };
        outcome.map_err(|error| context.error(&name, &error))?;
    }
    Ok(())
}
