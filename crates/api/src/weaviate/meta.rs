//! What clients ask before anything else: version, health, nodes; and the corners of the API that are switched off.

use serde_json::{Value, json};
use snapkeep_store::View;
use snapkeep_store::collections::CollectionMeta;

use super::class::capitalised;
use super::errors::WvError;
use super::request::WvRequest;
use super::response::WvResponse;
use super::routes::{RouteTable, WvResult};
use super::state::{MAX_MESSAGE_BYTES, blocking};
use crate::auth::Need;

/// Adds the routes.
pub(super) fn register(table: &mut RouteTable) {
    table.get("/", links);
    table.get("/meta", meta);
    table.get("/.well-known/live", alive);
    table.get("/.well-known/ready", alive);
    table.get("/.well-known/openid-configuration", no_openid);
    table.get("/nodes", nodes);
    table.get("/nodes/{class}", nodes);
    table.get("/cluster/statistics", statistics);
    table.get("/tasks", tasks);
    table.get("/users/own-info", own_info);
    table.get("/export/{backend}/{id}", no_export);
    table.delete("/export/{backend}/{id}", no_export);
    table.post("/export/{backend}", no_export);
}

async fn links(_: WvRequest) -> WvResult {
    let paths = [
        ("/v1/meta", "Meta information about this instance/cluster"),
        ("/v1/schema", "view complete schema"),
        ("/v1/schema{/:className}", "CRUD schema"),
        ("/v1/objects{/:id}", "CRUD objects"),
        (
            "/v1/.well-known/live",
            "check if Weaviate is live (returns 200 on GET when live)",
        ),
        (
            "/v1/.well-known/ready",
            "check if Weaviate is ready (returns 200 on GET when ready)",
        ),
        (
            "/v1/.well-known/openid-configuration",
            "view link to openid configuration (returns 404 on GET if no openid is configured)",
        ),
    ];
    let links: Vec<Value> = paths
        .iter()
        .map(|(href, name)| json!({"href": href, "name": name}))
        .collect();
    Ok(json!({ "links": links }).into())
}

async fn meta(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_cluster"))?;
    let config = &request.state.config;
    let mut modules = json!({"backup-filesystem": {"backupsPath": config.backups_path}});
    for (backend, repository) in &config.backends.repositories {
        modules[format!("backup-{backend}")] = json!({"repository": repository});
    }
    Ok(json!({
        "grpcMaxMessageSize": MAX_MESSAGE_BYTES,
        "hostname": config.hostname,
        "modules": modules,
        "version": config.version,
    })
    .into())
}

async fn alive(_: WvRequest) -> WvResult {
    Ok(WvResponse::empty())
}

/// OpenID is not configured. Any 200 here makes clients want a token.
async fn no_openid(_: WvRequest) -> WvResult {
    Err(WvError::not_found())
}

async fn tasks(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_cluster"))?;
    Ok(json!({}).into())
}

async fn own_info(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_users"))?;
    Ok(json!({"groups": null, "roles": null, "username": request.caller.name()}).into())
}

async fn no_export(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_backups"))?;
    Err(WvError::unprocessable(
        "export API is disabled; enable it via EXPORT_ENABLED=true or the runtime config",
    ))
}

async fn statistics(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_cluster"))?;
    let name = &request.state.config.node_name;
    Ok(json!({
        "statistics": [{
            "bootstrapped": true, "candidates": {}, "dbLoaded": true, "isVoter": true, "leaderAddress": name,
            "leaderId": name, "name": name, "open": true, "raft": {"state": "Leader", "numPeers": "0"},
            "ready": true, "status": "HEALTHY",
        }],
        "synchronized": true,
    })
    .into())
}

async fn nodes(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_nodes"))?;
    let is_verbose = match request.query.get("output") {
        None | Some("minimal") => false,
        Some("verbose") => true,
        Some(other) => {
            return Err(WvError::unprocessable(format!(
                "invalid output: {other:?}, possible values are: \"minimal\", \"verbose\""
            )));
        }
    };
    blocking(move || {
        let view = request.state.store.peek();
        let class = request.captured("class");
        let mut collections = match class {
            "" => view.collections(),
            name => match view.resolve_collection(&capitalised(name)) {
                Some(meta) => vec![meta],
                None => {
                    return Err(WvError::application(
                        404,
                        format!("class {name:?} not found"),
                    ));
                }
            },
        };
        collections.retain(|it| request.caller.sees_resource(&it.name));
        let mut node = json!({
            "batchStats": {"queueLength": 0, "ratePerSecond": 0},
            "name": request.state.config.node_name,
            "operationalMode": "ReadWrite",
            "shards": null,
        });
        if is_verbose {
            let shards: Vec<Value> = collections
                .iter()
                .flat_map(|meta| shards(&view, meta))
                .collect();
            let count = |shard: &Value| shard["objectCount"].as_u64().unwrap_or(0);
            let objects: u64 = shards.iter().map(count).sum();
            node["stats"] = json!({"objectCount": objects, "shardCount": shards.len()});
            if !shards.is_empty() {
                node["shards"] = Value::Array(shards);
            }
        }
        node["status"] = json!("HEALTHY");
        node["version"] = json!(request.state.config.version);
        Ok(json!({ "nodes": [node] }).into())
    })
    .await
}

fn shards(view: &View, meta: &CollectionMeta) -> Vec<Value> {
    let shown = |shard: &snapkeep_store::collections::CollectionShard| {
        let count = view
            .collection_shard(&meta.name, shard.number)
            .map_or(0, |it| it.live_count());
        json!({
            "asyncReplicationStatus": [], "class": meta.name, "compressed": false, "loaded": true, "name": shard.name,
            "numberOfReplicas": 1, "objectCount": count, "replicationFactor": 1, "vectorIndexingStatus": "READY",
            "vectorQueueLength": 0,
        })
    };
    meta.shards.iter().map(shown).collect()
}
