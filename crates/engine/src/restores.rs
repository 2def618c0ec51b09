//! Restoring indices.
//!
//! Targets are begun in the driver before the request is answered, so that they are seen as being restored and everything wrong
//! with them is told. Documents are loaded in parallel; each shard is compared with the count and digest of the snapshot before
//! the driver makes it visible, all shards of an index in one step. Whatever goes wrong before that leaves nothing behind.

mod accept;
mod api;
mod job;
mod load;
mod running;
mod runs;
mod settings;
mod targets;

pub(crate) use running::RunningRestore;
