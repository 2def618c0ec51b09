//! Keeping a repository in order: checking it, reclaiming space, repairing what can be repaired.
//!
//! Nothing here takes a global lock. [`Repository::prune`](crate::Repository::prune) works in two phases beside running backups: first
//! packs nobody needs leave the index and are marked, then, when every writer that could have seen them in the index has ended,
//! they are deleted or, if a snapshot came to need them after all, put back into the index.

mod check;
mod index_files;
mod lease;
mod losses;
mod marks;
mod pack_check;
mod plan;
mod prune;
mod repack;
mod repair;
mod sweep;
mod walk;

pub use check::{CheckOptions, CheckProgress, CheckReport, Problem, ReadData};
pub use losses::Loss;
pub use prune::{PruneOptions, PruneReport};
pub use repair::{RepairOptions, RepairReport};
