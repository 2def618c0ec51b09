//! Registered repositories: their settings, where they may lie, and the vaults behind them.

mod api;
mod folders;
mod location;
mod open;
mod password;
mod reconcile;
mod settings;

pub(crate) use open::{OpenVault, Vaults};
pub(crate) use password::load_or_create as load_or_create_password;
pub(crate) use reconcile::{NAME_TAG, RESOURCE_TAG, TAG, reconcile};
pub(crate) use settings::FsSettings;
