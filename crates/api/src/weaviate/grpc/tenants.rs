//! `TenantsGet`

use std::time::Instant;

use snapkeep_store::collections::TenantStatus;

use super::super::errors::WvError;
use super::super::object::ClassCatalogue;
use super::proto::{Tenant, TenantActivityStatus, TenantsGetReply, TenantsGetRequest};
use super::service::{Context, took};
use crate::auth::Need;

pub(super) async fn get(
    context: Context,
    request: TenantsGetRequest,
) -> Result<TenantsGetReply, WvError> {
    let since = Instant::now();
    let class = ClassCatalogue::new(&context.state.store).get(&request.collection);
    let class = class.ok_or_else(|| {
        WvError::unprocessable(format!(
            "could not find class {} in schema",
            request.collection
        ))
    })?;
    let names = [class.meta.name.clone()];
    let need = Need::read("read_tenants").resources(&names);
    context.caller.authorise(need)?;
    if !class.meta.multi_tenant {
        let text = format!(
            "multi-tenancy is not enabled for class {:?}",
            class.meta.name
        );
        return Err(WvError::unprocessable(text));
    }
    let wanted = request.names.map(|names| names.values);
    if wanted.as_ref().is_some_and(Vec::is_empty) {
        return Err(WvError::unprocessable(
            "must specify at least one tenant name",
        ));
    }
    let is_wanted = |name: &String| wanted.as_ref().is_none_or(|names| names.contains(name));
    let tenants = class.meta.shards.iter().filter(|it| is_wanted(&it.name));
    Ok(TenantsGetReply {
        took: took(since),
        tenants: tenants
            .map(|shard| Tenant {
                name: shard.name.clone(),
                activity_status: status(shard.status).into(),
            })
            .collect(),
    })
}

fn status(status: TenantStatus) -> TenantActivityStatus {
    match status {
        TenantStatus::Hot => TenantActivityStatus::Hot,
        TenantStatus::Cold => TenantActivityStatus::Cold,
        TenantStatus::Frozen => TenantActivityStatus::Frozen,
    }
}
