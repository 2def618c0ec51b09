//! `/v1/batch`: many objects or references at once, and deletion by filter.

mod delete;
mod objects;
mod references;

use super::routes::RouteTable;

pub use delete::{BatchDelete, Deleted, delete_matching};
pub use references::{ReferenceInput, write_references};

/// Adds the routes.
pub(super) fn register(table: &mut RouteTable) {
    objects::register(table);
    delete::register(table);
    references::register(table);
}
