//! What repositories, snapshots and indices may be called, and date math in names.

mod date_math;
mod rules;

pub use date_math::{DateMathError, resolve_date_math};
pub(crate) use date_math::{parse_zone, render};
pub use rules::{
    IndexNameRule, MAX_FREE_NAME_BYTES, NameError, SnapshotNameRule, check_free_name,
    check_index_name, check_repository_name, check_snapshot_name,
};
