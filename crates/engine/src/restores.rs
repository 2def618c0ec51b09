//! Restoring indices and collections.
//!
//! Targets of indices are begun in the driver before the request is answered, so that they are seen as being restored and everything wrong
//! with them is told. Documents are loaded in parallel; each shard is compared with the count and digest of the snapshot before
//! the driver makes it visible, all shards of an index in one step. Whatever goes wrong before that leaves nothing behind.
//! Collections are begun by the job, because one that exists already is no reason to refuse the request; all of a restore become
//! visible in one step.

mod accept;
mod api;
mod collections;
mod job;
mod load;
mod parts;
mod running;
mod runs;
mod settings;
mod targets;

pub(crate) use running::RunningRestore;
