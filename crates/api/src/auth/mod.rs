//! Who calls, and whether they may: shared by all dialects.
//!
//! One middleware ([`Gate`]) recognises the caller of every request and puts a [`Caller`] into its extensions; handlers ask
//! [`Caller::authorise`] with what they are about to do and render a [`Denied`] in the words of their dialect.
//!
//! ```text
//! async fn create(caller: Caller, Path(backend): Path<String>, …) -> Result<…> {         // Caller is an extractor
//!     caller.authorise(Need::operate("create_backups").repository(&backend).resources(&classes))?;
//! ```
//! A request that did not pass the middleware has [`Caller::nobody`], who may do nothing: a router that is put up without it
//! refuses instead of being open. Tests and offline commands use [`without_credentials`].
//!
//! * `dialect`: which paths belong to whom, and which are open to everybody.
//! * `scheme`: what a request presents. `signature`: a signed request; `sdk_hmac`, `acs3`, `canonical`: how the clouds sign.
//! * `challenge`: 401 and 429 in the words of each dialect.
//! * `trail`: what a request did, for the audit log.

mod acs3;
mod caller;
mod canonical;
mod challenge;
mod dialect;
mod layer;
mod scheme;
mod sdk_hmac;
mod signature;
mod trail;

pub use caller::{Action, Caller, Denied, Method, Need, PeerAddress, Shortfall};
pub use layer::{Gate, without_credentials};
pub use snapkeep_engine::credentials::{Limits, Principal, Role};
