//! Backups of collections: `/v1/backups/…`.
//!
//! A backup is a snapshot in the repository that a backend stands for ([`location`](self)); ids are the names of the snapshots.
//! Everything that can be wrong with a request is one row of the table in [`conditions`]: handlers take their answers from there,
//! the documentation and the tests are made of the same rows.

mod cancel;
pub mod conditions;
mod create;
mod describe;
mod list;
mod location;
mod purge;
mod request;
mod restore;
mod selection;
mod status;

pub use location::{Backends, DEFAULT_FOLDER, DEFAULT_REPOSITORY};

use super::routes::RouteTable;

/// The routes of this area.
pub(super) fn register(table: &mut RouteTable) {
    table.post("/backups/{backend}", create::create);
    table.get("/backups/{backend}", list::list);
    table.get("/backups/{backend}/{id}", status::status);
    table.delete("/backups/{backend}/{id}", cancel::cancel);
    table.delete("/backups/{backend}/{id}/purge", purge::purge);
    table.post("/backups/{backend}/{id}/restore", restore::restore);
    table.get("/backups/{backend}/{id}/restore", status::restore_status);
    table.delete("/backups/{backend}/{id}/restore", cancel::cancel_restore);
}
