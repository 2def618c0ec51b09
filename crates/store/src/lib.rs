//! Embedded document store: indices of JSON documents, and collections of objects with vectors, in
//! numbered shards.
//!
//! What stands in for a cluster when there is none. Each shard numbers its operations (`seq_no`), keeps
//! versions and tombstones, and offers a consistent point-in-time [`View`] while writes go on. It is a
//! store with a simple scan-based [`search`], not a search engine.
//!
//! * [`Store`]: open, indices and their metadata, writing and reading documents.
//! * [`View`] / [`ShardView`]: one moment of all indices, read in parallel by snapshots and searches.
//! * [`RestoreTarget`]: loading an index from a snapshot, invisible until it is proved complete.
//! * [`collections`]: the same for objects with vectors, in shards or tenants.
//! * [`document_hash`]: the digest contribution of one document; a shard's digest is the wrapping
//!   sum over its live documents, so it can be kept while documents come and go in any order.
//!
//! All calls block: use ordinary threads or `spawn_blocking`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod collections;
mod document;
mod error;
mod index;
mod json;
mod parallel;
mod restore;
pub mod search;
mod store;
mod view;
mod window;
mod write;

pub use document::{Document, DocumentRef, document_hash};
pub use error::{StoreError, VersionConflict};
pub use index::{Alias, AliasAction, IndexMeta, IndexSpec, IndexState, Settings};
pub use restore::{RestoreSpec, RestoreTarget, RestoredDocument, ShardProof};
pub use store::{ClusterSettings, IndexStats, LostWrites, Store, StoreOptions, TemplateKind};
pub use view::{Gone, ShardHistory, ShardView, View};
pub use write::{Update, VersionType, WriteKind, WriteOp, WriteOptions, WriteOutcome, WriteResult};
