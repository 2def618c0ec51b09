//! The engine: repositories, snapshots, restores, jobs and the catalogue behind every dialect.
//!
//! One state machine and one set of rules. Dialects translate requests into the calls of [`Engine`] and its answers and errors
//! into their own words; drivers hand over captured resources; the vault keeps them.
//!
//! The methods of [`Engine`] are `async` and return when the answer is known. Work that lasts (snapshots, restores, checks) is a
//! durable *job* on a thread of its own; it goes on when the caller leaves.
#![cfg_attr(test, allow(clippy::unwrap_used))]
// Errors carry all that a dialect needs to word them, and are rare: their size does not matter.
#![allow(clippy::result_large_err)]

mod audit;
pub mod bytesize;
mod catalogue;
mod clock;
mod config;
pub mod credentials;
mod dialects;
mod engine;
mod error;
mod ids;
mod jobs;
mod layout;
mod maintenance;
pub mod model;
pub mod names;
mod policies;
pub mod rename;
mod repositories;
mod restores;
pub mod selection;
mod snapshots;
mod volumes;
mod workers;

pub use audit::{AuditOutcome, AuditQuery, AuditRecord, MAX_AUDIT_PAGE};
pub use clock::{Clock, SimulatedTime};
pub use config::{
    DEFAULT_BYTES_PER_SEC, DEFAULT_MAX_CHAIN, EngineConfig, MAX_CHAIN, MAX_CONCURRENT_OPERATIONS,
    VolumesConfig,
};
pub use engine::Engine;
pub use error::{CreationFailure, EngineError, InUse, ReadonlyOperation, RestoreProblem};
pub use model::*;
pub use policies::PutPolicy;
pub use snapkeep_drivers::volume::write::{
    Compression, DiskFormat, WriteCounts, WriteProgress, WrittenDisk,
};
pub use volumes::{
    DISK_CACHE_BYTES, DiskShape, ExportError, ReadError, StoredDisk, export_disk, stored_disks,
};
