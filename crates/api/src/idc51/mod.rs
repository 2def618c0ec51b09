//! The dialect of 51idc: snapshots of disks and hosts below `/v2/zone/{zone}`, and tokens at `/v2/oauth2/token`.
//!
//! * [`router`]: which request goes where; `call` holds what is common to all of them and renders answers.
//! * [`errors`]: the one table of codes, statuses and words.
//! * `query`, `fields`: reading parameters and bodies in every notation that the documentation, its examples and its clients use.
//! * `snapshots`: list, create, delete, apply, export, rename. `jobs`, `events`: what becomes of them. `volumes`: which disks there are.
//! * `oauth`: client credentials for tokens.
//!
//! A snapshot of the dialect is a *point* of the engine, a disk is a volume (`vol-…`), a host an instance (`i-…`).

mod call;
mod config;
pub mod errors;
mod events;
mod fields;
mod ids;
mod jobs;
mod oauth;
mod query;
mod router;
mod snapshots;
mod state;
mod times;
mod volumes;

pub use call::is_zone;
pub use config::Idc51Config;
pub use errors::{Fault, Idc51Error};
pub use router::router;
pub use state::Idc51State;
