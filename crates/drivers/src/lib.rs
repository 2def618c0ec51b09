//! Drivers: how each kind of resource is captured and restored.
//!
//! A driver knows nothing of APIs and repositories. [`document`] is what the engine asks of anything that holds documents in
//! shards (indices and collections); [`store`] answers for the embedded store. [`volume`] is about disks.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod document;
mod error;
pub mod store;
pub mod volume;

pub use document::{
    Capture, CapturedCollection, CapturedResource, ChangeToken, CollectionShard,
    CollectionsRestoration, DocumentDriver, GoneDocument, LiveDocument, LoadedDocument, Proof,
    ResourceInfo, ResourceKind, ResourceRef, Restoration, RestoreCollection, RestoreIndex,
    ShardCapture, TenantStatus,
};
pub use error::DriverError;
pub use store::StoreDriver;
