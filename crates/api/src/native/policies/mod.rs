//! Policies: what is snapshotted when, and how long it is kept; whichever API they were made with.

mod durations;
mod from_engine;
mod handlers;
mod locks;
mod names;
mod to_engine;
pub mod types;

pub use handlers::*;
pub use locks::*;
pub(super) use names::id_of;
