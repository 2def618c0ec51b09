//! Creating, listing, following, cloning and deleting snapshots.

mod cat;
mod clone;
mod create;
mod delete;
mod get;
mod info;
mod paging;
mod query;
mod routes;
mod select;
mod status;

pub(super) use cat::now_ms;
pub(super) use routes::register;
