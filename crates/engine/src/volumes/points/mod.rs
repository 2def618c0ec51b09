//! Points: making, listing, renaming and deleting them.
//!
//! The order in which a point is made is that of any snapshot: the job is a row of the catalogue, then everything is stored and proved,
//! then the restic snapshot makes it count, then the catalogue knows it. Only after that do drivers and caches let go of what belongs
//! to the point before.

mod accept;
mod delete;
mod job;
mod known;
mod list;
mod recover;
mod rename;
mod running;
mod side;
mod store;

pub(crate) use recover::{complete_point_deletion, fail_points};
pub(crate) use running::RunningPoint;
pub(crate) use side::{import_names, record_head};
