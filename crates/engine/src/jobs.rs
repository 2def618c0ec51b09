//! Jobs: what runs, what may run beside it, and how it ends.
//!
//! A job is a row of the catalogue before its work begins, so that a process that dies leaves a trace; [`recover`] ends what such
//! a process left. In memory it is a [`RunningJob`] in [`Activity`], the one place that knows what is going on.

mod activity;
mod api;
mod lifecycle;
mod recover;
mod running;

pub(crate) use activity::Activity;
pub(crate) use lifecycle::{JobSpec, Outcome};
pub(crate) use recover::{end as end_recovered, recover};
pub(crate) use running::RunningJob;

/// The reason that a job cancelled by a client ends with.
pub(crate) const CANCELLED_ON_REQUEST: &str = "cancelled on request";
