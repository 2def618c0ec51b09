//! Tenants of a class.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use snapkeep_store::StoreError;
use snapkeep_store::collections::{CollectionMeta, MAX_SHARDS, TenantStatus};

use crate::auth::Need;
use crate::weaviate::class::{capitalised, check_tenant_name};
use crate::weaviate::errors::WvError;
use crate::weaviate::json::{Fields, go_kind};
use crate::weaviate::request::WvRequest;
use crate::weaviate::response::WvResponse;
use crate::weaviate::routes::{RouteTable, WvResult};
use crate::weaviate::state::blocking;

/// Most tenants that one request may change.
const MAX_UPDATED: usize = 100;

const ACTIVITIES: [&str; 10] = [
    "ACTIVE",
    "INACTIVE",
    "OFFLOADED",
    "OFFLOADING",
    "ONLOADING",
    "HOT",
    "COLD",
    "FROZEN",
    "FREEZING",
    "UNFREEZING",
];

pub(super) fn register(table: &mut RouteTable) {
    table.get("/schema/{class}/tenants", list);
    table.post("/schema/{class}/tenants", add);
    table.put("/schema/{class}/tenants", update);
    table.delete("/schema/{class}/tenants", remove);
    table.get("/schema/{class}/tenants/{tenant}", get);
    table.add(Method::HEAD, "/schema/{class}/tenants/{tenant}", exists);
}

/// What clients call a status.
pub fn activity(status: TenantStatus) -> &'static str {
    status.as_str()
}

/// The status that a client's word, of either generation, stands for; none if it is no word for one.
pub fn status_of(word: &str) -> Option<TenantStatus> {
    match word {
        "" | "HOT" | "ACTIVE" => Some(TenantStatus::Hot),
        "COLD" | "INACTIVE" => Some(TenantStatus::Cold),
        "FROZEN" | "OFFLOADED" => Some(TenantStatus::Frozen),
        _ => None,
    }
}

/// A tenant as a request names it.
struct Given {
    name: String,
    /// As the client spelled it; empty if it said nothing.
    activity: String,
}

fn given(request: &WvRequest) -> Result<Vec<Given>, WvError> {
    let items = match request.value("body")? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        other => {
            let kind = go_kind(&other);
            let text =
                format!("json: cannot unmarshal {kind} into Go value of type []*models.Tenant");
            return Err(WvError::undecodable("body", text));
        }
    };
    let mut tenants = Vec::with_capacity(items.len());
    for item in items {
        let fields = Fields::of_body(item, "body", "Tenant")?;
        let activity = fields.string("activityStatus")?.unwrap_or_default();
        if !activity.is_empty() && !ACTIVITIES.contains(&activity.as_str()) {
            return Err(WvError::not_among("activityStatus", "body", &ACTIVITIES));
        }
        tenants.push(Given {
            name: fields.string("name")?.unwrap_or_default(),
            activity,
        });
    }
    Ok(tenants)
}

/// Statuses of tenants to be written; only hot and cold can be asked for.
fn statuses(tenants: &[Given]) -> Result<Vec<(String, TenantStatus)>, WvError> {
    let mut result = Vec::with_capacity(tenants.len());
    for (position, tenant) in tenants.iter().enumerate() {
        check_tenant_name(&tenant.name).map_err(|complaint| {
            WvError::unprocessable(format!("tenant name at index {position}:  {complaint}"))
        })?;
        let status = match status_of(&tenant.activity) {
            Some(TenantStatus::Frozen) => {
                return Err(WvError::unprocessable(
                    "can't offload tenants, because offload-s3 module is not enabled",
                ));
            }
            Some(status) => status,
            None => {
                return Err(WvError::unprocessable(format!(
                    "invalid tenant status at index {position}: {:?} cannot be set",
                    tenant.activity
                )));
            }
        };
        result.push((tenant.name.clone(), status));
    }
    Ok(result)
}

