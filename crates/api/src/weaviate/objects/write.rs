//! Writing one object.

use http::Method;
use snapkeep_store::collections::{ObjectOp, PutMode};

use super::common::{check_consistency, class, class_in_path, path_id};
use crate::auth::Need;
use crate::weaviate::class::capitalised;
use crate::weaviate::errors::WvError;
use crate::weaviate::object::{
    ClassCatalogue, ObjectInput, ObjectJson, Shown, StorageContext, Wording, WriteOptions,
    check_object, decode_object, merge_object, write_objects,
};
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    table.post("/objects", create);
    table.post("/objects/validate", validate);
    for path in ["/objects/{class}/{id}", "/objects/{id}"] {
        table.delete(path, delete);
        table.put(path, replace);
        table.add(Method::PATCH, path, merge);
    }
}

/// Asks whether the caller may write objects of the class that a body names.
fn authorise(request: &WvRequest, name: &str, what: &str) -> Result<(), WvError> {
    let found = ClassCatalogue::new(&request.state.store).get(name);
    let name = found.map_or_else(|| capitalised(name), |class| class.meta.name.clone());
    request.authorise(Need::write(what).resources(&[name]))
}

async fn create(request: WvRequest) -> WvResult {
    check_consistency(&request)?;
    blocking(move || {
        let input = decode_object(&request.body)?;
        authorise(&request, &input.class, "create_data")?;
        write_one(&request, input, PutMode::Create)
    })
    .await
}

fn write_one(request: &WvRequest, input: ObjectInput, mode: PutMode) -> WvResult {
    let options = WriteOptions {
        mode,
        echo: true,
        wording: Wording::Single,
    };
    let outcome = write_objects(&request.state, vec![input], options).pop();
    let written =
        outcome.unwrap_or_else(|| Err(WvError::internal("the object was not written")))?;
    let Some(object) = &written.object else {
        return Err(WvError::internal("the written object was not returned"));
    };
    Ok(WvResponse::value(&ObjectJson {
        class: &written.class,
        object,
        tenant: written.tenant.as_deref(),
        shown: Shown {
            vectors: true,
            weights: false,
        },
    }))
}

async fn validate(request: WvRequest) -> WvResult {
    blocking(move || {
        let input = decode_object(&request.body)?;
        authorise(&request, &input.class, "read_data")?;
        check_object(&request.state, input)?;
        Ok(WvResponse::empty())
    })
    .await
}

/// The body, with id, class and tenant where the path and the query say them.
fn addressed(request: &WvRequest, what: &str) -> Result<ObjectInput, WvError> {
    let id = path_id(request)?;
    let mut input = decode_object(&request.body)?;
    check_consistency(request)?;
    let name = match request.captured("class") {
        "" => input.class.clone(),
        name => name.to_owned(),
    };
    let target = class(request, &name, Need::write(what))?;
    if input.id.is_some_and(|given| given != id) {
        return Err(WvError::unprocessable(
            "invalid update: field 'id' is immutable",
        ));
    }
    if !input.class.is_empty() {
        let given = ClassCatalogue::new(&request.state.store).get(&input.class);
        if given.is_none_or(|given| given.meta.name != target.meta.name) {
            return Err(WvError::unprocessable(
                "invalid update: field 'class' is immutable",
            ));
        }
    }
    input.id = Some(id);
    input.class = target.meta.name.clone();
    if input.tenant.is_none() {
        input.tenant = request.query.get("tenant").map(str::to_owned);
    }
    Ok(input)
}

async fn replace(request: WvRequest) -> WvResult {
    blocking(move || {
        let input = addressed(&request, "update_data")?;
        write_one(&request, input, PutMode::Replace)
    })
    .await
}

async fn merge(request: WvRequest) -> WvResult {
    blocking(move || {
        let input = addressed(&request, "update_data")?;
        merge_object(&request.state, input)?;
        Ok(WvResponse::no_content())
    })
    .await
}

async fn delete(request: WvRequest) -> WvResult {
    blocking(move || {
        let id = path_id(&request)?;
        check_consistency(&request)?;
        let class = class_in_path(&request, id, Need::write("delete_data"))?;
        let tenant = request.query.get("tenant").map(str::to_owned);
        let name = class.meta.name.clone();
        let shard = match &tenant {
            Some(tenant) => tenant.clone(),
            None => class
                .meta
                .shard_of(id)
                .map_or_else(String::new, |it| it.name.clone()),
        };
        request.state.check_writable(&class.meta, &shard)?;
        let op = ObjectOp::delete(name.clone(), tenant, id);
        for outcome in request.state.store.write_objects(vec![op]) {
            outcome.map_err(|error| StorageContext::Read.error(&name, &error))?;
        }
        Ok(WvResponse::no_content())
    })
    .await
}
