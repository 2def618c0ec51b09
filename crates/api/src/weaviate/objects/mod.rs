//! `/v1/objects`: single objects, lists and references.

mod common;
mod list;
mod read;
mod references;
mod write;

use super::routes::RouteTable;

pub(super) use common::check_consistency;

/// Adds the routes.
pub(super) fn register(table: &mut RouteTable) {
    list::register(table);
    write::register(table);
    read::register(table);
    references::register(table);
}
