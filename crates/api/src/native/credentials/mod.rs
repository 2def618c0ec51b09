//! Credentials and the audit log: for admins without limits.

mod audit;
mod handlers;
pub mod types;

pub use audit::*;
pub use handlers::*;
