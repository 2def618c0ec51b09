//! Bodies of requests: media types, and the four formats they may come in.

mod diagnosis;
mod json;
mod media;

pub use json::parse;
pub use media::{Accepted, Media};
