//! Rolling volumes back to points.
//!
//! [`plan`] says what will be done and refuses what cannot be; [`job`] does it, host by host ([`group`]); [`record`] is the durable
//! note by which [`recover`] finishes what a crash cut off.

mod api;
mod group;
mod job;
mod plan;
mod record;
mod recover;

pub(crate) use record::RollbackRecord;
pub(crate) use recover::resume_rollbacks;
