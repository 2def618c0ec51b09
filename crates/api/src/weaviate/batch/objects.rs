//! Writing many objects.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use snapkeep_store::collections::{Object, ObjectId, PutMode};

use crate::auth::Need;
use crate::weaviate::class::capitalised;
use crate::weaviate::errors::WvError;
use crate::weaviate::object::{
    ClassCatalogue, ObjectInput, ObjectJson, Shown, Wording, WriteOptions, WrittenObject,
    decode_batch, write_objects,
};
use crate::weaviate::objects::check_consistency;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    table.post("/batch/objects", create);
}

async fn create(request: WvRequest) -> WvResult {
    check_consistency(&request)?;
    blocking(move || {
        let inputs = decode_batch(&request.body)?;
        if inputs.is_empty() {
            return Err(WvError::unprocessable(
                "invalid param 'objects': cannot be empty, need at least one object for batching",
            ));
        }
        authorise(&request, &inputs)?;
        // What a failed object is shown as: the rest of it was given away to be written.
        let heads: Vec<Head> = inputs.iter().map(Head::of).collect();
        let options = WriteOptions {
            mode: PutMode::Upsert,
            echo: true,
            wording: Wording::Batch,
        };
        let outcomes = write_objects(&request.state, inputs, options);
        let items: Vec<Item> = heads
            .into_iter()
            .zip(outcomes)
            .map(|(head, outcome)| Item { head, outcome })
            .collect();
        Ok(WvResponse::value(&items))
    })
    .await
}

fn authorise(request: &WvRequest, inputs: &[ObjectInput]) -> Result<(), WvError> {
    let mut classes = ClassCatalogue::new(&request.state.store);
    let mut names: Vec<String> = Vec::new();
    for input in inputs {
        let name = match classes.get(&input.class) {
            Some(class) => class.meta.name.clone(),
            None => capitalised(&input.class),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    request.authorise(Need::write("create_data").resources(&names))
}

struct Head {
    class: String,
    id: Option<ObjectId>,
    tenant: Option<String>,
}

impl Head {
    fn of(input: &ObjectInput) -> Self {
        Self {
            class: input.class.clone(),
            id: input.id,
            tenant: input.tenant.clone(),
        }
    }
}

struct Item {
    head: Head,
    outcome: Result<WrittenObject, WvError>,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.outcome {
            Ok(written) => {
                if let Some(object) = &written.object {
                    shown(&written.class, object, written.tenant.as_deref()).fields(&mut map)?;
                }
            }
            Err(_) => {
                map.serialize_entry("class", &self.head.class)?;
                if let Some(id) = self.head.id {
                    map.serialize_entry("id", &id)?;
                }
                if let Some(tenant) = &self.head.tenant {
                    map.serialize_entry("tenant", tenant)?;
                }
            }
        }
        map.serialize_entry("deprecations", &())?;
        map.serialize_entry("result", &result(self.outcome.as_ref().err()))?;
        map.end()
    }
}

fn shown<'a>(class: &'a str, object: &'a Object, tenant: Option<&'a str>) -> ObjectJson<'a> {
    ObjectJson {
        class,
        object,
        tenant,
        shown: Shown {
            vectors: true,
            weights: false,
        },
    }
}

/// How an item of a batch ended.
pub(super) fn result(error: Option<&WvError>) -> Value {
    match error {
        None => json!({"status": "SUCCESS"}),
        Some(error) => json!({
            "errors": {"error": [{"message": error.message()}]},
            "status": "FAILED",
        }),
    }
}
