//! Snapshot lifecycle management: `/_slm`, in the `es` shape only, as on real servers.
//!
//! A policy is one of the engine's; what Elasticsearch shows of it and the engine does not need is kept beside it, verbatim.

mod body;
mod handlers;
mod render;
mod settings;
mod spec;

pub(super) use handlers::register;
pub(super) use settings::{DEFAULTS, check_settings, follow_settings};
