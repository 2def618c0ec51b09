//! Indices as metadata: creating, deleting, settings, mappings, aliases, templates, statistics.

mod aliases;
mod fields;
mod lifecycle;
mod maintenance;
mod mapping_types;
mod render;
pub mod routes;
mod settings;
mod stats;
pub mod targets;
mod templates;

pub use render::{settings as render_settings, shaped};