/// A class with tenants. `context` is what a real server says before the complaint.
fn class_with_tenants(
    request: &WvRequest,
    context: &str,
    need: Need<'_>,
) -> Result<Arc<CollectionMeta>, WvError> {
    let name = capitalised(request.captured("class"));
    let Some(meta) = request.state.store.resolve_collection(&name) else {
        return Err(WvError::unprocessable(format!("{context}class not found")));
    };
    let names = [meta.name.clone()];
    request.authorise(need.resources(&names))?;
    if !meta.multi_tenant {
        return Err(WvError::unprocessable(format!(
            "{context}multi-tenancy is not enabled for class {:?}",
            meta.name
        )));
    }
    Ok(meta)
}

const READING: &str = "failed to execute query: could not get tenants: could not get tenants: ";

async fn list(request: WvRequest) -> WvResult {
    blocking(move || {
        let meta = class_with_tenants(&request, READING, Need::read("read_tenants"))?;
        let tenants: Vec<Value> = meta
            .shards
            .iter()
            .map(|it| json!({"activityStatus": activity(it.status), "name": it.name}))
            .collect();
        Ok(WvResponse::value(&tenants))
    })
    .await
}

async fn get(request: WvRequest) -> WvResult {
    blocking(move || {
        let meta = class_with_tenants(&request, READING, Need::read("read_tenants"))?;
        let found = meta.shard(request.captured("tenant"));
        let tenant = found.ok_or_else(WvError::not_found)?;
        Ok(WvResponse::value(
            &json!({"activityStatus": activity(tenant.status), "name": tenant.name}),
        ))
    })
    .await
}

async fn exists(request: WvRequest) -> WvResult {
    blocking(move || {
        let meta = class_with_tenants(&request, READING, Need::read("read_tenants"))?;
        match meta.shard(request.captured("tenant")) {
            Some(_) => Ok(WvResponse::empty()),
            None => Err(WvError::not_found()),
        }
    })
    .await
}

async fn add(request: WvRequest) -> WvResult {
    let tenants = given(&request)?;
    blocking(move || {
        let meta = class_with_tenants(&request, "", Need::operate("create_tenants"))?;
        let added = statuses(&tenants)?;
        let new = added.iter().filter(|(name, _)| meta.shard(name).is_none());
        if meta.shards.len() + new.count() > MAX_SHARDS {
            return Err(WvError::unprocessable(format!(
                "a class may have {MAX_SHARDS} tenants; remove some or use another class"
            )));
        }
        request.state.store.add_tenants(&meta.name, &added)?;
        let shown: Vec<Value> = tenants.iter().map(as_given).collect();
        Ok(WvResponse::value(&shown))
    })
    .await
}

/// A tenant as a write answers it: what was not said is not shown.
fn as_given(tenant: &Given) -> Value {
    match status_of(&tenant.activity) {
        Some(status) if !tenant.activity.is_empty() => {
            json!({"activityStatus": activity(status), "name": tenant.name})
        }
        _ => json!({"name": tenant.name}),
    }
}

async fn update(request: WvRequest) -> WvResult {
    let tenants = given(&request)?;
    blocking(move || {
        if tenants.len() > MAX_UPDATED {
            return Err(WvError::unprocessable(format!(
                "maximum number of tenants allowed to be updated simultaneously is {MAX_UPDATED}. Please reduce the \
                 number of tenants in your request and try again"
            )));
        }
        let meta = class_with_tenants(&request, "", Need::operate("update_tenants"))?;
        let updated = statuses(&tenants)?;
        match request.state.store.set_tenants(&meta.name, &updated) {
            Ok(()) => {
                let shown: Vec<Value> = tenants.iter().map(as_given).collect();
                Ok(WvResponse::value(&shown))
            }
            Err(StoreError::TenantNotFound { tenant, .. }) => Err(WvError::unprocessable(format!(
                "updating schema: TYPE_UPDATE_TENANT: shard not found: {tenant}"
            ))),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn remove(request: WvRequest) -> WvResult {
    let names = match request.value("tenants")? {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().unwrap_or_default().to_owned())
            .collect(),
        Value::Null => Vec::new(),
        _ => {
            return Err(WvError::undecodable(
                "tenants",
                "json: cannot unmarshal object into Go value of type []string",
            ));
        }
    };
    blocking(move || {
        let meta = class_with_tenants(&request, "", Need::operate("delete_tenants"))?;
        request.state.store.remove_tenants(&meta.name, &names)?;
        Ok(WvResponse::empty())
    })
    .await
}
