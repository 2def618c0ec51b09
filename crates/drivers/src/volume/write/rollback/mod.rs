//! Rolling an existing disk back to a content.

mod attributes;
mod differences;
mod in_place;
mod lock;
mod nbd;
mod report;
mod swap;
mod target;
#[cfg(test)]
mod tests;

pub use report::{RollbackMode, WriteReport, effective_mode, roll_back};
