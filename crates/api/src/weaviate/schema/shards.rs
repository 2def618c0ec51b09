//! Shards of a class and whether they may be written.

use serde_json::{Value, json};

use crate::auth::Need;
use crate::weaviate::class::capitalised;
use crate::weaviate::errors::WvError;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

pub(super) fn register(table: &mut RouteTable) {
    table.get("/schema/{class}/shards", list);
    table.put("/schema/{class}/shards/{shard}", set);
}

fn unknown_class(name: &str) -> WvError {
    WvError::application(
        404,
        format!("cannot get shards status for a non-existing index for {name}: not found"),
    )
}

async fn list(request: WvRequest) -> WvResult {
    let name = capitalised(request.captured("class"));
    blocking(move || {
        let found = request.state.store.resolve_collection(&name);
        let meta = found.ok_or_else(|| unknown_class(&name))?;
        let names = [meta.name.clone()];
        request.authorise(Need::read("read_collections").resources(&names))?;
        let only = request.query.get("tenant");
        let shards: Vec<Value> = meta
            .shards
            .iter()
            .filter(|shard| only.is_none_or(|tenant| shard.name == tenant))
            .map(|shard| {
                let is_read_only = request.state.is_read_only(&meta, &shard.name);
                let status = if is_read_only { "READONLY" } else { "READY" };
                json!({"name": shard.name, "status": status, "vectorQueueSize": 0})
            })
            .collect();
        Ok(WvResponse::value(&shards))
    })
    .await
}

async fn set(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "ShardStatus")?;
    let status = fields.string("status")?.unwrap_or_default();
    let name = capitalised(request.captured("class"));
    blocking(move || {
        let found = request.state.store.resolve_collection(&name);
        let meta = found.ok_or_else(|| unknown_class(&name))?;
        let names = [meta.name.clone()];
        request.authorise(Need::operate("update_collections").resources(&names))?;
        let shard = request.captured("shard");
        if meta.shard(shard).is_none() {
            return Err(WvError::application(
                404,
                format!("shard {shard:?} does not exist in class {}", meta.name),
            ));
        }
        let read_only = match status.as_str() {
            "READONLY" => true,
            "READY" => false,
            other => {
                return Err(WvError::internal(format!(
                    "updating db: TYPE_UPDATE_SHARD_STATUS: {other}: invalid storage status"
                )));
            }
        };
        request.state.set_read_only(&meta, shard, read_only);
        Ok(WvResponse::value(&json!({ "status": status })))
    })
    .await
}
