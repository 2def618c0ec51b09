//! Taking, listing, cloning and deleting snapshots.
//!
//! The order of a snapshot: the job is a row of the catalogue, then everything is stored in the repository and proved, then the
//! restic snapshot makes it count, then the catalogue knows it. A crash before the restic snapshot leaves blobs that nothing refers
//! to; a crash after it leaves a snapshot that [`crate::repositories::reconcile`] finds.

mod accept;
pub(crate) mod base;
mod cancel;
mod clone;
mod content;
mod delete;
mod gone_source;
mod job;
mod list;
mod plan;
mod read;
mod rows_source;
mod running;
mod status;
mod trees;

pub(crate) use accept::VERSION;
pub(crate) use delete::{finish_deletion, forget};
pub(crate) use job::{Stored, complete, failed, milliseconds};
pub(crate) use running::RunningSnapshot;
