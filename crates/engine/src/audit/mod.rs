//! Who did what: every change and every refusal, as JSON lines in the data folder and as rows of the catalogue.
//!
//! The line is written when the call has been answered, the row within a second or when somebody looks. The file is for shipping
//! elsewhere and survives a lost catalogue; the table is for looking things up. Both are bounded.

mod file;
mod log;
mod record;

pub use log::MAX_AUDIT_PAGE;
pub(crate) use log::{AuditLog, AuditWorker};
pub use record::{AuditOutcome, AuditQuery, AuditRecord};
