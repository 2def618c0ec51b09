//! The cluster of one node: health, settings, state, nodes.

pub mod health;
mod nodes;
pub mod routes;
mod settings;
mod state;
mod surroundings;

pub use nodes::ROLES;
