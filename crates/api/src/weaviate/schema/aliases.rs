//! Other names of classes.

use serde_json::{Value, json};
use snapkeep_store::StoreError;

use crate::auth::Need;
use crate::weaviate::class::{capitalised, check_alias_name};
use crate::weaviate::errors::WvError;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    table.get("/aliases", list);
    table.post("/aliases", create);
    table.get("/aliases/{alias}", get);
    table.put("/aliases/{alias}", update);
    table.delete("/aliases/{alias}", delete);
}

fn shown(alias: &str, class: &str) -> Value {
    json!({"alias": alias, "class": class})
}

async fn list(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_aliases"))?;
    blocking(move || {
        let class = request.query.get("class").map(capitalised);
        let aliases: Vec<Value> = request
            .state
            .store
            .collection_aliases()
            .iter()
            .filter(|(_, target)| class.as_ref().is_none_or(|class| class == *target))
            .filter(|(_, target)| request.caller.sees_resource(target))
            .map(|(alias, target)| shown(alias, target))
            .collect();
        Ok(WvResponse::value(&json!({ "aliases": aliases })))
    })
    .await
}

async fn get(request: WvRequest) -> WvResult {
    blocking(move || {
        let alias = capitalised(request.captured("alias"));
        let aliases = request.state.store.collection_aliases();
        let Some(class) = aliases.get(&alias) else {
            return Err(WvError::not_found_typed());
        };
        request.authorise(Need::read("read_aliases").resources(std::slice::from_ref(class)))?;
        Ok(WvResponse::value(&shown(&alias, class)))
    })
    .await
}

/// The class that an alias is to stand for.
fn target(request: &WvRequest, class: &str) -> Result<String, WvError> {
    let class = capitalised(class);
    let need = Need::operate("manage_aliases");
    request.authorise(need.resources(std::slice::from_ref(&class)))?;
    if request.state.store.collection(&class).is_none() {
        return Err(WvError::unprocessable(format!(
            "validation: target class {class:?} does not exist"
        )));
    }
    Ok(class)
}

async fn create(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "Alias")?;
    let alias = capitalised(&fields.string("alias")?.unwrap_or_default());
    let class = fields.string("class")?.unwrap_or_default();
    blocking(move || {
        check_alias_name(&alias)
            .map_err(|complaint| WvError::unprocessable(format!("validation: {complaint}")))?;
        let _schema = request.state.lock_schema();
        let class = target(&request, &class)?;
        let store = &request.state.store;
        if store.collection_aliases().contains_key(&alias) {
            return Err(WvError::unprocessable(format!(
                "validation: updating schema: TYPE_CREATE_ALIAS: create alias: {alias}, alias already exists"
            )));
        }
        match store.put_collection_alias(&alias, &class) {
            Ok(()) => Ok(WvResponse::value(&shown(&alias, &class))),
            Err(StoreError::CollectionExists { name, .. }) => Err(WvError::internal(format!(
                "updating schema: TYPE_CREATE_ALIAS: create alias: class {name} already exists"
            ))),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn update(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "Alias")?;
    let class = fields.string("class")?.unwrap_or_default();
    blocking(move || {
        let alias = capitalised(request.captured("alias"));
        let _schema = request.state.lock_schema();
        let store = &request.state.store;
        if !store.collection_aliases().contains_key(&alias) {
            return Err(WvError::not_found_typed());
        }
        let class = target(&request, &class)?;
        store.put_collection_alias(&alias, &class)?;
        Ok(WvResponse::value(&shown(&alias, &class)))
    })
    .await
}

async fn delete(request: WvRequest) -> WvResult {
    blocking(move || {
        let alias = capitalised(request.captured("alias"));
        let _schema = request.state.lock_schema();
        let store = &request.state.store;
        let Some(class) = store.collection_aliases().remove(&alias) else {
            return Err(WvError::not_found_typed());
        };
        let need = Need::operate("manage_aliases");
        request.authorise(need.resources(std::slice::from_ref(&class)))?;
        store.delete_collection_alias(&alias)?;
        Ok(WvResponse::no_content())
    })
    .await
}
