//! Single documents and bulk: `_doc`, `_create`, `_source`, `_update`, `_mget`, `_bulk`.

pub mod bulk;
pub mod failure;
mod read;
pub mod routes;
mod update;
mod write;
