//! `/v1/schema` and `/v1/aliases`: classes, properties, shards, tenants.

mod aliases;
mod classes;
mod create;
mod properties;
mod shards;
mod tenants;

use super::routes::RouteTable;

pub use create::create_class;
pub use tenants::{activity, status_of};

/// Adds the routes.
pub(super) fn register(table: &mut RouteTable) {
    classes::register(table);
    properties::register(table);
    shards::register(table);
    tenants::register(table);
    aliases::register(table);
}
