//! Volumes and instances: which there are, their points, and what can be made of those.
//!
//! A point is a snapshot like any other in its repository: complete, and readable with restic. What chains it to others is
//! bookkeeping ([`chain`]), so that points can be deleted in any order.

mod apply;
mod capture;
mod chain;
mod create;
mod ids;
mod image;
mod leftovers;
mod points;
mod read;
mod registry;
mod thaw;
mod work;

pub(crate) use apply::{RollbackRecord, resume_rollbacks};
pub(crate) use create::finish_volume;
pub(crate) use ids::IdKind;
pub(crate) use leftovers::remove_leftovers;
pub(crate) use points::{RunningPoint, complete_point_deletion, fail_points, import_names};
pub(crate) use registry::Registry;
pub(crate) use thaw::thaw_leftovers;

pub use read::{
    DISK_CACHE_BYTES, DiskShape, ExportError, ReadError, StoredDisk, export_disk, stored_disks,
};
