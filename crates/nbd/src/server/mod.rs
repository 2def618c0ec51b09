//! A server of exports.
//!
//! Nothing that a client sends is trusted: lengths are checked before anything is allocated or read, what a connection may take of
//! memory and threads is fixed, and a connection that breaks the protocol is closed without a word about the others.

mod export;
mod handshake;
mod listener;
mod listening;
mod transmission;

pub(crate) use export::push_range;
pub use export::{Export, ZeroRange};
pub use listener::{ListenOn, NamedExport, Server, ServerOptions, ServerTls};
