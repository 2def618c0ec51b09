//! The calls on snapshots.
//!
//! * `show`: a snapshot as lists have it. `list`: which of them.
//! * `create`, `delete`, `apply`, `export` (to an image or a new disk): each begins a job. `update`: names and descriptions, at once.
//! * `named`: which snapshots a request names, and whether the caller may touch them.

mod apply;
mod create;
mod delete;
mod export;
mod list;
mod named;
mod show;
mod update;

pub use apply::apply;
pub use create::create;
pub use delete::delete;
pub use export::{capture_instance, create_volume};
pub use list::list;
pub use update::update;
