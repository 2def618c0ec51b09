//! Adding a property to a class.

use serde_json::Value;
use snapkeep_store::collections::MAX_SHARDS;

use crate::auth::Need;
use crate::weaviate::class::{Surroundings, capitalised, check_properties, complete_property};
use crate::weaviate::errors::WvError;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    table.post("/schema/{class}/properties", add);
}

async fn add(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "Property")?;
    fields.string("name")?;
    fields.string("description")?;
    fields.string("tokenization")?;
    fields.strings("dataType")?;
    let property = Value::Object(complete_property(fields.map()));
    let name = capitalised(request.captured("class"));
    blocking(move || {
        let _schema = request.state.lock_schema();
        let store = &request.state.store;
        let Some(meta) = store.resolve_collection(&name) else {
            return Err(WvError::schema(format!("class {name:?}: not found")));
        };
        let names = [meta.name.clone()];
        request.authorise(Need::operate("update_collections").resources(&names))?;
        let mut class = meta.class.clone();
        let mut properties = match class["properties"].take() {
            Value::Array(properties) => properties,
            _ => Vec::new(),
        };
        let exists = |class: &str| store.collection(class).is_some();
        let around = Surroundings {
            exists: &exists,
            max_shards: MAX_SHARDS,
        };
        let added = std::slice::from_ref(&property);
        check_properties(&meta.name, &properties, added, &around)?;
        properties.push(property.clone());
        class["properties"] = Value::Array(properties);
        store.update_class(&meta.name, class)?;
        Ok(WvResponse::value(&property))
    })
    .await
}
