//! One module a command: its flags, and what it does with them.

pub mod audit;
pub mod check;
pub mod completions;
pub mod config;
mod confirm;
pub mod credential;
pub mod instance;
pub mod job;
pub mod key;
pub mod mount;
mod opened;
pub mod policy;
pub mod prune;
pub mod repo;
pub mod restore;
mod session;
pub mod snapshot;
pub mod volume;

use session::Session;
