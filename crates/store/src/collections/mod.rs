//! Collections: classes of objects with vectors, in shards or tenants.
//!
//! A collection is kept like an index: per shard numbered operations, tombstones, a running count and
//! digest, all of it in the same rows. What differs: ids are UUIDs, a row carries the vectors behind its
//! JSON (as raw little-endian `f32`), shards have names and a status, and as tenants they come and go.
//! Collections and indices have separate namespaces.
//!
//! [`Store`](crate::Store) makes, changes and writes collections; [`View`](crate::View) reads them.

mod catalogue;
mod codec;
mod distance;
mod filter;
mod id;
mod manage;
mod meta;
mod object;
mod op;
mod query;
mod references;
mod restore;
mod search;
mod tenants;
mod view;
mod write;

pub use id::{InvalidObjectId, ObjectId};
pub use meta::{CollectionMeta, CollectionShard, CollectionSpec, MAX_SHARDS, TenantStatus};
pub use object::{Object, ObjectVector};
pub use op::{NewObject, ObjectChange, ObjectOp, ObjectOpKind, ObjectOutcome, PutMode};
pub use query::{
    Comparison, Condition, Filter, FilterPath, FilterValue, GeoRange, MAX_WINDOW, Metric,
    NearVector, ObjectHit, ObjectQuery, ObjectSort, QueryVector, Tokenization,
};
pub use restore::{CollectionRestore, CollectionsRestoreTarget};

pub(crate) use catalogue::{
    ALIASES_KEY, AliasRecord, Collection, CollectionRecord, Collections,
    RECORD_PREFIX as COLLECTION_PREFIX, ShardRecord, Shared, decode_lengths, lengths_key,
    number_of_key, purge_key, purge_prefix, shard_prefix,
};

#[cfg(test)]
mod tests;
