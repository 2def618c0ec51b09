//! Loading an index from a snapshot: staged beside the others, invisible until it is proved complete.

mod load;
mod spec;
mod target;

pub(crate) use load::Loader;
pub use spec::{RestoreSpec, RestoredDocument, ShardProof};
pub use target::RestoreTarget;

#[cfg(test)]
mod tests;
