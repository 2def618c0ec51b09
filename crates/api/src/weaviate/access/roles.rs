//! `/v1/authz/roles`

use http::StatusCode;
use serde_json::{Value, json};

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::response::WvResponse;
use super::super::routes::WvResult;
use super::records::Records;
use crate::auth::Need;

pub(super) async fn list(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_roles"))?;
    let records = Records::load(&request.state).await?;
    let roles: Vec<&Value> = records.roles.values().collect();
    Ok(WvResponse::value(&roles))
}

pub(super) async fn get(request: WvRequest) -> WvResult {
    request.authorise(Need::read("read_roles"))?;
    let records = Records::load(&request.state).await?;
    match records.roles.get(request.captured("role")) {
        Some(role) => Ok(WvResponse::value(role)),
        None => Err(WvError::not_found()),
    }
}

pub(super) async fn create(request: WvRequest) -> WvResult {
    request.authorise(Need::administer("create_roles"))?;
    let body = request.fields("body", "Role")?;
    let name = body.string("name")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| WvError::required("name", "body"))?;
    let permissions = body.list("permissions", "[]*models.Permission")?.to_vec();
    let _lock = request.state.access.lock().await;
    let mut records = Records::load(&request.state).await?;
    if records.roles.contains_key(&name) {
        return Err(WvError::application(
            409,
            format!("role with name {name} already exists"),
        ));
    }
    let role = json!({"name": name, "permissions": permissions});
    records.roles.insert(name, role);
    records.store(&request.state).await?;
    Ok(WvResponse::status(StatusCode::CREATED))
}

pub(super) async fn delete(request: WvRequest) -> WvResult {
    request.authorise(Need::administer("delete_roles"))?;
    let _lock = request.state.access.lock().await;
    let mut records = Records::load(&request.state).await?;
    // As upstream: 204 whether or not it was there.
    if records.roles.remove(request.captured("role")).is_some() {
        records.store(&request.state).await?;
    }
    Ok(WvResponse::no_content())
}
