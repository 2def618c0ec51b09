//! The native API under `/api/v1`: repositories, snapshots, restores, volumes, policies, checks, keys and jobs, with progress, cancel and a stream of events.
//!
//! Described by an OpenAPI document that is generated from the handlers and served at `/api/v1/openapi.json`. Long work answers 202 with
//! a job at once; `GET /jobs/{id}` tells how far it is. Errors are `{"error": {"code", "message", "hint"}}`. The command line uses this API and [`types`].

mod access;
mod body;
mod convert;
pub mod credentials;
mod events;
mod jobs;
mod keys;
mod maintenance;
pub mod policies;
mod problem;
mod repositories;
mod restores;
mod router;
mod snapshots;
pub mod types;
pub mod volumes;

pub use problem::Refusal;
pub use router::{NativeState, openapi, router};
