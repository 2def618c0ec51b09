//! `_bulk`: a stream of operations, written in batches of bounded size.
//!
//! The body is read as it arrives. As many operations as fit into a batch go to the store in one call (one sync to disk); memory
//! is bounded by a batch and the answer, not by the body. A malformed line ends the request with 400: operations of its own batch
//! are not performed, those of batches before it are.

mod action;
mod handler;
mod items;
mod reader;

pub use action::{refuse_pipeline, token, version_type};
pub use handler::bulk;
pub use items::status_of;
