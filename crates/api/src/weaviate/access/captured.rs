//! Users and roles in backups.

use serde_json::{Value, json};

use super::super::errors::WvError;
use super::super::request::WvRequest;
use super::super::state::WeaviateState;
use super::records::Records;
use crate::auth::Need;

/// What a backup takes along: all users and roles, or those named. The error is the name of a user that is not there; an unknown
/// role is passed over, as upstream does.
pub(in crate::weaviate) async fn captured(
    state: &WeaviateState,
    users: &[String],
    roles: &[String],
) -> Result<Result<Value, String>, WvError> {
    let mut records = Records::load(state).await?;
    if let Some(unknown) = users.iter().find(|it| !records.users.contains_key(*it)) {
        return Ok(Err(unknown.clone()));
    }
    if !users.is_empty() {
        records.users.retain(|id, _| users.contains(id));
    }
    if !roles.is_empty() {
        records.roles.retain(|name, _| roles.contains(name));
    }
    if records.users.is_empty() && records.roles.is_empty() {
        return Ok(Ok(Value::Null));
    }
    Ok(Ok(json!(records)))
}

/// Whether the caller may bring back users and roles, if that was asked for.
pub(in crate::weaviate) fn may_restore(request: &WvRequest, asked: bool) -> Result<(), WvError> {
    match asked {
        true => request.authorise(Need::administer("create_users")),
        false => Ok(()),
    }
}

/// Brings back users and roles of a backup; those that are there stay as they are. A user that comes back has no key until one is
/// made with `rotate-key`: keys are in no backup.
pub(in crate::weaviate) async fn restore(
    state: &WeaviateState,
    access: &Value,
    with_users: bool,
    with_roles: bool,
) -> Result<(), WvError> {
    if access.is_null() || !(with_users || with_roles) {
        return Ok(());
    }
    let backed_up: Records = serde_json::from_value(access.clone())
        .map_err(|error| WvError::internal(format!("users and roles of the backup: {error}")))?;
    let _lock = state.access.lock().await;
    let mut records = Records::load(state).await?;
    if with_roles {
        for (name, role) in backed_up.roles {
            records.roles.entry(name).or_insert(role);
        }
    }
    if with_users {
        for (id, user) in backed_up.users {
            records.users.entry(id).or_insert(user);
        }
    }
    records.store(state).await
}
