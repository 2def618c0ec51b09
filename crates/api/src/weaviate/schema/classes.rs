//! Classes: list, read, create, change, delete.

use serde_json::{Value, json};
use snapkeep_store::collections::MAX_SHARDS;
use snapkeep_store::{Store, StoreError};

use super::create_class;
use crate::auth::Need;
use crate::weaviate::class::{Surroundings, capitalised, check_class, check_update, complete};
use crate::weaviate::errors::WvError;
use crate::weaviate::json::Fields;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::{WeaviateState, blocking};

const BODY: &str = "objectClass";

pub(super) fn register(table: &mut RouteTable) {
    table.get("/schema", list);
    table.post("/schema", create);
    table.get("/schema/{class}", get);
    table.delete("/schema/{class}", delete);
    table.put("/schema/{class}", update);
}

async fn list(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_collections"))?;
    blocking(move || {
        let collections = request.state.store.collections();
        let classes: Vec<&Value> = collections
            .iter()
            .filter(|it| request.caller.sees_resource(&it.name))
            .map(|it| &it.class)
            .collect();
        Ok(WvResponse::value(&json!({ "classes": classes })))
    })
    .await
}

async fn get(request: WvRequest) -> WvResult {
    let name = capitalised(request.captured("class"));
    blocking(move || {
        let found = request.state.store.resolve_collection(&name);
        let meta = found.ok_or_else(WvError::not_found)?;
        let names = [meta.name.clone()];
        request.authorise(Need::read("read_collections").resources(&names))?;
        Ok(WvResponse::value(&meta.class))
    })
    .await
}

/// Wrong types of the keys that are read here.
fn check_types(fields: &Fields) -> Result<(), WvError> {
    fields.string("class")?;
    fields.string("description")?;
    fields.string("vectorIndexType")?;
    fields.string("vectorizer")?;
    fields.object("multiTenancyConfig", "models.MultiTenancyConfig")?;
    fields.object("replicationConfig", "models.ReplicationConfig")?;
    fields.object("invertedIndexConfig", "models.InvertedIndexConfig")?;
    fields.object("vectorConfig", "map[string]models.VectorConfig")?;
    for property in fields.list("properties", "[]*models.Property")? {
        let Some(map) = property.as_object() else {
            return Err(WvError::undecodable(
                BODY,
                "json: cannot unmarshal a property into Go struct field Class.properties of type models.Property",
            ));
        };
        let property = Fields::new(map.clone(), BODY, "Class.properties");
        property.string("name")?;
        property.string("description")?;
        property.string("tokenization")?;
        property.strings("dataType")?;
    }
    Ok(())
}

async fn create(request: WvRequest) -> WvResult {
    let fields = request.fields(BODY, "Class")?;
    check_types(&fields)?;
    let class = complete(fields.map());
    let names = [class["class"].as_str().unwrap_or_default().to_owned()];
    request.authorise(Need::operate("create_collections").resources(&names))?;
    // A class that was read with its tenants' empty sharding cannot be written back so.
    let has_sharding = fields.get("shardingConfig").is_some();
    let multi_tenant = class["multiTenancyConfig"]["enabled"].as_bool() == Some(true);
    if has_sharding && multi_tenant {
        return Err(WvError::schema(
            "cannot have both shardingConfig and multiTenancyConfig",
        ));
    }
    blocking(move || {
        let _schema = request.state.lock_schema();
        let store = &request.state.store;
        let [name] = names;
        check_free(store, &name)?;
        let exists = |class: &str| store.collection(class).is_some();
        let around = Surroundings {
            exists: &exists,
            max_shards: MAX_SHARDS,
        };
        check_class(&class, &around)?;
        match create_class(store, class) {
            Ok(meta) => Ok(WvResponse::value(&meta.class)),
            Err(error) => Err(taken(&name, error)),
        }
    })
    .await
}

fn taken(name: &str, error: StoreError) -> WvError {
    match error {
        StoreError::CollectionExists { is_alias: true, .. } => {
            WvError::schema(format!("alias name {name} already exists"))
        }
        StoreError::CollectionExists { .. } => {
            WvError::schema(format!("class name {name} already exists"))
        }
        other => WvError::from(other).into_schema(),
    }
}

/// Names differ by more than the case of their letters.
fn check_free(store: &Store, name: &str) -> Result<(), WvError> {
    if store.collection(name).is_some() {
        return Err(WvError::schema(format!("class name {name} already exists")));
    }
    if store.collection_aliases().contains_key(name) {
        return Err(WvError::schema(format!("alias name {name} already exists")));
    }
    let lower = name.to_lowercase();
    let similar = store
        .collections()
        .into_iter()
        .find(|it| it.name.to_lowercase() == lower);
    match similar {
        Some(meta) => Err(WvError::schema(format!(
            "class already exists: found similar class {:?}",
            meta.name
        ))),
        None => Ok(()),
    }
}

async fn update(request: WvRequest) -> WvResult {
    let name = capitalised(request.captured("class"));
    let fields = request.fields(BODY, "Class")?;
    check_types(&fields)?;
    let new = complete(fields.map());
    blocking(move || {
        let _schema = request.state.lock_schema();
        let store = &request.state.store;
        let meta = store
            .resolve_collection(&name)
            .ok_or_else(WvError::not_found_typed)?;
        let names = [meta.name.clone()];
        request.authorise(Need::operate("update_collections").resources(&names))?;
        let changed = updated(&request.state, &meta.class, new)?;
        store.update_class(&meta.name, changed.clone())?;
        Ok(WvResponse::value(&changed))
    })
    .await
}

fn updated(
    state: &WeaviateState,
    old: &Value,
    mut new: serde_json::Map<String, Value>,
) -> Result<Value, WvError> {
    check_update(old, &new)?;
    if new.get("properties").is_none_or(Value::is_null) {
        new.insert("properties".to_owned(), old["properties"].clone());
    }
    let exists = |class: &str| state.store.collection(class).is_some();
    let around = Surroundings {
        exists: &exists,
        max_shards: MAX_SHARDS,
    };
    check_class(&new, &around)?;
    Ok(Value::Object(new))
}

async fn delete(request: WvRequest) -> WvResult {
    let name = capitalised(request.captured("class"));
    blocking(move || {
        let names = [name];
        request.authorise(Need::operate("delete_collections").resources(&names))?;
        let _schema = request.state.lock_schema();
        match request.state.store.delete_collection(&names[0]) {
            Ok(()) | Err(StoreError::CollectionNotFound { .. }) => Ok(WvResponse::empty()),
            Err(error) => Err(WvError::from(error).into_schema()),
        }
    })
    .await
}
