//! Who may do what: principals with a role and limits, and the secrets that prove them.

mod model;

pub use model::{Limits, Principal, Role};
