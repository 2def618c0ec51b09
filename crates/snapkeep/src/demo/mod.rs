//! `snapkeep demo`: the whole round trip on data of its own, every request shown as curl, the outcome proved document by document.

mod client;
mod command;
mod corpus;
mod proof;
mod restic;
mod story;
mod volume;

pub use command::{DemoArgs, run};
