//! Volumes, instances, their snapshots, and what is made of these. The engine calls such a snapshot a point.

mod convert;
mod images;
mod registry;
mod snapshots;
pub mod types;

pub use images::*;
pub use registry::*;
pub use snapshots::*;
