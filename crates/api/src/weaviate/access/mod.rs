//! Users and roles as Weaviate's clients manage them: `/v1/users/db/…`, `/v1/authz/roles/…`.
//!
//! They are records: kept, told, and carried by backups, so that scripts which manage them go on working. What a request may do is
//! decided by Snapkeep's own credentials. Where those are on, a user of this API gets one: a viewer with an API key.

mod captured;
mod records;
mod roles;
mod users;

pub(super) use captured::{captured, may_restore, restore};

use super::routes::RouteTable;

/// The routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    table.get("/authz/roles", roles::list);
    table.post("/authz/roles", roles::create);
    table.get("/authz/roles/{role}", roles::get);
    table.delete("/authz/roles/{role}", roles::delete);
    table.get("/users/db", users::list);
    table.get("/users/db/{user}", users::get);
    table.post("/users/db/{user}", users::create);
    table.delete("/users/db/{user}", users::delete);
    table.post("/users/db/{user}/rotate-key", users::rotate);
}
