//! Policies: snapshots, retention and verification by schedule, behind every dialect that has such a thing.

mod api;

pub use api::PutPolicy;
