//! What the handlers of objects share.

use std::sync::Arc;

use snapkeep_store::collections::ObjectId;

use crate::auth::Need;
use crate::weaviate::errors::WvError;
use crate::weaviate::object::{ClassCatalogue, ClassContext, parse_id};
use crate::weaviate::request::WvRequest;

const LEVELS: [&str; 3] = ["ONE", "QUORUM", "ALL"];

/// What can be asked for in `include`; only `vector` adds something here.
const INCLUDABLE: [&str; 4] = [
    "classification",
    "interpretation",
    "nearestNeighbors",
    "vector",
];

/// Looks at `consistency_level`; with one node all levels are the same.
///
/// # Errors
/// 400 if it is none.
pub(in crate::weaviate) fn check_consistency(request: &WvRequest) -> Result<(), WvError> {
    match request.query.get("consistency_level") {
        Some(level) if !LEVELS.contains(&level) => Err(WvError::application(
            400,
            format!(
                "unrecognized consistency level '{level}', try one of the following: ['ONE', 'QUORUM', 'ALL']"
            ),
        )),
        _ => Ok(()),
    }
}

/// The id in the path.
pub(super) fn path_id(request: &WvRequest) -> Result<ObjectId, WvError> {
    let text = request.captured("id");
    parse_id(text, "id", "path")?.ok_or_else(|| WvError::wrong_format("id", "path", "uuid", text))
}

/// Whether vectors are to be shown.
pub(super) fn includes_vector(request: &WvRequest) -> Result<bool, WvError> {
    let mut vector = false;
    for item in request.query.get("include").unwrap_or_default().split(',') {
        let item = item.trim();
        if !item.is_empty() && !INCLUDABLE.contains(&item) {
            return Err(WvError::application(
                400,
                format!("unrecognized property '{item}' in ?include list"),
            ));
        }
        vector |= item == "vector";
    }
    Ok(vector)
}

/// A class by the name that a request gives, after asking whether its objects may be touched so.
pub(super) fn class(
    request: &WvRequest,
    name: &str,
    need: Need<'_>,
) -> Result<Arc<ClassContext>, WvError> {
    let found = ClassCatalogue::new(&request.state.store).get(name);
    let class = found.ok_or_else(WvError::not_found)?;
    let names = [class.meta.name.clone()];
    request.authorise(need.resources(&names))?;
    Ok(class)
}

/// The class of an object that is asked for without one: the first that holds it. Classes with tenants are left out
/// unless a tenant is named.
pub(super) fn class_of_object(
    request: &WvRequest,
    id: ObjectId,
    need: Need<'_>,
) -> Result<Arc<ClassContext>, WvError> {
    let tenant = request.query.get("tenant");
    let store = &request.state.store;
    for meta in store.collections() {
        if meta.multi_tenant != tenant.is_some() || !request.caller.sees_resource(&meta.name) {
            continue;
        }
        // A tenant that this class lacks is no failure: another class may have it.
        if let Ok(Some(_)) = store.get_object(&meta.name, tenant, id) {
            return class(request, &meta.name, need);
        }
    }
    Err(WvError::not_found())
}

/// The class in the path, or that of the object where the path names none.
pub(super) fn class_in_path(
    request: &WvRequest,
    id: ObjectId,
    need: Need<'_>,
) -> Result<Arc<ClassContext>, WvError> {
    match request.captured("class") {
        "" => class_of_object(request, id, need),
        name => class(request, name, need),
    }
}
