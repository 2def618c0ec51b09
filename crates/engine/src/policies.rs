//! Policies: snapshots, retention and verification by schedule, behind every dialect that has such a thing.
//!
//! What is to be done is decided by pure functions: [`schedule`] knows when something is due, [`timetable`] what to do about it,
//! [`retention`] what is still kept. [`scheduler`] asks them at the right times, [`run`], [`retain`] and [`verify`] carry it out,
//! [`recover`] ends what an earlier process left. [`locks`] keep snapshots from everybody who would delete them.

mod active;
mod api;
mod change;
mod locks;
mod naming;
mod recover;
mod retain;
mod retention;
mod run;
mod schedule;
mod scheduler;
mod timetable;
mod validate;
mod verify;

pub(crate) use active::ActivePolicies;
pub use change::PutPolicy;
pub(crate) use locks::{import_locks, lift_locks, refuse_locked};
pub(crate) use recover::recover;
pub(crate) use scheduler::PolicyWorker;
pub(crate) use timetable::Timetable;
