//! What several dialects need in the same form.

pub mod candidates;
pub mod path;
pub mod points;
pub mod policies;
pub mod task;
pub mod units;
pub mod uuid;
