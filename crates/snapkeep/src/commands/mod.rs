//! One module a command: its flags, and what it does with them.

pub mod audit;
pub mod check;
pub mod completions;
pub mod config;
pub mod credential;
pub mod job;
pub mod key;
pub mod mount;
pub mod policy;
pub mod prune;
pub mod repo;
pub mod restore;
mod session;
pub mod snapshot;

use session::Session;
