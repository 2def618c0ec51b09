//! The store itself: opening, metadata, reading and writing.

mod facade;

pub use facade::{ClusterSettings, IndexStats, LostWrites, Store, StoreOptions, TemplateKind};
