//! Registering, listing, verifying and removing repositories.

mod integrity;
mod routes;
mod settings;

pub(super) use routes::{register, select};
