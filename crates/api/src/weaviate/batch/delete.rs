//! Deleting what a filter matches.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use snapkeep_store::collections::{Filter, ObjectId, ObjectOp, ObjectQuery};

use crate::auth::Need;
use crate::weaviate::errors::WvError;
use crate::weaviate::filter::parse_where;
use crate::weaviate::object::{ClassCatalogue, ClassContext, StorageContext, ready_tenant};
use crate::weaviate::objects::check_consistency;
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::{MAX_RESULTS, WeaviateState, blocking};

pub(super) fn register(table: &mut RouteTable) {
    table.delete("/batch/objects", delete);
}

/// What is to be deleted.
#[derive(Debug)]
pub struct BatchDelete<'a> {
    /// From which class.
    pub class: &'a ClassContext,
    /// From which tenant.
    pub tenant: Option<&'a str>,
    /// What.
    pub filter: Filter,
    /// Only say what would be deleted.
    pub dry_run: bool,
}

/// What was deleted.
#[derive(Debug)]
pub struct Deleted {
    /// Objects that match; more than were deleted where there are more than [`MAX_RESULTS`].
    pub matches: u64,
    /// Those that were looked at, and why one was not deleted.
    pub objects: Vec<(ObjectId, Option<WvError>)>,
}

/// Deletes at most [`MAX_RESULTS`] of the objects that match, as one durable batch. Blocks.
///
/// # Errors
/// Those of reading.
pub fn delete_matching(
    state: &WeaviateState,
    request: BatchDelete<'_>,
) -> Result<Deleted, WvError> {
    let name = &request.class.meta.name;
    if let Some(tenant) = request.tenant {
        ready_tenant(&state.store, request.class, tenant, false)?;
    }
    let failed = |error| StorageContext::List.error(name, &error);
    let view = state.store.peek();
    let matches = view
        .count_objects(name, request.tenant, Some(&request.filter))
        .map_err(failed)?;
    let query = ObjectQuery {
        collection: name.clone(),
        tenant: request.tenant.map(str::to_owned),
        filter: Some(request.filter),
        limit: MAX_RESULTS,
        ..ObjectQuery::default()
    };
    let hits = view.search_objects(&query).map_err(failed)?;
    let ids: Vec<ObjectId> = hits.iter().map(|hit| hit.object.id).collect();
    if request.dry_run {
        let objects = ids.into_iter().map(|id| (id, None)).collect();
        return Ok(Deleted { matches, objects });
    }
    let mut objects = Vec::with_capacity(ids.len());
    let mut ops = Vec::new();
    let mut written = Vec::new();
    for id in ids {
        let shard = match request.tenant {
            Some(tenant) => tenant,
            None => request
                .class
                .meta
                .shard_of(id)
                .map_or("", |it| it.name.as_str()),
        };
        let refused = state.check_writable(&request.class.meta, shard).err();
        if refused.is_none() {
            written.push(objects.len());
            ops.push(ObjectOp::delete(
                name.clone(),
                request.tenant.map(str::to_owned),
                id,
            ));
        }
        objects.push((id, refused));
    }
    for (position, outcome) in written.into_iter().zip(state.store.write_objects(ops)) {
        objects[position].1 = outcome.err().map(failed);
    }
    Ok(Deleted { matches, objects })
}

fn refused(complaint: impl std::fmt::Display) -> WvError {
    WvError::unprocessable(format!("validate: {complaint}"))
}

async fn delete(request: WvRequest) -> WvResult {
    let fields = request.fields("body", "BatchDelete")?;
    check_consistency(&request)?;
    let dry_run = fields.bool("dryRun")?.unwrap_or(false);
    let output = fields
        .string("output")?
        .unwrap_or_else(|| "minimal".to_owned());
    let matching = fields.object("match", "models.BatchDeleteMatch")?;
    let matching = matching.ok_or_else(|| refused("empty match clause"))?;
    let class_name = matching.string("class")?.unwrap_or_default();
    blocking(move || {
        if class_name.is_empty() {
            return Err(refused("empty match.class clause"));
        }
        let Some(clause) = matching.get("where") else {
            return Err(refused("empty match.where clause"));
        };
        if !matches!(output.as_str(), "minimal" | "verbose") {
            return Err(refused(format!(
                "invalid output: {output:?}, possible values are: \"minimal\", \"verbose\""
            )));
        }
        let found = ClassCatalogue::new(&request.state.store).get(&class_name);
        let class = found.ok_or_else(|| refused(format!("failed to get class: {class_name}")))?;
        let names = [class.meta.name.clone()];
        request.authorise(Need::write("delete_data").resources(&names))?;
        let filter = parse_where(&class.schema, clause)
            .map_err(|complaint| refused(format!("failed to parse where filter: {complaint}")))?;
        let deleted = delete_matching(
            &request.state,
            BatchDelete {
                class: &class,
                tenant: request.query.get("tenant"),
                filter,
                dry_run,
            },
        )?;
        let failures = deleted.objects.iter().filter(|(_, error)| error.is_some());
        let failed = failures.count();
        let successful = if dry_run { 0 } else { deleted.objects.len() - failed };
        let objects = match output.as_str() {
            "verbose" => Value::Array(deleted.objects.iter().map(|it| item(it, dry_run)).collect()),
            _ => Value::Null,
        };
        Ok(WvResponse::value(&json!({
            "deletionTimeUnixMilli": Timestamp::now().as_millisecond(),
            "dryRun": dry_run,
            "match": {"class": class_name, "where": echoed(clause)},
            "output": output,
            "results": {
                "failed": failed, "limit": MAX_RESULTS, "matches": deleted.matches, "objects": objects,
                "successful": successful,
            },
        })))
    })
    .await
}

fn item((id, error): &(ObjectId, Option<WvError>), dry_run: bool) -> Value {
    match error {
        Some(error) => json!({
            "errors": {"error": [{"message": error.message()}]}, "id": id, "status": "FAILED",
        }),
        None if dry_run => json!({"id": id, "status": "DRYRUN"}),
        None => json!({"id": id, "status": "SUCCESS"}),
    }
}

/// The clause as a real server repeats it: every level has operands, be they null.
fn echoed(clause: &Value) -> Value {
    let Some(map) = clause.as_object() else {
        return clause.clone();
    };
    let mut shown = Map::new();
    shown.insert("operands".to_owned(), Value::Null);
    for (key, value) in map {
        let value = match value {
            Value::Array(operands) if key == "operands" => operands.iter().map(echoed).collect(),
            other => other.clone(),
        };
        shown.insert(key.clone(), value);
    }
    shown.sort_keys();
    Value::Object(shown)
}
