//! Searching: `_search`, `_count`, `_msearch`, scrolls and points in time.

mod answer;
mod body;
mod count;
mod failure;
mod multi;
mod pit;
pub mod routes;
mod run;
mod scope;
mod scroll;
pub mod source;

pub use body::place;
