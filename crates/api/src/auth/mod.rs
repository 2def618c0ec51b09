//! Who calls, and whether they may: shared by all dialects.
//!
//! One middleware recognises the caller of every request and puts a [`Caller`] into its extensions; handlers ask
//! [`Caller::authorise`] with what they are about to do and render a [`Denied`] in the words of their dialect.
//!
//! ```text
//! async fn create(caller: Caller, Path(backend): Path<String>, …) -> Result<…> {         // Caller is an extractor
//!     caller.authorise(Need::operate("create_backups").repository(&backend).resources(&classes))?;
//! ```
//! A request that did not pass the middleware has [`Caller::nobody`], who may do nothing: a router that is put up without it
//! refuses instead of being open. Tests and offline commands use [`without_credentials`].

mod caller;
mod layer;

pub use caller::{Action, Caller, Denied, Method, Need, Shortfall};
pub use layer::without_credentials;
pub use snapkeep_engine::credentials::{Limits, Principal, Role};
