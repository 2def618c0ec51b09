//! The store itself: opening, metadata, reading and writing.

mod catalogue;
mod core;
mod data;
mod documents;
mod facade;
mod guard;
mod indices;
mod keyspaces;
mod open;
mod purge;
mod registry;
pub(crate) mod rows;
mod sync;
mod watchdog;
mod workers;
mod writers;

pub use facade::{ClusterSettings, IndexStats, LostWrites, Store, StoreOptions, TemplateKind};

pub(crate) use self::core::{Core, now_ms};
pub(crate) use catalogue::{Catalogue, Index, IndexRecord, record_key};
pub(crate) use data::{Access, IndexData, RowKind, hex, route};
pub(crate) use documents::{check_readable, get_at};
pub(crate) use guard::ShardKey;
pub(crate) use indices::{created_ms, new_state, refuse_restoring};
pub(crate) use purge::Purge;
pub(crate) use writers::ShardWriter;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{copy_folder, keyspaces};
