//! Network block devices: a client that reads and writes the disks of others, and a server that shows a snapshot as a disk.
//!
//! * [`Client`]: one export of a server, by its [`Uri`].
//! * [`Server`]: any [`Export`] over a UNIX socket, TCP or TLS.
//! * [`Overlay`]: what clients write to an export that cannot be written to.
//! * [`protocol`]: the bytes on the wire.
//!
//! All calls block: use ordinary threads or `spawn_blocking`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod client;
mod error;
mod overlay;
pub mod protocol;
pub mod server;
mod tls;
mod transport;
mod uri;

pub use client::{Client, Options, StatusRange};
pub use error::NbdError;
pub use overlay::Overlay;
pub use server::{Export, ListenOn, NamedExport, Server, ServerOptions, ServerTls, ZeroRange};
pub use uri::{DEFAULT_PORT, Place, Uri};
