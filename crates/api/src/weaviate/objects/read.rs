//! Reading one object.

use http::{Method, StatusCode};
use snapkeep_store::collections::Object;

use super::common::{check_consistency, class_in_path, includes_vector, path_id};
use crate::auth::Need;
use crate::weaviate::errors::WvError;
use crate::weaviate::object::{ObjectJson, Shown, StorageContext, ready_tenant};
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    for path in ["/objects/{class}/{id}", "/objects/{id}"] {
        table.get(path, get);
        table.add(Method::HEAD, path, head);
    }
}

/// An object and the name of its class.
fn find(request: &WvRequest) -> Result<(String, Object), WvError> {
    let id = path_id(request)?;
    check_consistency(request)?;
    let class = class_in_path(request, id, Need::read("read_data"))?;
    let tenant = request.query.get("tenant");
    let store = &request.state.store;
    if let Some(tenant) = tenant {
        ready_tenant(store, &class, tenant, false)?;
    }
    let name = &class.meta.name;
    match store.get_object(name, tenant, id) {
        Ok(Some(object)) => Ok((name.clone(), object)),
        Ok(None) => Err(WvError::not_found()),
        Err(error) => Err(StorageContext::Read.error(name, &error)),
    }
}

async fn get(request: WvRequest) -> WvResult {
    let vectors = includes_vector(&request)?;
    blocking(move || {
        let (class, object) = find(&request)?;
        Ok(WvResponse::value(&ObjectJson {
            class: &class,
            object: &object,
            tenant: request.query.get("tenant"),
            shown: Shown {
                vectors,
                weights: true,
            },
        }))
    })
    .await
}

async fn head(request: WvRequest) -> WvResult {
    blocking(move || find(&request).map(|_| WvResponse::status(StatusCode::NO_CONTENT))).await
}
